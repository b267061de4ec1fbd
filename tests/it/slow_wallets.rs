//! Wallets that read slowly, give up or vanish in the midst of a scan.

use futures::StreamExt;
use rescan_client::report::{Outcome, Phase};
use rescan_client::{CallError, ScanEvent, ScanRequest, ScanStream};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::session::guard::limits::SessionLimits;
use rescan_tests::{Manner, ScanRecord, Scene, patiently, scan};

const BLOCKS: u32 = 150;

fn script() -> bitcoin::ScriptBuf {
    TestWallet::new("erin").script(ScriptKind::P2tr, 0)
}

fn watch() -> ScanRequest {
    ScanRequest::new().script(script())
}

fn talkative(limits: SessionLimits) -> Scene {
    Scene::serve(Scene::talkative(&script(), BLOCKS, 1_000), Manner { limits, ..Manner::default() })
}

async fn first_report(stream: &mut ScanStream) {
    let Some(Ok(ScanEvent::Report(_))) = stream.next().await else { panic!("a report comes first") };
}

#[test]
fn a_wallet_that_reads_slowly_holds_its_own_scan_back_and_no_other() {
    let scene = talkative(SessionLimits::default());
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
fn a_scan_that_is_dropped_makes_room_for_the_next() {
    let scene = talkative(SessionLimits { scans_per_connection_max: 1, ..SessionLimits::default() });
    patiently(async {
        let client = scene.server.client().await;
        for _ in 0..5 {
            let mut given_up = client.scan(watch()).await.unwrap();
            first_report(&mut given_up).await;
            let handle = given_up.handle();
            drop(given_up);
            assert!(matches!(handle.progress().await, Err(CallError::Ended)));
        }
        assert_eq!(scan(&client, watch()).await.reports.len(), BLOCKS as usize);
    });
}

#[test]
fn wallets_that_vanish_in_mid_scan_make_room_for_the_next() {
    let scene = talkative(SessionLimits { connections_max: 1, ..SessionLimits::default() });
    patiently(async {
        for _ in 0..5 {
            let client = loop {
                // The server learns of the one before in its own time.
                if let Ok(client) = rescan_client::Client::connect(scene.server.socket()).await {
                    break client;
                }
            };
            let mut stream = client.scan(watch()).await.unwrap();
            first_report(&mut stream).await;
        }
    });
}

#[test]
fn a_scan_that_is_cancelled_keeps_what_it_told_and_says_how_far_it_came() {
    let scene = talkative(SessionLimits::default());
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
        assert!(told.len() < BLOCKS as usize - 1, "it was told everything");
        let through = told.last().copied().unwrap_or(1);
        assert_eq!(summary.locator.first(), Some(&scene.chain.hash_at(through)));
        assert_eq!(summary.transactions, u64::from(through));
    });
}
