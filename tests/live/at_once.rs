//! A request after the node has moved gets the node's chain as it is, without waiting for a
//! notice to arrive.

use rescan_client::report::Outcome;
use rescan_client::{Checkpoint, FollowEvent, ScanRequest};
use rescan_core::position::Height;
use rescan_tests::{Manner, eventually, patiently, scan};

use crate::following_wallet::FollowingWallet;
use crate::scene::{LiveScene, PATIENCE};

#[test]
fn a_scan_that_begins_after_the_node_has_moved_is_of_the_chain_to_which_it_has() {
    let Some(mut scene) = LiveScene::start(&[], Manner::default()) else { return };
    scene.mine(20);
    patiently(async {
        scene.agrees().await;
        let client = scene.server.client().await;
        for round in 0..30 {
            match round % 3 {
                0 => scene.mine(1 + round % 2),
                1 => scene.node.invalidate(&scene.node.tip().1),
                _ => scene.mine(2),
            }
            let found = scan(&client, scene.watch()).await;
            assert_eq!(found.summary().outcome, Outcome::Complete, "round {round}");
            assert_eq!(found.summary().tip.hash, scene.node.tip().1, "round {round}");
        }
        scene.agrees().await;
    });
}

#[test]
fn a_chain_that_falls_below_a_followers_range_is_taken_back_and_followed_when_it_is_there_again() {
    let Some(mut scene) = LiveScene::start(&[], Manner::default()) else { return };
    scene.pay(30);
    let from = 28;
    let request: ScanRequest = scene.watch().from_height(Height(from));
    patiently(async {
        scene.agrees().await;
        let late = FollowingWallet::start(scene.server.socket(), request.clone());
        let client = scene.server.client().await;
        let checkpoint = Checkpoint::new(client.server_info().chain.genesis, &request);
        let mut follower = client.follow(request.clone(), checkpoint).unwrap();
        scene.believed_by(&late, from).await;
        for fall in [3, 5, 12] {
            let left = scene.node.hash_at(scene.node.tip().0 - fall + 1);
            scene.node.invalidate(&left);
            let height = scene.node.tip().0;
            assert!(height < from, "it falls below");
            eventually("nothing is left", PATIENCE, || async { late.stands_at(height, &[]).then_some(()) }).await;
            scene.mine(fall + 1);
            scene.believed_by(&late, from).await;
            scene.agrees().await;
        }
        // A wallet that reads nothing meanwhile gets the same result.
        loop {
            let event = futures::StreamExt::next(&mut follower).await.unwrap().unwrap();
            if matches!(&event, FollowEvent::CaughtUp(summary) if summary.tip.hash == scene.node.tip().1) {
                break;
            }
        }
    });
}
