//! Blocks that are left: of any depth, from before the following, deeper than is remembered, and at
//! random.

use bitcoin::BlockHash;
use rescan_client::report::Origin;
use rescan_client::{FollowEvent, ScanRequest};
use rescan_fixtures::test_wallet::ScriptKind;
use rescan_tests::{Manner, Scene, patiently};

use super::{Following, View, fresh, paid, pay, request, wallet, words};

#[test]
fn a_reorganisation_of_any_depth_is_taken_back_from_the_tip_down_before_what_takes_its_place() {
    let mut scene = Scene::serve(paid(2), Manner::default());
    let request = request(10);
    patiently(async {
        let client = scene.server.client().await;
        let mut following = Following::at_tip(&client, &request, &scene).await;
        for depth in 1..=5 {
            // Every block that is to be left pays.
            for index in 0..depth {
                pay(&mut scene.chain, index);
                scene.chain.mine(1);
            }
            scene.append();
            following.catch_up(&scene).await;
            let tip = scene.chain.tip_height();
            let left: Vec<BlockHash> = (tip + 1 - depth..=tip).map(|height| scene.chain.hash_at(height)).collect();
            scene.chain.reorg(depth);
            scene.append();
            let events = following.catch_up(&scene).await;
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
            assert_eq!(following.view.transactions, fresh(&client, &request).await, "depth {depth}");
        }
    });
}

#[test]
fn blocks_from_before_the_following_are_disconnected_by_name_too() {
    let mut scene = Scene::serve(paid(4), Manner::default());
    let request = request(10);
    patiently(async {
        let client = scene.server.client().await;
        let mut following = Following::at_tip(&client, &request, &scene).await;
        scene.chain.reorg(3);
        scene.append();
        let events = following.catch_up(&scene).await;
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
        assert_eq!(following.view.transactions, fresh(&client, &request).await);
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
        let mut following = Following::at_tip(&client, &request, &scene).await;
        scene.chain.reorg(295);
        scene.append();
        let events = following.catch_up(&scene).await;
        assert_eq!(words(&events), ["restarted", "report 111"]);
        assert_eq!(following.view.transactions, fresh(&client, &request).await);
        // And 288 are few enough.
        scene.chain.reorg(287);
        scene.append();
        let words = words(&following.catch_up(&scene).await);
        assert_eq!(
            (words.len(), words[0].as_str(), words[287].as_str()),
            (287 + 288, "disconnected 412", "connected 126")
        );
    });
}

/// The request of a wallet that has revealed the addresses of this view: a reverted use does not
/// withdraw its address.
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
            let mut following = Following::at_tip(&client, &request, &scene).await;
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
                following.catch_up(&scene).await;
                for block in &following.view.blocks {
                    assert_eq!(block.hash, scene.chain.hash_at(block.height.0), "seed {seed}");
                }
                let expected = fresh(&client, &with_revealed(request.clone(), &following.view)).await;
                let told = &following.view.transactions;
                assert!(*told == expected, "seed {seed}: {told:#?}, and {expected:#?}");
            }
        });
    }
}
