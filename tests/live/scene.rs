//! A real node, a server of its files, and a wallet whose whole history follows from the mined
//! blocks.

use std::collections::HashSet;
use std::time::Duration;

use crate::following_wallet::FollowingWallet;
use bitcoin::{BlockHash, ScriptBuf};
use rescan_client::report::Outcome;
use rescan_client::{Client, ScanRequest};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{LiveNode, Manner, ScanRecord, TestServer, eventually, scan};

/// The time limit for the server to reach the node's chain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A running node, its server and its wallets.
pub(crate) struct LiveScene {
    /// Wallets that follow from the start on. They leave before the server does.
    pub(crate) followers: Vec<FollowingWallet>,
    pub(crate) node: LiveNode,
    pub(crate) server: TestServer,
    /// The watched script: the coinbases of some blocks pay it.
    pub(crate) script: ScriptBuf,
    /// Those blocks, active or not.
    paid: HashSet<BlockHash>,
}

impl LiveScene {
    /// A node with these additional arguments, and its server; `None` if no node is installed.
    pub(crate) fn start(arguments: &[&str], manner: Manner) -> Option<Self> {
        let node = LiveNode::start(arguments)?;
        let server = TestServer::beside_node(&node, manner);
        let script = TestWallet::new("nadia").script(ScriptKind::P2wpkh, 0);
        let mut scene = Self { node, server, script, paid: HashSet::new(), followers: Vec::new() };
        scene.follow();
        scene.follow();
        Some(scene)
    }

    /// Has one more wallet follow.
    pub(crate) fn follow(&mut self) {
        self.followers.push(FollowingWallet::start(self.server.socket(), self.watch()));
    }

    /// Mines blocks, of which every other pays the wallet. The first does not: a block that pays
    /// the same as one that was left in the same second would be that one.
    pub(crate) fn mine(&mut self, blocks: u32) {
        for block in 0..blocks {
            if block % 2 == 0 {
                self.node.mine(1);
            } else {
                self.pay(1);
            }
        }
    }

    /// Mines blocks that all pay the wallet.
    pub(crate) fn pay(&mut self, blocks: u32) {
        self.paid.extend(self.node.mine_to(blocks, &self.script));
    }

    /// Invalidates the node's last `depth` blocks and mines one more than that, which leaves the
    /// stale branch with less work. Returns the first stale block.
    pub(crate) fn reorganise(&mut self, depth: u32) -> BlockHash {
        let left = self.node.hash_at(self.node.tip().0 - depth + 1);
        self.node.invalidate(&left);
        self.mine(depth + 1);
        left
    }

    /// The request of a scan for the wallet.
    pub(crate) fn watch(&self) -> ScanRequest {
        ScanRequest::new().script(self.script.clone())
    }

    /// The heights from `first` on at which the node's chain pays the wallet.
    pub(crate) fn paid_heights(&self, first: u32) -> Vec<u32> {
        (first..=self.node.tip().0).filter(|height| self.paid.contains(&self.node.hash_at(*height))).collect()
    }

    /// Waits until the server has the node's chain, and asserts that a scan returns that chain's
    /// answer and that every follower ends with the same.
    pub(crate) async fn agrees(&self) {
        let client = self.server.client().await;
        let found = self.scanned_at_the_tip(&client, self.watch()).await;
        let (_, tip) = self.node.tip();
        let paid = self.paid_heights(0);
        assert_eq!(found.heights(), paid);
        for follower in &self.followers {
            comes_to_believe(follower, tip, &paid).await;
        }
    }

    /// Waits until a wallet whose range begins at `from` believes in the node's chain.
    pub(crate) async fn believed_by(&self, follower: &FollowingWallet, from: u32) {
        comes_to_believe(follower, self.node.tip().1, &self.paid_heights(from)).await;
    }

    /// The answer of a scan that ended at the node's tip, which may move meanwhile.
    pub(crate) async fn scanned_at_the_tip(&self, client: &Client, request: ScanRequest) -> ScanRecord {
        eventually("a complete scan up to the node's tip", PATIENCE, || async {
            let found = scan(client, request.clone()).await;
            let is_there =
                found.summary().outcome == Outcome::Complete && found.summary().tip.hash == self.node.tip().1;
            is_there.then_some(found)
        })
        .await
    }
}

async fn comes_to_believe(follower: &FollowingWallet, tip: BlockHash, paid: &[u32]) {
    let begun = std::time::Instant::now();
    while !follower.believes(tip, paid) {
        assert!(begun.elapsed() < PATIENCE, "a follower believes {}, not {tip} {paid:?}", follower.describe());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
