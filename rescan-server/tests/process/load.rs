//! Clients that misbehave, each kind by itself and all at once, against the program: what it promises, it keeps.
//!
//! For longer: `cargo run --release -p rescan-tests --bin rescan-load -- --seconds 1800`.

use std::time::Duration;

use rescan_client::ScanRequest;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::load::{Behaviour, Load, Report};
use rescan_tests::{Manner, Scene};

use crate::start;

const BLOCKS: u32 = 200;

fn load(behaviours: &[Behaviour], time: Duration) -> Report {
    let script = TestWallet::new("load").script(ScriptKind::P2tr, 0);
    let scene = Scene::write(Scene::laden(&script, BLOCKS), Manner::default());
    let server = start(&scene.server, &["--workers", "2"]);
    let load = Load {
        socket: scene.server.socket(),
        pid: Some(server.id()),
        request: ScanRequest::new().script(script),
        transactions: BLOCKS.into(),
        coins: (BLOCKS * Scene::LADEN_OUTPUTS).into(),
        behaviours: behaviours.to_vec(),
        time,
        seed: 7,
    };
    load.run().unwrap()
}

#[expect(clippy::print_stderr, reason = "a test that was skipped says so")]
fn keeps_its_promises(behaviours: &[Behaviour], time: Duration) {
    let report = load(behaviours, time);
    for (behaviour, tally) in &report.tallies {
        if let Some(why) = &tally.skipped {
            eprintln!("SKIPPED: {}: {why}", behaviour.name());
        }
    }
    assert!(report.broken().is_empty(), "{report}");
}

#[test]
fn connections_that_say_nothing_cost_next_to_nothing() {
    keeps_its_promises(&[Behaviour::Idle], Duration::from_secs(2));
}

#[test]
fn scans_by_the_dozen_all_come_to_the_right_answer() {
    keeps_its_promises(&[Behaviour::Scans], Duration::from_secs(2));
}

#[test]
fn clients_that_do_not_read_hold_up_nobody() {
    keeps_its_promises(&[Behaviour::NeverReads, Behaviour::OneByteASecond], Duration::from_secs(3));
}

#[test]
fn clients_that_vanish_leave_nothing_behind() {
    keeps_its_promises(&[Behaviour::Vanishes], Duration::from_secs(2));
}

#[test]
fn noise_and_messages_in_any_order_do_no_harm() {
    keeps_its_promises(&[Behaviour::RandomBytes, Behaviour::RandomMessages], Duration::from_secs(4));
}

#[test]
fn calls_that_are_never_finished_end_their_connection() {
    keeps_its_promises(&[Behaviour::NeverFinishes], Duration::from_secs(2));
}

#[test]
fn the_largest_message_is_taken_and_half_of_it_is_not_waited_for_by_others() {
    keeps_its_promises(&[Behaviour::LargestMessage, Behaviour::HalfMessages], Duration::from_secs(3));
}

#[test]
fn another_user_is_told_nothing() {
    keeps_its_promises(&[Behaviour::OtherUser], Duration::from_secs(1));
}

#[test]
fn all_of_them_at_once_are_borne() {
    keeps_its_promises(&Behaviour::ALL, Duration::from_secs(5));
}
