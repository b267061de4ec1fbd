//! How the command ends, and what the next one finds.

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
fn a_wallet_whose_server_is_told_to_stop_hears_how_far_its_scan_came() {
    let scene = Scene::write(Scene::talkative(&script(), 150, 1_000), Manner::default());
    let server = start(&scene.server, &["--access", "read"]);
    patiently(async {
        let stream = server.client().await.scan(watch()).await.unwrap();
        // It walks once it answers for its chain; what it tells does not fit between here and there.
        stream.handle().block_ids(vec![]).await.unwrap();
        server.signal(Signal::TERM);
        let told = ScanRecord::of(stream).await;
        assert_eq!(told.summary().outcome, Outcome::Cancelled);
        let through = u32::try_from(told.reports.len()).unwrap();
        assert!(through < 150);
        let locator = told.summary().locator.first().copied();
        assert_eq!(locator, (through > 0).then(|| scene.chain.hash_at(through)));
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
        assert!(scene.server.socket().exists(), "it had no chance to remove it");
        assert!(!log.contains("unusable"), "{log}");
    }
}
