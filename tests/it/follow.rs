//! Wallets that follow: whatever the chain does, applying what they are told as it comes leaves what a fresh scan tells.

use std::collections::BTreeMap;
use std::time::Duration;

use bitcoin::{Amount, BlockHash, Txid};
use futures::StreamExt;
use rescan_client::report::{BlockId, Origin, Received, Spent, Summary};
use rescan_client::{CallError, Checkpoint, Client, FollowEvent, Follower, GivenKeychain, ScanError, ScanRequest};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, patiently, scan};

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

/// A transaction as a fresh scan has it too: whether a spent coin was found or given depends on where a scan began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Matches {
    received: BTreeMap<u32, Received>,
    spent: BTreeMap<u32, Option<Amount>>,
}

/// What a wallet has that applies blindly whatever it is told.
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
            FollowEvent::Withdrawn(gone) => {
                let key = (gone.height.0, gone.block_hash, gone.txid);
                assert!(self.transactions.remove(&key).is_some(), "{key:?} was never told");
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
                assert_eq!(tip + 1, block.height.0, "a gap, or a block told twice");
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

    /// As a wallet that is started again has it.
    fn restarted(self) -> Self {
        Self { transactions: self.transactions, ..Self::default() }
    }
}

/// What a scan of the chain as it is now tells.
async fn fresh(client: &Client, request: &ScanRequest) -> BTreeMap<(u32, BlockHash, Txid), Matches> {
    let mut view = View::default();
    for (report, told) in scan(client, request.clone()).await.transactions() {
        view.merge((report.height.0, report.hash, told.txid), &told.received, &told.spent);
    }
    view.transactions
}

fn begin(client: &Client, request: &ScanRequest) -> Follower {
    let checkpoint = Checkpoint::new(client.greeting().chain.genesis, request);
    client.follow(request.clone(), checkpoint).unwrap()
}

/// Takes events until everything up to `tip` is told and settled.
async fn take_to(follower: &mut Follower, view: &mut View, tip: BlockHash) -> Vec<FollowEvent> {
    let mut events = Vec::new();
    loop {
        let event = follower.next().await.unwrap().unwrap();
        view.apply(&event);
        let is_there = matches!(&event, FollowEvent::CaughtUp(summary) if summary.tip.hash == tip);
        events.push(event);
        if is_there {
            assert_eq!(follower.checkpoint().covered_to().map(|block| block.hash), Some(tip));
            return events;
        }
    }
}

/// A word for each event that changes what a wallet has, in their order.
fn words(events: &[FollowEvent]) -> Vec<String> {
    let word = |event: &FollowEvent| match event {
        FollowEvent::Withdrawn(gone) => Some(format!("withdrawn {}", gone.height)),
        FollowEvent::Report(report) => Some(format!("report {}", report.height)),
        FollowEvent::Disconnected(block) => Some(format!("disconnected {}", block.height)),
        FollowEvent::Connected(block) => Some(format!("connected {}", block.height)),
        FollowEvent::Restarted => Some("restarted".to_owned()),
        _ => None,
    };
    events.iter().filter_map(word).collect()
}

#[test]
fn blocks_that_come_are_told_one_by_one_each_before_its_transactions() {
    let mut scene = Scene::serve(paid(2), Manner::default());
    let request = request(10);
    patiently(async {
        let client = scene.server.client().await;
        let (mut follower, mut view) = (begin(&client, &request), View::default());
        let caught_up = take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        assert_eq!(words(&caught_up), ["report 111", "report 112"]);
        scene.chain.mine(1);
        pay(&mut scene.chain, 2);
        scene.chain.mine(2);
        scene.append();
        let events = take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        assert_eq!(words(&events), ["connected 113", "connected 114", "report 114", "connected 115"]);
        for block in &view.blocks {
            assert_eq!(block.hash, scene.chain.hash_at(block.height.0));
            assert_eq!(block.time, scene.chain.block_at(block.height.0).header.time);
        }
        assert_eq!(view.transactions, fresh(&client, &request).await);
    });
}

