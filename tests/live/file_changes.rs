//! A node that mines, rolls its files over, prunes and reads everything anew, while it is scanned.

use rescan_client::position::Height;
use rescan_client::report::Outcome;
use rescan_client::{RangeEnd, RangeRequest, RangeStart};
use rescan_tests::{Manner, ScanRecord, eventually, patiently, scan};

use crate::scene::{LiveScene, PATIENCE};

/// Small block files, so that there are many: 64 KiB each.
const SMALL_FILES: &str = "-fastprune";

fn mapped() -> Manner {
    Manner { is_mapped: true, ..Manner::default() }
}

#[test]
fn scans_beside_a_node_that_mines_and_rolls_its_files_over_are_right_at_every_moment() {
    // A finished file is truncated to its data: were it mapped further than that, this process
    // would end.
    for arguments in [[SMALL_FILES, "-blocksxor=0"], [SMALL_FILES, "-blocksxor=1"]] {
        let Some(mut scene) = LiveScene::start(&arguments, mapped()) else { return };
        patiently(async {
            let client = scene.server.client().await;
            for _ in 0..8 {
                let before = scene.node.tip().0;
                let running = client.scan(scene.watch()).await.unwrap();
                scene.mine(50);
                let found = ScanRecord::of(running).await;
                // It was pinned to a chain of some moment in between, whose answer is a beginning
                // of the last one's.
                assert_eq!(found.summary().outcome, Outcome::Complete);
                let to = found.summary().range.last().0;
                assert!(to >= before, "{to} is below {before}");
                let expected: Vec<u32> = scene.paid_heights(0).into_iter().filter(|height| *height <= to).collect();
                assert_eq!(found.heights(), expected);
            }
            scene.agrees().await;
        });
        assert!(std::fs::metadata(scene.node.blocks_dir().join("blk00001.dat")).is_ok(), "no file was finished");
    }
}

#[test]
fn a_range_whose_files_the_node_prunes_ends_as_pruned_and_what_is_left_is_right() {
    let Some(mut scene) = LiveScene::start(&["-prune=1", SMALL_FILES], mapped()) else { return };
    scene.pay(1_000);
    patiently(async {
        scene.agrees().await;
        let client = scene.server.client().await;
        for below in [300, 550, 700] {
            let running = client.scan(scene.watch()).await.unwrap();
            scene.node.rpc(&["pruneblockchain", &below.to_string()]);
            let during = ScanRecord::of(running).await;
            match during.summary().outcome {
                Outcome::Complete => assert_eq!(during.heights().last(), Some(&1_000)),
                Outcome::PrunedBelow(_) => {}
                outcome => panic!("{outcome:?}"),
            }
            let after = scan(&client, scene.watch()).await;
            let Outcome::PrunedBelow(lowest) = after.summary().outcome else {
                panic!("expected blocks below {below} to be pruned, found {:?}", after.summary().outcome);
            };
            assert!(after.reports.is_empty());
            let range = RangeRequest { from: RangeStart::Height(lowest), to: RangeEnd::Tip };
            let mut left = scene.watch();
            left.range = range;
            let found = scene.scanned_at_the_tip(&client, left).await;
            assert_eq!(found.heights(), (lowest.0..=1_000).collect::<Vec<_>>());
            assert!(lowest > Height(below - 300) && lowest <= Height(below + 1), "{lowest} after pruning to {below}");
        }
    });
}

#[test]
fn a_node_that_reads_its_files_anew_is_followed_through_it() {
    let Some(mut scene) = LiveScene::start(&[SMALL_FILES], mapped()) else { return };
    scene.mine(300);
    patiently(async {
        scene.agrees().await;
        let tip = scene.node.tip();
        scene.node.stop();
        scene.node.set_arguments(&[SMALL_FILES, "-reindex"]);
        scene.node.restart();
        // It answers before it has read them all, and until then its tip moves on beneath every
        // comparison.
        let has_read = async || (scene.node.tip() == tip).then_some(());
        eventually("the node has read its files anew", PATIENCE, has_read).await;
        scene.agrees().await;
        scene.mine(20);
        scene.agrees().await;
    });
}
