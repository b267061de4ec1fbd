//! How scans end that do not simply run to the tip.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use rescan_client::bitcoin::{Amount, ScriptBuf};
use rescan_fixtures::chain_builder::{ChainBuilder, Record};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{Ended, heights, scan};

fn wallet() -> TestWallet {
    TestWallet::new("mallory")
}

/// More than all that lies between a server and a reader of stdout holds, so that the server cannot have come to the end
/// while the reader waits.
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
    assert_eq!(locator, last.to_string(), "nothing lies between what was printed and where to go on");
}

/// What `head` leaves of a command, and how the command takes it.
fn through_head(mut command: Command) -> (String, i32, String) {
    let mut child = command.spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let head = Command::new("head").args(["-n", "1"]).stdin(stdout).stderr(Stdio::null()).output().unwrap();
    let ended = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    (String::from_utf8(head.stdout).unwrap(), ended.status.code().unwrap(), stderr)
}

#[test]
fn a_reader_that_takes_one_line_is_no_failure() {
    let (scene, descriptor) = talkative();
    for more in [&["--json"][..], &["--json", "--stream"], &[]] {
        let command = scan(&scene.server, &[&["--descriptor", &descriptor], more].concat());
        let (line, code, stderr) = through_head(command);
        assert_eq!((line.lines().count(), code, stderr.as_str()), (1, 0, ""), "{more:?}");
    }
    // The server goes on.
    let ended = Ended::of(&mut scan(&scene.server, &["--descriptor", "raw(51)", "--json"]));
    assert_eq!(ended.answer(0).1["outcome"], "complete");
}

/// A chain of 130 blocks that pays a wallet in each of the last 20, and what asks for that.
fn paid() -> (ChainBuilder, Vec<String>) {
    let mut chain = ChainBuilder::new();
    chain.mine(110).pay(&wallet().script(ScriptKind::P2tr, 0), 20);
    (chain, vec!["--descriptor".to_owned(), wallet().descriptor(ScriptKind::P2tr), "--json".to_owned()])
}

fn run(scene: &Scene, words: &[String], more: &[&str]) -> Ended {
    Ended::of(scan(&scene.server, more).args(words))
}

#[test]
fn a_pruned_chain_exits_with_3_before_any_report_and_names_the_height_to_begin_at() {
    let (mut chain, words) = paid();
    chain.omit(1..=115);
    let scene = Scene::serve(chain, Manner::default());
    let (lines, summary) = run(&scene, &words, &[]).answer(3);
    assert_eq!((lines.len(), &summary["outcome"], &summary["outcome_height"]), (0, &json!("pruned"), &json!(116)));
    let (lines, summary) = run(&scene, &words, &["--from-height", "116"]).answer(0);
    assert_eq!((lines.len(), &summary["outcome"]), (15, &json!("complete")));
}

#[test]
fn a_flipped_bit_in_a_matched_block_is_a_failure_that_names_file_and_offset() {
    let (chain, words) = paid();
    let mut scene = Scene::write(chain, Manner::default());
    scene.flip_a_bit_at(120);
    scene.server.start();
    let span = scene.span_at(120);
    let place = format!("{}/blk{:05}.dat at offset {}", scene.server.blocks_dir().display(), span.file.0, span.offset);
    for verify in ["reported", "all"] {
        let ended = run(&scene, &words, &["--verify", verify]);
        ended.assert_trouble(1, &place);
        assert!(ended.stderr.contains("corrupt"), "{}", ended.stderr);
    }
    // With --stream, what came before stands, and no summary says that it is all.
    let ended = run(&scene, &words, &["--stream"]);
    assert_eq!(ended.code, 1);
    assert!(ended.lines().iter().all(|line| line["type"] == "transaction" && line["height"].as_u64() < Some(120)));
    assert_eq!(run(&scene, &words, &["--verify", "none"]).answer(0).0.len(), 20);
}

#[test]
fn a_flipped_bit_elsewhere_is_noticed_with_verify_all_and_forgiven_where_there_is_a_copy() {
    let (mut chain, words) = paid();
    let copied = chain.hash_at(121);
    chain.append(Record::Block(copied));
    let mut scene = Scene::write(chain, Manner::default());
    scene.flip_a_bit_at(50);
    scene.flip_a_bit_at(121);
    scene.server.start();
    assert_eq!(run(&scene, &words, &[]).answer(0).0.len(), 20);
    run(&scene, &words, &["--verify", "all"]).assert_trouble(1, "height 50");
    assert_eq!(run(&scene, &words, &["--verify", "all", "--from-height", "51"]).answer(0).0.len(), 20);
}

#[test]
fn the_command_follows_a_chain_that_is_reorganised() {
    let (chain, words) = paid();
    let mut scene = Scene::serve(chain, Manner::default());
    assert_eq!(run(&scene, &words, &[]).answer(0).0.len(), 20);
    scene.chain.reorg(5);
    scene.append();
    let (lines, summary) = run(&scene, &words, &[]).answer(0);
    assert_eq!((lines.len(), &summary["to_height"]), (15, &json!(131)));
    assert_eq!(summary["tip_hash"], scene.chain.tip_hash().to_string());
    let of_sat = |lines: &[Value]| lines.iter().map(|line| line["received"][0]["value_sat"].as_u64().unwrap()).sum();
    assert_eq!(summary["unspent_sat"], Amount::from_sat(of_sat(&lines)).to_sat());
}

#[test]
fn a_chain_that_is_left_in_mid_scan_exits_with_3_and_the_height_from_which_nothing_stands() {
    let (mut scene, descriptor) = talkative();
    let mut child = scan(&scene.server, &["--descriptor", &descriptor, "--json", "--stream"]).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    stdout.read_line(&mut printed).unwrap();
    scene.chain.reorg(10);
    scene.append();
    // Whoever scans next has the server look at its files.
    let (next, _) = Ended::of(&mut scan(&scene.server, &["--descriptor", &descriptor, "--json"])).answer(0);
    assert_eq!(heights(&next), (1..=140).collect::<Vec<_>>());
    stdout.read_to_string(&mut printed).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    let (lines, summary) = Ended { code, stdout: printed, stderr: String::new() }.answer(3);
    assert_eq!((&summary["outcome"], &summary["outcome_height"]), (&json!("reorganised"), &json!(141)));
    let through = lines.len();
    assert_eq!(lines, next[..through], "nothing of the branch that was left was told yet");
    let last = scene.chain.hash_at(u32::try_from(through).unwrap());
    assert_eq!(summary["locator"][0], last.to_string(), "the next scan goes on where this one came to");
}

#[test]
fn nothing_found_is_an_answer() {
    let (chain, _) = paid();
    let scene = Scene::serve(chain, Manner::default());
    let stranger = ScriptBuf::from(vec![0x52]).to_hex_string();
    let ended = Ended::of(&mut scan(&scene.server, &["--descriptor", &format!("raw({stranger})"), "--json"]));
    let (lines, summary) = ended.answer(0);
    assert_eq!((lines.len(), &summary["transactions"], &summary["unspent_sat"]), (0, &json!(0), &json!(0)));
}
