//! A fill that ends before its end, and the one after it.

use std::sync::atomic::{AtomicBool, Ordering};

use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use serde_json::{Value, json};

use crate::running::Running;
use crate::scene::{FillScene, ranged};

/// Calls that a fill of [`long_history`] makes, at least.
const CALLS: u64 = 100;

/// A wallet `w` without its history, in which every other block has a match.
fn long_history() -> Option<FillScene> {
    let scene = FillScene::start(&[])?;
    let nadia = TestWallet::new("nadia");
    // Far enough apart that each match is a call, whatever a gap costs.
    for index in 0..u32::try_from(CALLS).unwrap() {
        scene.node.mine_to(1, &nadia.script(ScriptKind::P2wpkh, index % 20));
        scene.node.mine(6);
    }
    scene.pass_a_day();
    scene.create("w", false);
    scene.import("w", &json!([ranged(&scene.node, &nadia.descriptor(ScriptKind::P2wpkh), 999)]));
    scene.assert_empty("w");
    Some(scene)
}

fn fill_from_genesis(scene: &FillScene) -> Running {
    Running::start(&mut scene.command("w", &["--from-height", "0"]))
}

#[test]
fn a_second_fill_makes_no_call() {
    let Some(scene) = long_history() else { return };
    let first = fill_from_genesis(&scene).end();
    assert!(first.assert_equal().calls() >= CALLS);
    scene.assert_as_rescanned("w");
    let second = fill_from_genesis(&scene).end();
    assert_eq!(second.assert_equal().calls(), 0);
    assert_eq!(second.of_type("call").count(), 0);
}

#[test]
fn an_interrupted_fill_keeps_its_calls_and_the_next_goes_on() {
    let Some(scene) = long_history() else { return };
    let mut running = fill_from_genesis(&scene);
    running.until_calls(5);
    running.interrupt();
    let ended = running.end();
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert_eq!(ended.summary()["outcome"], "interrupted");
    let made = ended.calls();
    assert!((5..CALLS).contains(&made), "{made} calls before the signal");
    let rest = fill_from_genesis(&scene).end();
    // The call under way may have ended, and the last call is of the tip.
    assert!(rest.assert_equal().calls() <= CALLS + 1 - made + 1);
    scene.assert_as_rescanned("w");
}

#[test]
fn a_node_that_stops_in_the_middle_is_named_and_the_next_fill_goes_on() {
    let Some(mut scene) = long_history() else { return };
    let mut running = fill_from_genesis(&scene);
    running.until_calls(5);
    scene.node.stop();
    let ended = running.end();
    // A node that stops aborts the call under way, and refuses others for a moment.
    let is_answered = ended.stderr.contains("aborted") || ended.stderr.contains("503");
    let message = if is_answered { "the node is stopping" } else { "127.0.0.1" };
    ended.assert_failed(1, message, "goes on");
    scene.node.restart();
    scene.node.rpc(&["loadwallet", "w"]);
    let rest = fill_from_genesis(&scene).end();
    assert!(rest.assert_equal().calls() < CALLS, "it began again");
    scene.assert_as_rescanned("w");
}

#[test]
fn a_wallet_unloaded_in_the_middle_is_named_and_the_next_fill_goes_on() {
    let Some(scene) = long_history() else { return };
    let mut running = fill_from_genesis(&scene);
    running.until_calls(5);
    // Core unloads no wallet that is rescanning.
    let rpc = scene.rpc();
    while rpc.call::<Value>("unloadwallet", &json!(["w"])).is_err() {}
    let ended = running.end();
    // While it unloads it counts as one that is rescanned.
    let next_step = if ended.stderr.contains("rescanned") { "getwalletinfo" } else { "loadwallet" };
    ended.assert_failed(1, "\"w\"", next_step);
    scene.node.rpc(&["loadwallet", "w"]);
    let rest = fill_from_genesis(&scene).end();
    assert!(rest.assert_equal().calls() < CALLS, "it began again");
    scene.assert_as_rescanned("w");
}

#[test]
fn a_wallet_that_another_program_rescans_is_refused_with_the_next_step() {
    let Some(scene) = long_history() else { return };
    let is_over = AtomicBool::new(false);
    let wallet = scene.rpc().wallet("w");
    let ended = std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // Those that collide are refused too. No block here has a match.
                    drop(wallet.call::<Value>("rescanblockchain", &json!([0, 110])));
                }
            });
        }
        let ended = fill_from_genesis(&scene).end();
        is_over.store(true, Ordering::Relaxed);
        ended
    });
    ended.assert_failed(1, "rescanned already", "getwalletinfo");
    fill_from_genesis(&scene).end().assert_equal();
    scene.assert_as_rescanned("w");
}
