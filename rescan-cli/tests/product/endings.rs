//! Scans that end before the tip.

use std::io::{BufRead, BufReader, Read};

use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene};
use rustix::process::{Pid, Signal, kill_process};

use crate::{Ended, heights, scan};

fn wallet() -> TestWallet {
    TestWallet::new("mallory")
}

/// More reports than the buffers between server and stdout hold: the scan cannot end while the reader waits.
fn talkative() -> (Scene, String) {
    let script = wallet().script(ScriptKind::P2wpkh, 0);
    let chain = Scene::talkative(&script, 150, 1_000);
    (Scene::serve(chain, Manner::default()), format!("raw({})", script.to_hex_string()))
}

#[test]
fn ctrl_c_in_mid_scan_prints_the_summary_of_what_was_scanned() {
    let (scene, descriptor) = talkative();
    let mut child = scan(&scene.server, &["--descriptor", &descriptor, "--json", "--stream"]).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    stdout.read_line(&mut printed).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    stdout.read_to_string(&mut printed).unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let ended = Ended { code: child.wait().unwrap().code().unwrap(), stdout: printed, stderr };
    let (lines, summary) = ended.answer(130);
    assert_eq!(summary["outcome"], "cancelled");
    let through = lines.len() as u64;
    assert!((1..150).contains(&through), "{through} of 150 were printed");
    assert_eq!(heights(&lines), (1..=through).collect::<Vec<_>>());
    assert_eq!(summary["transactions"], through);
    let locator = summary["locator"][0].as_str().unwrap();
    let last = scene.chain.hash_at(u32::try_from(through).unwrap());
    assert_eq!(locator, last.to_string(), "the locator is the last printed block");
}

/// A chain of 130 blocks that pays a wallet in each of the last 20, and the arguments of a scan for it.
fn paid() -> (ChainBuilder, Vec<String>) {
    let mut chain = ChainBuilder::new();
    chain.mine(110).pay(&wallet().script(ScriptKind::P2tr, 0), 20);
    (chain, vec!["--descriptor".to_owned(), wallet().descriptor(ScriptKind::P2tr), "--json".to_owned()])
}

fn run(scene: &Scene, arguments: &[String], more: &[&str]) -> Ended {
    Ended::of(scan(&scene.server, more).args(arguments))
}

#[test]
fn a_flipped_bit_in_a_matched_block_is_a_failure_that_names_file_and_offset() {
    let (chain, arguments) = paid();
    let mut scene = Scene::write(chain, Manner::default());
    scene.flip_a_bit_at(120);
    scene.server.start();
    let span = scene.span_at(120);
    let place = format!("{}/blk{:05}.dat at offset {}", scene.server.blocks_dir().display(), span.file.0, span.offset);
    for verify in ["reported", "all"] {
        let ended = run(&scene, &arguments, &["--verify", verify]);
        ended.assert_error(1, &place);
        assert!(ended.stderr.contains("corrupt"), "{}", ended.stderr);
    }
    // With --stream, earlier lines are valid, and there is no summary.
    let ended = run(&scene, &arguments, &["--stream"]);
    assert_eq!(ended.code, 1);
    assert!(ended.lines().iter().all(|line| line["type"] == "transaction" && line["height"].as_u64() < Some(120)));
    assert_eq!(run(&scene, &arguments, &["--verify", "none"]).answer(0).0.len(), 20);
}
