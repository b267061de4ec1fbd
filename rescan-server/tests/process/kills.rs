//! A server that is killed at any moment: every waiting client gets an error, and none waits for ever.

use std::time::Duration;

use futures::StreamExt;
use rescan_client::report::Outcome;
use rescan_client::{Client, ConnectError, ScanError, ScanRequest};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, patiently, shipped};
use rustix::process::Signal;

use crate::start;

/// The number of kills; `RESCAN_KILLS` overrides it.
fn kills() -> u64 {
    std::env::var("RESCAN_KILLS").map_or(24, |kills| kills.parse().unwrap())
}

/// Some scans end before the kill, most do not.
const MOMENT_MAX_MICROS: u64 = 120_000;

/// The call during which the server is killed.
async fn call(client: &Client, request: ScanRequest, kind: u64) -> Result<(), ScanError> {
    match kind {
        0 => {
            let scanned = ScanRecord::of(client.scan(request).await?).await;
            scanned.end.map(|summary| assert_eq!(summary.outcome, Outcome::Complete))
        }
        1 => shipped(client.blocks(request.range).await?).await.1.map(drop),
        // Many scripts, so that the kill comes while they are sent or compiled.
        2 => {
            let script = |number: u32| bitcoin::ScriptBuf::from_bytes(number.to_le_bytes().repeat(8));
            let request = (0..60_000).map(script).fold(request, ScanRequest::script);
            let mut stream = client.scan(request).await?;
            while let Some(event) = stream.next().await {
                event?;
            }
            Ok(())
        }
        3 => loop {
            client.info().await?;
        },
        _ => loop {
            client.locate(vec![client.server_info().chain.genesis]).await?;
        },
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the number of kills in time differs from run to run")]
fn every_call_to_a_killed_server_ends_with_an_error() {
    let script = TestWallet::new("ursula").script(ScriptKind::P2wpkh, 0);
    let scene = Scene::write(Scene::talkative(&script, 150, 400), Manner::default());
    let (mut completed, mut failed) = (0, 0);
    for kill in 0..kills() {
        let server = start(&scene.server, &["--workers", "2"]);
        let client = patiently(server.client());
        let killer = std::thread::spawn(move || {
            // No assertion depends on the exact moment.
            let moment = MOMENT_MAX_MICROS * (kill * 7_919 % 1_009) / 1_009;
            std::thread::sleep(Duration::from_micros(moment));
            server.signal(Signal::KILL);
            server.wait()
        });
        let request = ScanRequest::new().script(script.clone());
        match patiently(call(&client, request.clone(), kill % 5)) {
            Ok(()) => completed += 1,
            Err(ScanError::Call(error)) => {
                assert!(!error.to_string().is_empty());
                failed += 1;
            }
            Err(other) => panic!("{other}"),
        }
        killer.join().unwrap();
        // Later calls and connections fail at once.
        let again = patiently(call(&client, request, kill % 5));
        assert!(matches!(again, Err(ScanError::Call(_))), "{again:?}");
        let refused = patiently(Client::connect(scene.server.socket()));
        assert!(matches!(refused, Err(ConnectError::ConnectionRefused { .. })), "{refused:?}");
    }
    println!("{} kills: {completed} calls completed before, {failed} failed", kills());
    assert!(failed >= completed);
}
