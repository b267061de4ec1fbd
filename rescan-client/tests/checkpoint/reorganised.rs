//! Scans whose chain is left, between two runs and in the middle of one.

use futures::StreamExt;
use rescan_client::report::Outcome;
use rescan_client::{Checkpoint, ScanRequest};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_tests::{Manner, Scene, patiently};

use crate::{Heard, ResumeEvent, assert_same, at_once, busy, new, run_through, script};

/// Scripts that were derived already: most of these tests' time would go into deriving.
fn request() -> ScanRequest {
    (0..120).fold(ScanRequest::new(), |request, index| request.script(script(index)))
}

/// A hundred and ten blocks that pay the wallet, above those that it takes to have money.
fn scene() -> Scene {
    let mut chain = ChainBuilder::new();
    busy(&mut chain, 110);
    Scene::serve(chain, Manner::default())
}

#[test]
fn what_a_reorganisation_took_back_is_withdrawn_at_every_depth() {
    let mut scene = scene();
    patiently(async {
        let client = scene.server.client().await;
        let mut heard = Heard::default();
        let (mut checkpoint, _) = run_through(&client, &request(), new(&client, &request()), &mut heard).await;
        for depth in 1..=100u32 {
            let fork = scene.chain.tip_height() - depth;
            let fallen = heard.transactions.keys().filter(|(height, ..)| height.0 > fork).count();
            scene.chain.reorg(depth);
            // Something to find on every branch.
            scene.chain.coinbase_to(&script(depth % 50)).mine(1);
            scene.append();
            let before = heard.withdrawn;
            let (next, last) = run_through(&client, &request(), checkpoint, &mut heard).await;
            assert_eq!(heard.withdrawn - before, fallen, "depth {depth}");
            let (expected, summary) = at_once(&client, &request()).await;
            assert_eq!(heard.transactions, expected.transactions, "depth {depth}");
            assert_same(&last, &summary);
            checkpoint = next;
        }
        assert_eq!(heard.restarted, 0);
    });
}

#[test]
fn a_reorganisation_deeper_than_the_undo_starts_again_and_says_so() {
    let mut chain = ChainBuilder::new();
    chain.pay(&script(0), 300);
    let mut scene = Scene::serve(chain, Manner::default());
    patiently(async {
        let client = scene.server.client().await;
        let mut heard = Heard::default();
        let (checkpoint, _) = run_through(&client, &request(), new(&client, &request()), &mut heard).await;
        scene.chain.reorg(295);
        scene.append();
        let (_, last) = run_through(&client, &request(), checkpoint, &mut heard).await;
        assert_eq!((heard.restarted, heard.withdrawn), (1, 288));
        let (expected, summary) = at_once(&client, &request()).await;
        assert_eq!(heard.transactions, expected.transactions);
        assert_same(&last, &summary);
    });
}

#[test]
fn a_chain_that_is_left_in_the_middle_of_a_scan_is_taken_back_at_its_end() {
    for depth in [1u32, 10, 100] {
        // Enough to tell that the scan waits for the wallet before it has come far.
        let mut scene = Scene::serve(Scene::talkative(&script(0), 150, 1_000), Manner::default());
        patiently(async {
            let client = scene.server.client().await;
            let mut heard = Heard::default();
            let (checkpoint, left) = leave_midway(&mut scene, depth, &mut heard).await;
            assert_eq!(left, Outcome::ReorganisedFrom(rescan_client::position::Height(151 - depth)));
            assert!(heard.transactions.keys().all(|(height, ..)| height.0 <= 150 - depth));
            let (_, last) = run_through(&client, &request(), checkpoint, &mut heard).await;
            let (expected, summary) = at_once(&client, &request()).await;
            assert_eq!(heard.transactions, expected.transactions);
            assert_same(&last, &summary);
        });
    }
}

/// Has the chain leave its last `depth` blocks once the first report is heard, and hears the scan to its end.
async fn leave_midway(scene: &mut Scene, depth: u32, heard: &mut Heard) -> (Checkpoint, Outcome) {
    let client = scene.server.client().await;
    let request = request();
    let mut scan = client.resume(request.clone(), new(&client, &request)).unwrap();
    let mut is_left = false;
    loop {
        match scan.next().await.expect("it ends with a summary").unwrap() {
            ResumeEvent::Report(report) => {
                heard.add(report);
                if !is_left {
                    is_left = true;
                    scene.chain.reorg(depth);
                    scene.append();
                    // Whoever asks has the server look at the files again.
                    let tip = scene.chain.hash_at(150 - depth);
                    let found = scene.server.client().await.locate(vec![tip]).await.unwrap();
                    assert_eq!(found.map(|found| found.height.0), Some(150 - depth));
                }
            }
            ResumeEvent::Reverted(withdrawn) => heard.withdraw(&withdrawn),
            ResumeEvent::Finished(summary) => return (scan.checkpoint().clone(), summary.outcome),
            _ => {}
        }
    }
}
