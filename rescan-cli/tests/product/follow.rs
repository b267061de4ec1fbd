//! `rescan follow`: what it prints as the chain goes on and back, and how it ends.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rescan_client::bitcoin::Amount;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, patiently};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{Ended, rescan, scan};

/// Long enough for a machine under load.
const PATIENCE: Duration = Duration::from_secs(60);

fn wallet() -> TestWallet {
    TestWallet::new("peggy")
}

fn pay(chain: &mut ChainBuilder, index: u32) {
    chain.fund(&wallet().script(ScriptKind::P2wpkh, index), Amount::from_sat(9_000));
    chain.mine(1);
}

/// Blocks 111 and 112 pay the wallet.
fn scene() -> Scene {
    let mut chain = ChainBuilder::new();
    chain.mine(110);
    (0..2).for_each(|index| pay(&mut chain, index));
    Scene::serve(chain, Manner::default())
}

fn command(scene: &Scene, more: &[&str]) -> Command {
    let mut command = rescan(&["follow", "--socket", &scene.server.socket_text()]);
    command.args(["--descriptor", &wallet().descriptor(ScriptKind::P2wpkh)]).args(more);
    command
}

/// A command that runs, and its lines as they come. Dropping it kills it.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn begin(scene: &Scene, more: &[&str]) -> Self {
        let mut child = command(scene, more).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        // Ends with the command.
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes")
    }

    /// Type and height of each of so many lines.
    fn told(&self, count: usize) -> Vec<String> {
        let told = |line: Value| {
            let height = line.get("height").or(line.get("to_height")).map_or(0, |height| height.as_u64().unwrap());
            format!("{} {height}", line["type"].as_str().unwrap())
        };
        (0..count).map(|_| told(serde_json::from_str(&self.line()).unwrap())).collect()
    }

    /// Ctrl-C, and what it comes to.
    fn interrupt(mut self) -> Ended {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let code = self.child.wait().unwrap().code().expect("it ends by itself");
        let rest: Vec<String> = self.lines.iter().collect();
        Ended { code, stdout: rest.concat(), stderr }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Writes what the chain has made, and has the server look.
fn append(scene: &mut Scene) {
    scene.append();
    let tip = scene.chain.tip_hash();
    patiently(async { scene.server.client().await.locate(vec![tip]).await }).unwrap();
}

#[test]
fn the_scan_comes_first_then_a_summary_and_then_each_block_as_it_comes_and_goes() {
    let mut scene = scene();
    let following = Following::begin(&scene, &["--json"]);
    assert_eq!(following.told(3), ["transaction 111", "transaction 112", "summary 112"]);
    pay(&mut scene.chain, 2);
    append(&mut scene);
    assert_eq!(following.told(2), ["connected 113", "transaction 113"]);
    let left = scene.chain.tip_hash();
    scene.chain.reorg(1);
    append(&mut scene);
    assert_eq!(following.told(1), ["withdrawn 113"]);
    let disconnected: Value = serde_json::from_str(&following.line()).unwrap();
    assert_eq!(disconnected, json!({"type": "disconnected", "height": 113, "block_hash": left.to_string()}));
    let connected = [113, 114].map(|height| {
        let hash = scene.chain.hash_at(height).to_string();
        format!(r#"{{"type":"connected","height":{height},"block_hash":"{hash}"}}"#)
    });
    assert_eq!([following.line(), following.line()], connected);
    let ended = following.interrupt();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (130, "", ""));
}

#[test]
fn the_lines_of_a_following_are_those_of_a_scan() {
    let mut scene = scene();
    let following = Following::begin(&scene, &["--json"]);
    let mut lines: Vec<Value> = (0..3).map(|_| serde_json::from_str(&following.line()).unwrap()).collect();
    let summary = lines.pop().unwrap();
    pay(&mut scene.chain, 2);
    append(&mut scene);
    following.told(1);
    lines.push(serde_json::from_str(&following.line()).unwrap());
    let descriptor = wallet().descriptor(ScriptKind::P2wpkh);
    let (expected, _) = Ended::of(&mut scan(&scene.server, &["--descriptor", &descriptor, "--json"])).answer(0);
    assert_eq!(lines, expected);
    assert_eq!((&summary["outcome"], &summary["unspent_sat"]), (&json!("complete"), &json!(18_000)));
}

#[test]
fn without_json_it_prints_a_line_for_each_thing_that_happens() {
    let mut scene = scene();
    let following = Following::begin(&scene, &[]);
    let starts = |line: String, word: &str, height: &str| {
        let mut words = line.split_whitespace();
        assert!(line.starts_with(word) && words.any(|word| word == height), "{line}");
    };
    starts(following.line(), "transaction", "111");
    starts(following.line(), "transaction", "112");
    let caught_up = following.line();
    assert!(
        caught_up.ends_with("  2 coins unspent, 0.00018 BTC") || caught_up.contains("2 coins unspent"),
        "{caught_up}"
    );
    starts(caught_up, "caught up", "112");
    scene.chain.reorg(1);
    append(&mut scene);
    starts(following.line(), "withdrawn", "112");
    starts(following.line(), "disconnected", "112");
    starts(following.line(), "connected", "112");
    starts(following.line(), "connected", "113");
}

#[test]
fn ctrl_c_leaves_a_checkpoint_and_the_next_run_goes_on_from_it() {
    let mut scene = scene();
    let file = scene.server.beside("checkpoint");
    let words = ["--json", "--checkpoint", file.to_str().unwrap()];
    let following = Following::begin(&scene, &words);
    following.told(3);
    pay(&mut scene.chain, 2);
    append(&mut scene);
    following.told(2);
    assert_eq!(following.interrupt().code, 130);
    assert!(Path::new(&file).exists());
    // What was told last is left while nobody follows.
    scene.chain.reorg(1);
    pay(&mut scene.chain, 3);
    append(&mut scene);
    let again = Following::begin(&scene, &words);
    assert_eq!(again.told(3), ["withdrawn 113", "transaction 115", "summary 115"]);
    pay(&mut scene.chain, 4);
    append(&mut scene);
    assert_eq!(again.told(2), ["connected 116", "transaction 116"]);
}

#[test]
fn a_server_that_is_started_again_is_connected_to_again_and_no_line_is_missing_or_doubled() {
    let mut scene = scene();
    let following = Following::begin(&scene, &["--json"]);
    assert_eq!(following.told(3)[2], "summary 112");
    scene.server.stop();
    pay(&mut scene.chain, 2);
    scene.append();
    scene.server.start();
    assert_eq!(following.told(2), ["connected 113", "transaction 113"]);
    pay(&mut scene.chain, 3);
    append(&mut scene);
    assert_eq!(following.told(2), ["connected 114", "transaction 114"]);
    let ended = following.interrupt();
    assert_eq!((ended.code, ended.stdout.as_str()), (130, ""));
    let said: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(said.len(), 2, "{}", ended.stderr);
    assert!(said[0].starts_with("the server is gone") && said[1] == "reconnected to the server", "{}", ended.stderr);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut scene = scene();
    let mut child = command(&scene, &["--json"]).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("summary") {
        line.clear();
        stdout.read_line(&mut line).unwrap();
    }
    drop(stdout);
    scene.chain.mine(1);
    append(&mut scene);
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_missing_server_is_trouble_at_the_start_and_nothing_to_watch_is_wrong_usage() {
    let scene = Scene::write(ChainBuilder::new(), Manner::default());
    Ended::of(&mut command(&scene, &["--json"])).assert_trouble(1, "no socket at");
    let nothing = Ended::of(rescan(&["follow", "--socket", "s"]).stdin(Stdio::null()));
    assert_eq!(nothing.code, 2, "{}", nothing.stderr);
}

#[test]
fn what_is_not_on_disk_ends_it_with_3_and_the_height_to_begin_at() {
    let mut chain = ChainBuilder::new();
    chain.mine(110);
    pay(&mut chain, 0);
    chain.omit(1..=50);
    let scene = Scene::serve(chain, Manner::default());
    let ended = Ended::of(&mut command(&scene, &["--json"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (3, ""));
    let lines = ended.lines();
    assert_eq!((lines.len(), &lines[0]["outcome"], &lines[0]["outcome_height"]), (1, &json!("pruned"), &json!(51)));
    let ended = Ended::of(&mut command(&scene, &[]));
    assert!(ended.code == 3 && ended.stdout.starts_with("pruned: "), "{ended:?}");
    let following = Following::begin(&scene, &["--json", "--from-height", "51"]);
    assert_eq!(following.told(2), ["transaction 111", "summary 111"]);
}
