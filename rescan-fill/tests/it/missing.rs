//! Blocks that the node lacks.

use rescan_fill::{FillOptions, Reason};

use rescan_fixtures::fake_node::Reply;
use serde_json::json;

use crate::bed::{Bed, options};

#[test]
fn a_block_that_the_node_lacks_is_named_and_the_others_are_rescanned() {
    let bed = Bed::paying(&[0, 1, 2]);
    let mut heights: Vec<u32> = bed.truth().values().map(|(height, _)| *height).collect();
    heights.sort_unstable();
    bed.wallet.lock().absent.insert(heights[1]);
    let report = bed.fill().result.unwrap();
    assert!(!report.is_equal());
    assert_eq!(report.missing.iter().map(|block| block.height.0).collect::<Vec<_>>(), [heights[1]]);
    assert_eq!(report.missing[0].hash, bed.scene.chain.hash_at(heights[1]));
    assert_eq!(report.calls, 3, "two blocks and the mempool");
    assert_eq!(report.differences[0].reason, Reason::MissingBlock(heights[1]));
    assert!(!bed.node.was_called("getblockfrompeer"));
}

#[test]
fn a_run_with_a_missing_block_between_two_matches_is_made_block_by_block() {
    let owner = rescan_fixtures::test_wallet::TestWallet::new("owner");
    let mut chain = rescan_fixtures::chain_builder::ChainBuilder::new();
    chain.mine(110);
    chain.pay(&owner.script(crate::bed::KIND, 0), 1);
    chain.mine(1);
    let gap = chain.tip_height();
    chain.pay(&owner.script(crate::bed::KIND, 1), 1);
    let bed = Bed::of(chain, owner);
    bed.wallet.lock().absent.insert(gap);
    let report = bed.fill().result.unwrap();
    assert!(report.is_equal() && report.calls == 3);
}

#[test]
fn a_missing_block_is_fetched_from_a_peer_and_rescanned() {
    let bed = Bed::paying(&[0, 1, 2]);
    let missing = *bed.truth().values().map(|(height, _)| height).max().unwrap();
    {
        let mut wallet = bed.wallet.lock();
        wallet.absent.insert(missing);
        wallet.at_peer.insert(missing);
    }
    let filled = bed.fill_with(&FillOptions { fetch: true, ..options() });
    assert!(filled.result.unwrap().is_equal());
    let fetch = [format!("fetching {missing}"), format!("fetched {missing}"), format!("rescanned {missing}")];
    assert!(filled.events.windows(3).any(|window| window == fetch), "{:?}", filled.events);
}

#[test]
fn a_block_that_no_peer_has_stays_missing() {
    let bed = Bed::paying(&[0]);
    let missing = bed.truth().values().next().unwrap().0;
    bed.wallet.lock().absent.insert(missing);
    let filled = bed.fill_with(&FillOptions { fetch: true, ..options() });
    assert_eq!(filled.result.unwrap().missing.len(), 1);
    assert_eq!(filled.events.last().unwrap(), "scanned");
    assert!(filled.events.contains(&format!("missing {missing}")));
}

#[test]
fn a_peer_that_leaves_without_an_answer_is_not_waited_for() {
    let bed = Bed::paying(&[0]);
    let missing = bed.truth().values().next().unwrap().0;
    bed.wallet.lock().absent.insert(missing);
    bed.wallet.before_each_call(|wallet, method, _| {
        // Asked, the peer leaves.
        (method == "getblockfrompeer").then(|| {
            wallet.has_no_peer = true;
            Reply::json(&json!({}))
        })
    });
    let filled = bed.fill_with(&FillOptions { fetch: true, ..options() });
    assert_eq!(filled.result.unwrap().missing.len(), 1);
    let asked = bed.node.calls().iter().filter(|call| call.method == "getblock").count();
    assert_eq!(asked, 3, "before the peer is asked, once after, and at the end");
}
