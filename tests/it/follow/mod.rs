//! Wallets that follow: after any chain change, applying the events in order leaves the result of
//! a fresh scan.

mod below_range;
mod blocks;
mod interruptions;
mod reorganisations;
mod tip_waits;

use std::collections::BTreeMap;
use std::time::Duration;

use bitcoin::{Amount, BlockHash, Txid};
use futures::StreamExt;
use rescan_client::report::{BlockId, Received, Spent};
use rescan_client::{Checkpoint, Client, FollowEvent, Follower, GivenKeychain, ScanRequest};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Scene, scan};

fn wallet() -> TestWallet {
    TestWallet::new("frank")
}

fn request(gap_limit: u32) -> ScanRequest {
    let keychain = GivenKeychain::new(wallet().descriptor(ScriptKind::P2wpkh)).gap_limit(gap_limit);
    ScanRequest::new().keychain(keychain).mark_every(Duration::from_millis(1))
}

fn pay(chain: &mut ChainBuilder, index: u32) {
    chain.fund(&wallet().script(ScriptKind::P2wpkh, index), Amount::from_sat(9_000));
}

/// Blocks that pay indexes 0 to `paying`, a block each.
fn paid(paying: u32) -> ChainBuilder {
    let mut chain = ChainBuilder::new();
    chain.mine(110);
    for index in 0..paying {
        pay(&mut chain, index);
        chain.mine(1);
    }
    chain
}

/// A transaction as a fresh scan has it too: whether a spent coin was found or given depends on
/// where a scan began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Matches {
    received: BTreeMap<u32, Received>,
    spent: BTreeMap<u32, Option<Amount>>,
}

/// The state of a wallet that applies every event blindly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct View {
    transactions: BTreeMap<(u32, BlockHash, Txid), Matches>,
    /// The height of the chain; none until it has caught up.
    height: Option<u32>,
    /// The chain's last blocks, as far as they were connected since then.
    blocks: Vec<BlockId>,
}

impl View {
    fn apply(&mut self, event: &FollowEvent) {
        match event {
            FollowEvent::Reverted(gone) => {
                let key = (gone.height.0, gone.block_hash, gone.txid);
                assert!(self.transactions.remove(&key).is_some(), "{key:?} was never reported");
            }
            FollowEvent::Restarted => *self = Self::default(),
            FollowEvent::Report(report) => {
                assert!(
                    self.height.is_none_or(|tip| tip >= report.height.0),
                    "a report of a block that is not connected"
                );
                for transaction in &report.transactions {
                    let key = (report.height.0, report.hash, transaction.txid);
                    self.merge(key, &transaction.received, &transaction.spent);
                }
            }
            FollowEvent::CaughtUp(summary) => {
                assert!(self.height.is_none_or(|tip| tip == summary.tip.height.0));
                self.height = Some(summary.tip.height.0);
            }
            FollowEvent::Connected(block) => {
                let tip = self.height.expect("it has caught up");
                assert_eq!(tip + 1, block.height.0, "a gap, or a block twice");
                self.height = Some(block.height.0);
                self.blocks.push(*block);
            }
            FollowEvent::Disconnected(block) => {
                assert_eq!(self.height, Some(block.height.0), "the last come first");
                // Below where it caught up a wallet knows its blocks from elsewhere.
                assert!(self.blocks.pop().is_none_or(|tip| tip == *block));
                self.height = self.height.map(|height| height - 1);
            }
            _ => {}
        }
    }

    fn merge(&mut self, key: (u32, BlockHash, Txid), received: &[Received], spent: &[Spent]) {
        let matches = self.transactions.entry(key).or_default();
        matches.received.extend(received.iter().map(|it| (it.vout, it.clone())));
        matches.spent.extend(spent.iter().map(|it| (it.vin, it.value)));
    }
}

/// The result of a scan of the present chain.
async fn fresh(client: &Client, request: &ScanRequest) -> BTreeMap<(u32, BlockHash, Txid), Matches> {
    let mut view = View::default();
    for (report, told) in scan(client, request.clone()).await.transactions() {
        view.merge((report.height.0, report.hash, told.txid), &told.received, &told.spent);
    }
    view.transactions
}

/// A wallet that follows.
struct Following {
    follower: Follower,
    view: View,
}

impl Following {
    /// From the start of the chain.
    fn begin(client: &Client, request: &ScanRequest) -> Self {
        let checkpoint = Checkpoint::new(client.server_info().chain.genesis, request);
        Self::resume(client, request, checkpoint, View::default())
    }

    /// One that has caught up with the scene.
    async fn at_tip(client: &Client, request: &ScanRequest, scene: &Scene) -> Self {
        let mut following = Self::begin(client, request);
        following.catch_up(scene).await;
        following
    }

    /// From an earlier wallet's state: its position, and its transactions.
    fn resume(client: &Client, request: &ScanRequest, checkpoint: Checkpoint, earlier: View) -> Self {
        let view = View { transactions: earlier.transactions, ..View::default() };
        Self { follower: client.follow(request.clone(), checkpoint).unwrap(), view }
    }

    /// Reads events until everything up to the scene's tip is reported and settled.
    async fn catch_up(&mut self, scene: &Scene) -> Vec<FollowEvent> {
        let tip = scene.chain.tip_hash();
        let is_there = |event: &FollowEvent| matches!(event, FollowEvent::CaughtUp(summary) if summary.tip.hash == tip);
        let events = self.take_until(is_there).await;
        assert_eq!(self.follower.checkpoint().scanned_to().map(|block| block.hash), Some(tip));
        events
    }

    /// Takes events up to the first of that kind.
    async fn take_until(&mut self, is_last: impl Fn(&FollowEvent) -> bool) -> Vec<FollowEvent> {
        let mut events: Vec<FollowEvent> = Vec::new();
        while !events.last().is_some_and(&is_last) {
            let event = self.follower.next().await.unwrap().unwrap();
            self.view.apply(&event);
            events.push(event);
        }
        events
    }
}

/// The name of each event that changes a wallet, in order.
fn words(events: &[FollowEvent]) -> Vec<String> {
    let word = |event: &FollowEvent| match event {
        FollowEvent::Reverted(gone) => Some(format!("withdrawn {}", gone.height)),
        FollowEvent::Report(report) => Some(format!("report {}", report.height)),
        FollowEvent::Disconnected(block) => Some(format!("disconnected {}", block.height)),
        FollowEvent::Connected(block) => Some(format!("connected {}", block.height)),
        FollowEvent::Restarted => Some("restarted".to_owned()),
        _ => None,
    };
    events.iter().filter_map(word).collect()
}
