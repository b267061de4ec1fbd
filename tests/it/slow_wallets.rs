//! Wallets that read slowly or cancel in mid-scan.

use futures::StreamExt;
use rescan_client::report::{Outcome, Phase};
use rescan_client::{ScanEvent, ScanRequest, ScanStream};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, patiently, scan};

const BLOCKS: u32 = 150;

fn script() -> bitcoin::ScriptBuf {
    TestWallet::new("erin").script(ScriptKind::P2tr, 0)
}

fn watch() -> ScanRequest {
    ScanRequest::new().script(script())
}

fn talkative() -> Scene {
    Scene::serve(Scene::talkative(&script(), BLOCKS, 1_000), Manner::default())
}

async fn first_report(stream: &mut ScanStream) {
    let Some(Ok(ScanEvent::Report(_))) = stream.next().await else { panic!("a report comes first") };
}

#[test]
fn a_wallet_that_reads_slowly_holds_its_own_scan_back_and_no_other() {
    let scene = talkative();
    patiently(async {
        let client = scene.server.client().await;
        let mut slow = client.scan(watch()).await.unwrap();
        first_report(&mut slow).await;
        // On the same connection and on another.
        for client in [client.clone(), scene.server.client().await] {
            assert_eq!(scan(&client, watch()).await.reports.len(), BLOCKS as usize);
        }
        let progress = slow.progress().await.unwrap();
        assert_eq!(progress.phase, Phase::Walking);
        let rest = ScanRecord::of(slow).await;
        assert_eq!(rest.reports.len(), BLOCKS as usize - 1);
        assert_eq!(rest.summary().outcome, Outcome::Complete);
    });
}

#[test]
fn a_scan_that_is_cancelled_keeps_what_it_told_and_says_how_far_it_came() {
    let scene = talkative();
    patiently(async {
        let client = scene.server.client().await;
        let mut stream = client.scan(watch()).await.unwrap();
        first_report(&mut stream).await;
        let handle = stream.handle();
        let (cancelled, rest) = tokio::join!(handle.cancel(), ScanRecord::of(stream));
        cancelled.unwrap();
        let summary = rest.summary();
        assert_eq!(summary.outcome, Outcome::Cancelled);
        let told = rest.heights();
        assert_eq!(told, (2..2 + u32::try_from(told.len()).unwrap()).collect::<Vec<_>>(), "a gap");
        assert!(told.len() < BLOCKS as usize - 1, "the scan was not cancelled");
        let through = told.last().copied().unwrap_or(1);
        assert_eq!(summary.locator.first(), Some(&scene.chain.hash_at(through)));
        assert_eq!(summary.transactions, u64::from(through));
    });
}