#[test]
fn a_reorganisation_of_any_depth_is_taken_back_from_the_tip_down_before_what_takes_its_place() {
    let mut scene = Scene::serve(paid(2), Manner::default());
    let request = request(10);
    patiently(async {
        let client = scene.server.client().await;
        let (mut follower, mut view) = (begin(&client, &request), View::default());
        take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        for depth in 1..=5 {
            // Every block that is to be left pays.
            for index in 0..depth {
                pay(&mut scene.chain, index);
                scene.chain.mine(1);
            }
            scene.append();
            take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
            let tip = scene.chain.tip_height();
            let left: Vec<BlockHash> = (tip + 1 - depth..=tip).map(|height| scene.chain.hash_at(height)).collect();
            scene.chain.reorg(depth);
            scene.append();
            let events = take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
            let down = || (tip + 1 - depth..=tip).rev();
            let expected: Vec<String> = down()
                .map(|height| format!("withdrawn {height}"))
                .chain(down().map(|height| format!("disconnected {height}")))
                .chain((tip + 1 - depth..=tip + 1).map(|height| format!("connected {height}")))
                .collect();
            assert_eq!(words(&events), expected, "depth {depth}");
            let disconnected = events.iter().filter_map(|event| match event {
                FollowEvent::Disconnected(block) => Some(block.hash),
                _ => None,
            });
            assert!(disconnected.eq(left.into_iter().rev()), "depth {depth}");
            assert_eq!(view.transactions, fresh(&client, &request).await, "depth {depth}");
        }
    });
}

#[test]
fn blocks_from_before_the_following_are_disconnected_by_name_too() {
    let mut scene = Scene::serve(paid(4), Manner::default());
    let request = request(10);
    patiently(async {
        let client = scene.server.client().await;
        let (mut follower, mut view) = (begin(&client, &request), View::default());
        take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        scene.chain.reorg(3);
        scene.append();
        let events = take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        assert_eq!(
            words(&events)[3..],
            [
                "disconnected 114",
                "disconnected 113",
                "disconnected 112",
                "connected 112",
                "connected 113",
                "connected 114",
                "connected 115"
            ]
        );
        assert_eq!(view.transactions, fresh(&client, &request).await);
    });
}

#[test]
fn a_chain_that_is_left_deeper_than_is_remembered_begins_anew() {
    let mut chain = paid(1);
    chain.mine(300);
    let mut scene = Scene::serve(chain, Manner::default());
    let request = request(10);
    patiently(async {
        let client = scene.server.client().await;
        let (mut follower, mut view) = (begin(&client, &request), View::default());
        take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        scene.chain.reorg(295);
        scene.append();
        let events = take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        assert_eq!(words(&events), ["restarted", "report 111"]);
        assert_eq!(view.transactions, fresh(&client, &request).await);
        // And 288 are few enough.
        scene.chain.reorg(287);
        scene.append();
        let words = words(&take_to(&mut follower, &mut view, scene.chain.tip_hash()).await);
        assert_eq!(
            (words.len(), words[0].as_str(), words[287].as_str()),
            (287 + 288, "disconnected 412", "connected 126")
        );
    });
}

#[test]
fn the_gap_rule_goes_on_where_a_use_reveals_what_was_used_before() {
    let mut chain = paid(1);
    // Beyond the gap, long before the following begins.
    pay(&mut chain, 5);
    chain.mine(1);
    let mut scene = Scene::serve(chain, Manner::default());
    let request = request(3);
    patiently(async {
        let client = scene.server.client().await;
        let (mut follower, mut view) = (begin(&client, &request), View::default());
        take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        assert_eq!(view.transactions.len(), 1);
        for (index, told) in [(3, 3), (8, 4), (11, 5)] {
            pay(&mut scene.chain, index);
            scene.chain.mine(1);
            scene.append();
            take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
            assert_eq!(view.transactions.len(), told, "after index {index}");
            assert_eq!(view.transactions, fresh(&client, &request).await);
        }
    });
}

#[test]
fn a_follower_that_takes_nothing_while_fifty_blocks_come_takes_them_all_at_once() {
    let mut scene = Scene::serve(paid(1), Manner::default());
    let request = request(60);
    patiently(async {
        let client = scene.server.client().await;
        let (mut follower, mut view) = (begin(&client, &request), View::default());
        take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        for index in 0..50 {
            pay(&mut scene.chain, index);
            scene.chain.mine(1);
            if index % 20 == 7 {
                scene.chain.reorg(3);
            }
            scene.append();
            // The server sees each of them, and has nobody to tell.
            client.locate(vec![scene.chain.tip_hash()]).await.unwrap();
        }
        let events = take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        assert!(!words(&events).iter().any(|word| word.starts_with("disconnected")), "what came and went is not told");
        assert_eq!(view.height, Some(scene.chain.tip_height()));
        assert_eq!(view.transactions, fresh(&client, &request).await);
    });
}

