//! The end of the command by signals, and the start of the next one.

use rescan_client::report::Outcome;
use rescan_client::{Client, ScanRequest};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, patiently, scan};
use rustix::process::Signal;

use crate::start;

fn script() -> bitcoin::ScriptBuf {
    TestWallet::new("olivia").script(ScriptKind::P2wpkh, 0)
}

fn watch() -> ScanRequest {
    ScanRequest::new().script(script())
}

async fn found(client: &Client) -> usize {
    scan(client, watch()).await.reports.len()
}

#[test]
fn sigterm_cancels_scans_with_a_locator_of_their_position() {
    let scene = Scene::write(Scene::talkative(&script(), 150, 1_000), Manner::default());
    let server = start(&scene.server, &["--access", "read"]);
    patiently(async {
        let stream = server.client().await.scan(watch()).await.unwrap();
        // The scan walks once it answers for its chain; its reports exceed all buffers.
        stream.handle().block_ids(vec![]).await.unwrap();
        server.signal(Signal::TERM);
        let scanned = ScanRecord::of(stream).await;
        assert_eq!(scanned.summary().outcome, Outcome::Cancelled);
        let scanned_to = u32::try_from(scanned.reports.len()).unwrap();
        assert!(scanned_to < 150);
        let locator = scanned.summary().locator.first().copied();
        assert_eq!(locator, (scanned_to > 0).then(|| scene.chain.hash_at(scanned_to)));
    });
    assert!(server.wait().0.success());
}

#[test]
fn the_socket_of_a_server_that_was_killed_is_taken_over_and_its_state_is_whole() {
    let mut chain = ChainBuilder::new();
    chain.coinbase_to(&script()).mine(4);
    let scene = Scene::write(chain, Manner::default());
    for _ in 0..3 {
        let server = start(&scene.server, &[]);
        patiently(async { assert_eq!(found(&server.client().await).await, 1) });
        server.signal(Signal::KILL);
        let (_, log) = server.wait();
        assert!(scene.server.socket().exists(), "SIGKILL leaves it behind");
        assert!(!log.contains("unusable"), "{log}");
    }
}
