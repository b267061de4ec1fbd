//! A node that leaves blocks, is ended at any moment, and comes back with less than it had.

use rescan_client::report::Outcome;
use rescan_tests::{Manner, ScanRecord, patiently};

use crate::scene::LiveScene;

/// How deep a reorganisation is, at the most.
const DEPTH_MAX: u32 = 20;

#[test]
fn reorganisations_of_any_depth_under_a_running_scan_leave_nothing_false() {
    let Some(mut scene) = LiveScene::start(&["-fastprune"], Manner::default()) else { return };
    scene.mine(2 * DEPTH_MAX);
    patiently(async {
        scene.agrees().await;
        let client = scene.server.client().await;
        for depth in 1..=DEPTH_MAX {
            let running = client.scan(scene.watch()).await.unwrap();
            let left = scene.reorganise(depth);
            let found = ScanRecord::of(running).await;
            match found.summary().outcome {
                Outcome::Complete | Outcome::ReorganisedFrom(_) => {}
                outcome => panic!("{outcome:?} where {depth} blocks were left"),
            }
            scene.agrees().await;
            if depth % 3 == 0 {
                // The branch that was left has less work than the one it was left for: to take it back changes nothing,
                // until that one is left in turn.
                scene.node.reconsider(&left);
                scene.agrees().await;
                let other = scene.node.hash_at(scene.node.tip().0 - depth);
                scene.node.invalidate(&other);
                scene.agrees().await;
                scene.node.reconsider(&other);
                scene.agrees().await;
            }
        }
    });
}

#[test]
fn a_branch_that_the_node_was_told_to_leave_is_not_answered_though_it_has_the_most_work_on_disk() {
    let Some(mut scene) = LiveScene::start(&[], Manner::default()) else { return };
    scene.pay(60);
    patiently(async {
        scene.agrees().await;
        scene.node.invalidate(&scene.node.hash_at(11));
        scene.agrees().await;
        assert_eq!(scene.paid_heights(0), (1..=10).collect::<Vec<_>>());
        scene.node.mine(1);
        scene.pay(5);
        scene.agrees().await;
        assert_eq!(scene.paid_heights(0), (1..=10).chain(12..=16).collect::<Vec<_>>());
    });
}

#[test]
fn a_node_that_was_killed_and_rewrites_its_finished_files_is_answered_as_it_is_now() {
    let Some(mut scene) = LiveScene::start(&["-fastprune"], Manner::default()) else { return };
    scene.mine(800);
    patiently(async {
        scene.agrees().await;
        let client = scene.server.client().await;
        let running = client.scan(scene.watch()).await.unwrap();
        scene.node.kill();
        drop(ScanRecord::of(running).await);
        scene.node.restart();
        let back_to = scene.node.tip().0;
        assert!(back_to < 800, "the node had written everything, and goes back to {back_to}: nothing is tested");
        scene.agrees().await;
        // Other blocks at the places of those that were lost, in files that had been finished.
        scene.pay(300);
        scene.agrees().await;
    });
}

#[test]
fn a_node_that_is_stopped_started_and_killed_while_it_mines_is_always_come_back_to() {
    let Some(mut scene) = LiveScene::start(&["-fastprune"], Manner::default()) else { return };
    patiently(async {
        for round in 0..4 {
            scene.mine(30);
            scene.agrees().await;
            if round % 2 == 0 {
                scene.node.stop();
            } else {
                scene.node.kill();
            }
            scene.node.restart();
            scene.agrees().await;
        }
    });
}