#[test]
fn a_following_that_is_broken_off_goes_on_from_its_saved_checkpoint() {
    let mut scene = Scene::serve(paid(3), Manner::default());
    let (request, file) = (request(10), scene.server.beside("checkpoint"));
    patiently(async {
        let mut view = View::default();
        for round in 0..4 {
            let client = scene.server.client().await;
            let begun = Checkpoint::load(&file).unwrap();
            let checkpoint = begun.unwrap_or_else(|| Checkpoint::new(client.greeting().chain.genesis, &request));
            let mut follower = client.follow(request.clone(), checkpoint).unwrap();
            view = view.restarted();
            take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
            pay(&mut scene.chain, round);
            scene.chain.mine(1);
            scene.append();
            take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
            follower.checkpoint().save(&file).unwrap();
            drop(follower);
            // While nobody follows, what was told last is left, and more comes.
            scene.chain.reorg(round + 1);
            pay(&mut scene.chain, round + 2);
            scene.chain.mine(1);
            scene.append();
        }
        let client = scene.server.client().await;
        let checkpoint = Checkpoint::load(&file).unwrap().unwrap();
        let mut follower = client.follow(request.clone(), checkpoint).unwrap();
        view = view.restarted();
        take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        assert_eq!(view.transactions, fresh(&client, &request).await);
    });
}

#[test]
fn a_server_that_is_started_again_is_gone_on_with_and_no_block_is_told_twice_or_left_out() {
    let mut scene = Scene::serve(paid(3), Manner::default());
    let request = request(10);
    patiently(async {
        let (mut follower, mut view) = (begin(&scene.server.client().await, &request), View::default());
        take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        for round in 0..3 {
            pay(&mut scene.chain, round);
            scene.chain.mine(2);
            scene.append();
            take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
            scene.server.stop();
            let error = follower.next().await.unwrap().unwrap_err();
            assert!(matches!(error, ScanError::Call(CallError::Disconnected { .. })), "{error:?}");
            assert!(follower.next().await.is_none(), "an error is the end");
            scene.chain.reorg(1);
            scene.append();
            scene.server.start();
            follower.reconnect(scene.server.client().await).unwrap();
            let tip = scene.chain.tip_height();
            let events = take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
            let expected =
                [format!("disconnected {}", tip - 1), format!("connected {}", tip - 1), format!("connected {tip}")];
            assert_eq!(words(&events), expected);
        }
        assert_eq!(view.transactions, fresh(&scene.server.client().await, &request).await);
    });
}

/// The request of a wallet that has given out what this view has: that a use is taken back does not take its address back.
fn with_revealed(mut request: ScanRequest, view: &View) -> ScanRequest {
    let received = view.transactions.values().flat_map(|matches| matches.received.values());
    let index = |origin: &Origin| match *origin {
        Origin::Keychain { index, .. } => index,
        Origin::Script(_) | Origin::Outpoint(_) => None,
    };
    request.keychains[0].last_revealed = received.flat_map(|received| &received.origins).filter_map(index).max();
    request
}

