//! A chain that changes between the scan and the calls.

use std::sync::{Arc, Mutex};

use rescan_client::Client;
use rescan_fill::{CoreWallet, FillError, MergeGap, fill};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::fake_node::Reply;
use rescan_node::{Credentials, RpcClient};
use rescan_tests::patiently;
use serde_json::json;

use crate::bed::{Bed, KIND, options};

#[test]
fn a_block_that_left_the_chain_after_the_scan_is_taken_back() {
    let mut bed = Bed::paying(&[0, 1]);
    bed.scene.chain.pay(&bed.owner.script(KIND, 2), 1);
    bed.scene.append();
    bed.wallet.lock().set_chain(&bed.scene.chain);
    // The node leaves the block that pays index 2 once the fill is about to rescan it.
    let left = bed.scene.chain.hash_at(bed.scene.chain.tip_height());
    bed.scene.chain.rewind(1).mine(2);
    bed.scene.chain.pay(&bed.owner.script(KIND, 3), 1);
    let scene = Arc::new(Mutex::new((bed.scene, false)));
    let shared = Arc::clone(&scene);
    bed.wallet.before_each_call(move |wallet, method, _| {
        let (scene, is_appended) = &mut *shared.lock().unwrap();
        if method == "listsinceblock" && !*is_appended {
            scene.append();
            wallet.set_chain(&scene.chain);
            *is_appended = true;
        }
        None
    });
    let server = scene.lock().unwrap().0.server.socket();
    let rpc = RpcClient::new(bed.node.url().parse().unwrap(), Credentials::Cookie(bed.node.cookie())).unwrap();
    let wallet = CoreWallet::open(&rpc, "alice").unwrap();
    let report = patiently(async {
        let client = Client::connect(&server).await.unwrap();
        fill(&client, &wallet, &options(), MergeGap(4), &mut |_| {}).await.unwrap()
    });
    assert!(report.is_equal(), "{:?}", report.differences);
    let confirmed = bed.wallet.lock().confirmed.clone();
    assert!(confirmed.values().all(|(_, hash)| *hash != left));
    assert_eq!(confirmed.len(), 3);
}

#[test]
fn a_node_on_another_branch_than_the_server_is_told() {
    let bed = Bed::paying(&[0]);
    let mut elsewhere = ChainBuilder::new();
    elsewhere.at_time(1_500_000_000).mine(200);
    bed.wallet.lock().set_chain(&elsewhere);
    assert!(matches!(bed.fill().result.unwrap_err(), FillError::OtherChain { .. }));
}

#[test]
fn a_node_behind_the_server_is_told_with_both_heights() {
    let bed = Bed::paying(&[0]);
    let mut short = ChainBuilder::new();
    short.mine(5);
    bed.wallet.lock().set_chain(&short);
    assert!(matches!(bed.fill().result.unwrap_err(), FillError::Behind { node: 5, .. }));
}

#[test]
fn a_call_that_stops_early_is_made_again() {
    let bed = Bed::paying(&[0, 1]);
    let mut calls = 0;
    bed.wallet.before_each_call(move |_, method, params| {
        calls += i32::from(method == "rescanblockchain");
        // The block had left the chain when Bitcoin Core came to it.
        let stopped = json!({"start_height": params[0], "stop_height": null});
        (calls == 1 && method == "rescanblockchain").then(|| Reply::json(&stopped))
    });
    let filled = bed.fill();
    assert!(filled.result.unwrap().is_equal());
    assert!(filled.events.iter().any(|event| event.starts_with("changed")));
    assert_eq!(bed.wallet.lock().confirmed, bed.truth());
}
