//! A pruned node whose server reads the files of another node.

use std::time::{Duration, Instant};

use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{LiveNode, Manner, TestServer, free_port};
use serde_json::json;

use crate::scene::{FillScene, begin, pass_a_day, ranged, wait_for};

/// The documented limit for one block, and room for the rest.
const BOUND: Duration = Duration::from_secs(100);

/// A node with all blocks that answers peers, and a pruned one with its wallet and the server of
/// the first one's files.
struct Pruned {
    full: LiveNode,
    address: String,
    scene: FillScene,
}

/// Matching blocks that the pruned node lacks.
const MISSING: u64 = 4;

impl Pruned {
    fn start() -> Option<Self> {
        let (address, listening) = listening();
        let full = LiveNode::start_with_wallet(&listening.each_ref().map(String::as_str))?;
        begin(&full);
        let nadia = TestWallet::new("nadia");
        for index in 0..4 {
            full.mine_to(1, &nadia.script(ScriptKind::P2wpkh, index));
            full.mine(60);
        }
        full.mine(800);
        full.mine_to(1, &nadia.script(ScriptKind::P2wpkh, 5));
        pass_a_day(&full);
        let scene =
            FillScene::beside(pruned_copy(&full, &address, &[])?, TestServer::beside_node(&full, Manner::default()));
        scene.create("w", false);
        scene.import("w", &json!([ranged(&scene.node, &nadia.descriptor(ScriptKind::P2wpkh), 999)]));
        Some(Self { full, address, scene })
    }
}

/// A free address, and the arguments of a node that listens there.
fn listening() -> (String, [String; 3]) {
    let address = format!("127.0.0.1:{}", free_port());
    let bind = format!("-bind={address}");
    (address, ["-listen=1".to_owned(), "-listenonion=0".to_owned(), bind])
}

/// A node with the chain of another, of which it has pruned the first blocks. It has no peer.
fn pruned_copy(full: &LiveNode, address: &str, arguments: &[&str]) -> Option<LiveNode> {
    let node = LiveNode::start_with_wallet(&[&["-prune=1", "-fastprune"], arguments].concat())?;
    connect(&node, address);
    wait_for("the pruned node has the chain", || node.tip() == full.tip());
    node.rpc(&["pruneblockchain", "500"]);
    node.rpc(&["disconnectnode", address]);
    wait_for("the nodes part", || node.rpc(&["getconnectioncount"]) == "0");
    assert!(node.rpc(&["getblockchaininfo"]).contains("\"pruneheight\""), "nothing was pruned");
    Some(node)
}

fn connect(node: &LiveNode, address: &str) {
    node.rpc(&["addnode", address, "onetry"]);
    wait_for("the nodes connect", || node.rpc(&["getconnectioncount"]) == "1");
}

#[test]
fn blocks_that_a_pruned_node_lacks_are_named_and_fetch_gets_them_from_a_peer() {
    let Some(made) = Pruned::start() else { return };
    let without = made.scene.fill("w", &["--from-height", "0"]);
    assert_eq!(without.code, 3, "{}", without.stderr);
    let summary = without.summary();
    assert_eq!((&summary["outcome"], &summary["missing_blocks"]), (&json!("missing_blocks"), &json!(MISSING)));
    for line in without.of_type("missing_block") {
        let height = u32::try_from(line["height"].as_u64().unwrap()).unwrap();
        assert_eq!(line["block_hash"], made.full.hash_at(height).to_string());
    }
    assert_eq!(without.of_type("missing_block").count() as u64, MISSING);

    connect(&made.scene.node, &made.address);
    let fetched = made.scene.fill("w", &["--from-height", "0", "--fetch"]);
    fetched.assert_equal();
    assert_eq!(fetched.of_type("fetched").count() as u64, MISSING);
    assert_eq!(fetched.summary()["transactions"], 5);
    assert_eq!(made.scene.wallet("w", "getwalletinfo", &json!([]))["txcount"], 5);
}

#[test]
fn blocks_that_no_peer_sends_are_named_in_bounded_time() {
    let Some(made) = Pruned::start() else { return };
    let (address, listening) = listening();
    let arguments = listening.each_ref().map(String::as_str);
    let Some(peer) = pruned_copy(&made.full, &made.address, &arguments) else { return };
    connect(&made.scene.node, &address);
    assert_eq!(peer.tip(), made.full.tip());
    let begun = Instant::now();
    let ended = made.scene.fill("w", &["--from-height", "0", "--fetch"]);
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert_eq!((ended.code, &ended.summary()["outcome"]), (3, &json!("missing_blocks")), "{}", ended.stderr);
    assert_eq!(ended.of_type("missing_block").count() as u64, MISSING);
    assert_eq!(ended.of_type("fetching").count() as u64, MISSING);

    // Without any peer either.
    made.scene.node.rpc(&["setnetworkactive", "false"]);
    let alone = made.scene.fill("w", &["--from-height", "0", "--fetch"]);
    assert_eq!(alone.of_type("missing_block").count() as u64, MISSING);
}