#[test]
fn whatever_the_chain_does_the_view_of_a_follower_is_that_of_a_fresh_scan() {
    for seed in 1..=6_u32 {
        let mut dice = seed;
        let mut below = |bound: u32| {
            // A linear congruential generator, with the constants of "Numerical Recipes".
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 8) % bound
        };
        let owner = wallet();
        let mut scene = Scene::serve(paid(4), Manner::default());
        let request = request(4);
        patiently(async {
            let client = scene.server.client().await;
            let (mut follower, mut view) = (begin(&client, &request), View::default());
            take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
            for _ in 0..12 {
                for _ in 0..=below(3) {
                    let depth = below(4);
                    scene.chain.rewind(depth);
                    for _ in 0..=depth + below(2) {
                        if below(2) == 0 {
                            pay(&mut scene.chain, below(12));
                        }
                        if below(3) == 0 {
                            let coins = scene.chain.coins_of(&owner.script(ScriptKind::P2wpkh, below(4)));
                            if let Some(coin) = coins.into_iter().next() {
                                scene.chain.spend([&owner], &[coin], vec![]);
                            }
                        }
                        scene.chain.mine(1);
                    }
                    scene.append();
                }
                take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
                for block in &view.blocks {
                    assert_eq!(block.hash, scene.chain.hash_at(block.height.0), "seed {seed}");
                }
                let expected = fresh(&client, &with_revealed(request.clone(), &view)).await;
                assert!(view.transactions == expected, "seed {seed}: {:#?}, and {expected:#?}", view.transactions);
            }
        });
    }
}

#[test]
fn a_wait_for_a_tip_that_moved_before_is_answered_at_once_and_one_for_the_same_when_its_time_is_up() {
    let mut scene = Scene::serve(paid(0), Manner::default());
    patiently(async {
        let client = scene.server.client().await;
        let known = Some(scene.chain.tip_hash());
        let long = Duration::from_secs(1_000);
        assert_eq!(client.wait_tip(None, long).await.unwrap().unwrap().hash, scene.chain.tip_hash());
        assert_eq!(client.wait_tip(known, Duration::ZERO).await.unwrap().unwrap().hash, scene.chain.tip_hash());
        scene.chain.mine(1);
        scene.append();
        let moved = client.wait_tip(known, long).await.unwrap().unwrap();
        assert_eq!((moved.height.0, moved.hash), (111, scene.chain.tip_hash()));
        // Somebody else's question is enough for one who waits already.
        let other = scene.server.client().await;
        let waiting = client.wait_tip(Some(moved.hash), long);
        scene.chain.mine(1);
        scene.append();
        let (tip, _found) = tokio::join!(waiting, other.locate(vec![]));
        assert_eq!(tip.unwrap().unwrap().hash, scene.chain.tip_hash());
    });
}

#[test]
fn the_summary_of_one_that_caught_up_is_that_of_all_scans() {
    let mut scene = Scene::serve(paid(3), Manner::default());
    let request = request(10);
    patiently(async {
        let client = scene.server.client().await;
        let summary_of = |events: Vec<FollowEvent>| -> Option<Summary> {
            events.into_iter().find_map(|event| match event {
                FollowEvent::CaughtUp(summary) => Some(summary),
                _ => None,
            })
        };
        let (mut follower, mut view) = (begin(&client, &request), View::default());
        take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        let checkpoint = follower.checkpoint().clone();
        pay(&mut scene.chain, 3);
        scene.chain.mine(1);
        scene.append();
        let mut again = client.follow(request.clone(), checkpoint).unwrap();
        let events = take_to(&mut again, &mut View::default(), scene.chain.tip_hash()).await;
        let summary = summary_of(events).unwrap();
        assert_eq!((summary.unspent_count, summary.unspent.to_sat()), (4, 36_000));
        assert_eq!((summary.range.first().0, summary.tip.hash), (0, scene.chain.tip_hash()));
    });
}

#[test]
fn what_is_watched_is_sent_again_only_if_the_wallet_has_changed() {
    const SCRIPTS: u32 = 2_000;
    let mut scene = Scene::serve(paid(1), Manner::default());
    let stranger = TestWallet::new("stranger");
    let mut request = request(10);
    request.scripts = (0..SCRIPTS).map(|index| stranger.script(ScriptKind::P2wpkh, index)).collect();
    patiently(async {
        let client = scene.server.client().await;
        let (mut follower, mut view) = (begin(&client, &request), View::default());
        take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
        // The first one tells the server what the scan has found.
        let mut sent = Vec::new();
        for index in [None, None, None, Some(1), None, None] {
            if let Some(index) = index {
                pay(&mut scene.chain, index);
            }
            scene.chain.mine(1);
            scene.append();
            let before = client.traffic().sent.bytes;
            take_to(&mut follower, &mut view, scene.chain.tip_hash()).await;
            sent.push(client.traffic().sent.bytes - before > u64::from(SCRIPTS) * 22);
        }
        assert_eq!(sent, [true, false, false, false, true, false]);
    });
}
