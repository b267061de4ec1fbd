//! A node that invalidates blocks, is killed at any moment, and restarts with fewer blocks.

use rescan_client::report::Outcome;
use rescan_tests::{Manner, ScanRecord, patiently};

use crate::scene::LiveScene;

/// The depth of the deepest reorganisation, in blocks.
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
                outcome => panic!("{outcome:?} after {depth} blocks became stale"),
            }
            scene.agrees().await;
            if depth % 3 == 0 {
                // The stale branch has less work than the active one: reconsidering it changes
                // nothing until the active one is invalidated in turn.
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
        assert!(back_to < 800, "the node had written everything up to {back_to}: the test shows nothing");
        scene.agrees().await;
        // Other blocks at the offsets of the lost ones, in files that had been finished.
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
