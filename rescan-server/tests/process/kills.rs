//! A server that is killed at any moment: whoever waits for it hears of that, and never waits for ever.

use std::time::Duration;

use futures::StreamExt;
use rescan_client::report::Outcome;
use rescan_client::{Client, ConnectError, ScanError, ScanRequest};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, patiently, shipped};
use rustix::process::Signal;

use crate::start;

/// How often it is killed: `RESCAN_KILLS` says otherwise.
fn kills() -> u64 {
    std::env::var("RESCAN_KILLS").map_or(24, |kills| kills.parse().unwrap())
}

/// Long enough that some scans are over before, short enough that most are not.
const MOMENT_MAX_MICROS: u64 = 120_000;

/// What is under way when the server is killed.
async fn ask(client: &Client, request: ScanRequest, what: u64) -> Result<(), ScanError> {
    match what {
        0 => {
            let told = ScanRecord::of(client.scan(request).await?).await;
            told.end.map(|summary| assert_eq!(summary.outcome, Outcome::Complete))
        }
        1 => shipped(client.blocks(request.range).await?).await.1.map(drop),
        // Many scripts, so that it is killed while they are sent or compiled.
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
#[expect(clippy::print_stdout, reason = "how many kills came in time differs from run to run")]
fn whoever_waits_for_a_server_that_is_killed_hears_of_it_whatever_was_asked() {
    let script = TestWallet::new("ursula").script(ScriptKind::P2wpkh, 0);
    let scene = Scene::write(Scene::talkative(&script, 150, 400), Manner::default());
    let mut heard = [0; 2];
    for kill in 0..kills() {
        let server = start(&scene.server, &["--workers", "2"]);
        let client = patiently(server.client());
        let killer = std::thread::spawn(move || {
            // Any moment will do, and no test hangs on which.
            let moment = MOMENT_MAX_MICROS * (kill * 7_919 % 1_009) / 1_009;
            std::thread::sleep(Duration::from_micros(moment));
            server.signal(Signal::KILL);
            server.wait()
        });
        let request = ScanRequest::new().script(script.clone());
        match patiently(ask(&client, request.clone(), kill % 5)) {
            Ok(()) => heard[0] += 1,
            Err(ScanError::Call(error)) => {
                assert!(!error.to_string().is_empty());
                heard[1] += 1;
            }
            Err(other) => panic!("{other}"),
        }
        killer.join().unwrap();
        // From here on every question ends at once, and so does a new connection.
        let again = patiently(ask(&client, request, kill % 5));
        assert!(matches!(again, Err(ScanError::Call(_))), "{again:?}");
        let refused = patiently(Client::connect(scene.server.socket()));
        assert!(matches!(refused, Err(ConnectError::ConnectionRefused { .. })), "{refused:?}");
    }
    println!("{} kills: {} were through before, {} heard of it", kills(), heard[0], heard[1]);
    assert!(heard[1] >= heard[0]);
}
