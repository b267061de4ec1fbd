//! Clients that misbehave in every way at once, against the program: it keeps all its promises.
//!
//! The report names the promise and the behaviour that broke it. Each behaviour by itself is tested in `tests/session`.
//! For a longer run: `cargo run --release -p rescan-tests --bin rescan-load -- --seconds 1800`.

use std::time::Duration;

use rescan_client::ScanRequest;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::load::{Behaviour, Load};
use rescan_tests::{Manner, Scene};

use crate::start;

const BLOCKS: u32 = 200;

#[test]
#[expect(clippy::print_stderr, reason = "a skipped behaviour is reported")]
fn misbehaving_clients_of_all_kinds_at_once_break_no_promise() {
    let script = TestWallet::new("load").script(ScriptKind::P2tr, 0);
    let scene = Scene::write(Scene::laden(&script, BLOCKS), Manner::default());
    let server = start(&scene.server, &["--workers", "2"]);
    let load = Load {
        socket: scene.server.socket(),
        pid: Some(server.id()),
        request: ScanRequest::new().script(script),
        transactions: BLOCKS.into(),
        coins: (BLOCKS * Scene::LADEN_OUTPUTS).into(),
        behaviours: Behaviour::ALL.to_vec(),
        time: Duration::from_secs(5),
        seed: 7,
    };
    let report = load.run().unwrap();
    for (behaviour, tally) in &report.tallies {
        if let Some(why) = &tally.skipped {
            eprintln!("SKIPPED: {}: {why}", behaviour.name());
        }
    }
    assert!(report.broken().is_empty(), "{report}");
}
