//! New blocks, and their events for a wallet.

use rescan_client::FollowEvent;
use rescan_client::report::Summary;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, patiently};

use super::{Following, View, fresh, paid, pay, request, words};

#[test]
fn blocks_that_come_are_told_one_by_one_each_before_its_transactions() {
    let mut scene = Scene::serve(paid(2), Manner::default());
    let request = request(10);
    patiently(async {
        let client = scene.server.client().await;
        let mut following = Following::begin(&client, &request);
        let caught_up = following.catch_up(&scene).await;
        assert_eq!(words(&caught_up), ["report 111", "report 112"]);
        scene.chain.mine(1);
        pay(&mut scene.chain, 2);
        scene.chain.mine(2);
        scene.append();
        let events = following.catch_up(&scene).await;
        assert_eq!(words(&events), ["connected 113", "connected 114", "report 114", "connected 115"]);
        for block in &following.view.blocks {
            assert_eq!(block.hash, scene.chain.hash_at(block.height.0));
            assert_eq!(block.time, scene.chain.block_at(block.height.0).header.time);
        }
        assert_eq!(following.view.transactions, fresh(&client, &request).await);
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
        let mut following = Following::at_tip(&client, &request, &scene).await;
        assert_eq!(following.view.transactions.len(), 1);
        for (index, told) in [(3, 3), (8, 4), (11, 5)] {
            pay(&mut scene.chain, index);
            scene.chain.mine(1);
            scene.append();
            following.catch_up(&scene).await;
            assert_eq!(following.view.transactions.len(), told, "after index {index}");
            assert_eq!(following.view.transactions, fresh(&client, &request).await);
        }
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
        let following = Following::at_tip(&client, &request, &scene).await;
        let checkpoint = following.follower.checkpoint().clone();
        pay(&mut scene.chain, 3);
        scene.chain.mine(1);
        scene.append();
        let mut again = Following::resume(&client, &request, checkpoint, View::default());
        let summary = summary_of(again.catch_up(&scene).await).unwrap();
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
        let mut following = Following::at_tip(&client, &request, &scene).await;
        // The first one sends the scan's result to the server.
        let mut sent = Vec::new();
        for index in [None, None, None, Some(1), None, None] {
            if let Some(index) = index {
                pay(&mut scene.chain, index);
            }
            scene.chain.mine(1);
            scene.append();
            let before = client.traffic().sent.bytes;
            following.catch_up(&scene).await;
            sent.push(client.traffic().sent.bytes - before > u64::from(SCRIPTS) * 22);
        }
        assert_eq!(sent, [true, false, false, false, true, false]);
    });
}
