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
    /// Matching heights that the pruned node lacks.
    missing: u64,
}

impl Pruned {
    fn start() -> Option<Self> {
        let address = format!("127.0.0.1:{}", free_port());
        let full = LiveNode::start_with_wallet(&["-listen=1", "-listenonion=0", &format!("-bind={address}")])?;
        begin(&full);
        let nadia = TestWallet::new("nadia");
        for index in 0..4 {
            full.mine_to(1, &nadia.script(ScriptKind::P2wpkh, index));
            full.mine(60);
        }
        full.mine(800);
        full.mine_to(1, &nadia.script(ScriptKind::P2wpkh, 5));
        pass_a_day(&full);
        let pruned = LiveNode::start_with_wallet(&["-prune=1", "-fastprune"])?;
        let scene = FillScene::beside(pruned, TestServer::beside_node(&full, Manner::default()));
        let made = Self { full, address, scene, missing: 4 };
        made.connect();
        wait_for("the pruned node has the chain", || made.scene.node.tip() == made.full.tip());
        made.scene.node.rpc(&["pruneblockchain", "500"]);
        made.disconnect();
        let lowest = made.scene.node.rpc(&["getblockchaininfo"]);
        assert!(lowest.contains("\"pruneheight\""), "{lowest}");
        made.scene.create("w", false);
        made.scene.import("w", &json!([ranged(&made.scene.node, &nadia.descriptor(ScriptKind::P2wpkh), 999)]));
        Some(made)
    }

    fn connect(&self) {
        self.scene.node.rpc(&["addnode", &self.address, "onetry"]);
        wait_for("the nodes connect", || self.scene.node.rpc(&["getconnectioncount"]) == "1");
    }

    fn disconnect(&self) {
        self.scene.node.rpc(&["disconnectnode", &self.address]);
        wait_for("the nodes part", || self.scene.node.rpc(&["getconnectioncount"]) == "0");
    }
}

#[test]
fn blocks_that_a_pruned_node_lacks_are_named_and_fetch_gets_them_from_a_peer() {
    let Some(made) = Pruned::start() else { return };
    let without = made.scene.fill("w", &["--from-height", "0"]);
    assert_eq!(without.code, 3, "{}", without.stderr);
    let summary = without.summary();
    assert_eq!((&summary["outcome"], &summary["missing_blocks"]), (&json!("missing_blocks"), &json!(made.missing)));
    for line in without.of_type("missing_block") {
        let height = u32::try_from(line["height"].as_u64().unwrap()).unwrap();
        assert_eq!(line["block_hash"], made.full.hash_at(height).to_string());
    }
    assert_eq!(without.of_type("missing_block").count() as u64, made.missing);

    made.connect();
    let fetched = made.scene.fill("w", &["--from-height", "0", "--fetch"]);
    fetched.assert_equal();
    assert_eq!(fetched.of_type("fetched").count() as u64, made.missing);
    assert_eq!(fetched.summary()["transactions"], 5);
    assert_eq!(made.scene.wallet("w", "getwalletinfo", &json!([]))["txcount"], 5);
}

#[test]
fn blocks_that_no_peer_sends_are_named_in_bounded_time() {
    let Some(made) = Pruned::start() else { return };
    // No peer at all.
    let begun = Instant::now();
    let alone = made.scene.fill("w", &["--from-height", "0", "--fetch"]);
    assert_eq!(alone.summary()["outcome"], "missing_blocks");
    assert_eq!(alone.of_type("missing_block").count() as u64, made.missing);
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
}
