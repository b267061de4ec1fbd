//! `rescan follow`: its lines as blocks are connected and disconnected, and its end.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rescan_client::bitcoin::Amount;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, patiently};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{Ended, rescan};

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
    if !more.contains(&"--wallets") {
        command.args(["--descriptor", &wallet().descriptor(ScriptKind::P2wpkh)]);
    }
    command.args(more);
    command
}

/// A running command and its lines as they arrive. Dropping it kills it.
struct Following {
    child: Child,
    stdout: Receiver<String>,
}

impl Following {
    fn begin(scene: &Scene, more: &[&str]) -> Self {
        let mut child = command(scene, more).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        // Ends with the command.
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, stdout: lines }
    }

    fn line(&self) -> String {
        self.stdout.recv_timeout(PATIENCE).expect("a line arrives")
    }

    /// Type and height of each of the next `count` lines.
    fn lines(&self, count: usize) -> Vec<String> {
        let summarise = |line: Value| {
            let height = line.get("height").or(line.get("to_height")).map_or(0, |height| height.as_u64().unwrap());
            format!("{} {height}", line["type"].as_str().unwrap())
        };
        (0..count).map(|_| summarise(serde_json::from_str(&self.line()).unwrap())).collect()
    }

    /// Sends Ctrl-C, and returns the rest of the output.
    fn interrupt(mut self) -> Ended {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let code = self.child.wait().unwrap().code().expect("it ends by itself");
        let rest: Vec<String> = self.stdout.iter().collect();
        Ended { code, stdout: rest.concat(), stderr }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Writes the new blocks, and makes the server read them.
fn append(scene: &mut Scene) {
    scene.append();
    let tip = scene.chain.tip_hash();
    patiently(async { scene.server.client().await.locate(vec![tip]).await }).unwrap();
}

#[test]
fn a_scan_and_its_summary_come_first_then_each_block_connected_or_disconnected() {
    let mut scene = scene();
    let following = Following::begin(&scene, &["--json"]);
    assert_eq!(following.lines(3), ["transaction 111", "transaction 112", "summary 112"]);
    pay(&mut scene.chain, 2);
    append(&mut scene);
    assert_eq!(following.lines(2), ["connected 113", "transaction 113"]);
    let left = scene.chain.tip_hash();
    scene.chain.reorg(1);
    append(&mut scene);
    assert_eq!(following.lines(1), ["withdrawn 113"]);
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
fn without_json_there_is_a_line_of_text_per_event() {
    let mut scene = scene();
    let following = Following::begin(&scene, &[]);
    let starts = |line: String, word: &str, height: &str| {
        let mut words = line.split_whitespace();
        assert!(line.starts_with(word) && words.any(|word| word == height), "{line}");
    };
    starts(following.line(), "transaction", "111");
    starts(following.line(), "transaction", "112");
    let caught_up = following.line();
    assert!(caught_up.contains("2 coins unspent"), "{caught_up}");
    starts(caught_up, "caught up", "112");
    scene.chain.reorg(1);
    append(&mut scene);
    starts(following.line(), "withdrawn", "112");
    starts(following.line(), "disconnected", "112");
    starts(following.line(), "connected", "112");
    starts(following.line(), "connected", "113");
}

#[test]
fn ctrl_c_leaves_a_checkpoint_from_which_the_next_run_resumes() {
    let mut scene = scene();
    let file = scene.server.beside("checkpoint");
    let arguments = ["--json", "--checkpoint", file.to_str().unwrap()];
    let following = Following::begin(&scene, &arguments);
    following.lines(3);
    pay(&mut scene.chain, 2);
    append(&mut scene);
    following.lines(2);
    assert_eq!(following.interrupt().code, 130);
    assert!(Path::new(&file).exists());
    // The last block is disconnected while no command runs.
    scene.chain.reorg(1);
    pay(&mut scene.chain, 3);
    append(&mut scene);
    let again = Following::begin(&scene, &arguments);
    assert_eq!(again.lines(3), ["withdrawn 113", "transaction 115", "summary 115"]);
    pay(&mut scene.chain, 4);
    append(&mut scene);
    assert_eq!(again.lines(2), ["connected 116", "transaction 116"]);
}

/// Pays another wallet by the same transaction.
fn pay_both(chain: &mut ChainBuilder, index: u32) {
    chain.fund(&TestWallet::new("victor").script(ScriptKind::P2tr, index), Amount::from_sat(500));
    pay(chain, index);
}

/// Type, wallet and height of each line.
fn of_wallets(following: &Following, count: usize) -> Vec<Value> {
    let lines = (0..count).map(|_| serde_json::from_str::<Value>(&following.line()).unwrap());
    lines.map(|line| json!([line["type"], line["wallet"], line.get("height").or(line.get("to_height"))])).collect()
}

#[test]
fn wallets_are_followed_together_and_resumed_with_lines_and_summaries_of_their_own() {
    let mut chain = ChainBuilder::new();
    chain.mine(110);
    pay_both(&mut chain, 0);
    pay(&mut chain, 1);
    let mut scene = Scene::serve(chain, Manner::default());
    let (peggy, victor) =
        (wallet().descriptor(ScriptKind::P2wpkh), TestWallet::new("victor").descriptor(ScriptKind::P2tr));
    let write = |name: &str, content: Value| {
        let path = scene.server.beside(name);
        std::fs::write(&path, content.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let wallets = write("wallets", json!({"peggy": [peggy], "victor": {"desc": victor, "timestamp": 1}}));
    let renamed = write("renamed", json!({"peggy": [peggy], "oscar": [victor]}));
    let file = scene.server.beside("checkpoint").to_str().unwrap().to_owned();
    let arguments = ["--json", "--wallets", &wallets, "--checkpoint", &file];

    let following = Following::begin(&scene, &arguments);
    let due = [
        json!(["transaction", "peggy", 111]),
        json!(["transaction", "victor", 111]),
        json!(["transaction", "peggy", 112]),
        json!(["summary", "peggy", 112]),
        json!(["summary", "victor", 112]),
    ];
    assert_eq!(of_wallets(&following, 5), due);
    pay_both(&mut scene.chain, 2);
    append(&mut scene);
    let due =
        [json!(["connected", null, 113]), json!(["transaction", "peggy", 113]), json!(["transaction", "victor", 113])];
    assert_eq!(of_wallets(&following, 3), due);
    assert_eq!(following.interrupt().code, 130);

    scene.chain.reorg(1);
    pay(&mut scene.chain, 3);
    append(&mut scene);
    // `scan` resumes from the same file.
    let ended = Ended::of(rescan(&["scan", "--socket", &scene.server.socket_text()]).args(arguments));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let lines = ended.lines();
    let places: Vec<_> = lines[..3].iter().map(|line| json!([line["type"], line["wallet"], line["height"]])).collect();
    let due =
        [json!(["withdrawn", "peggy", 113]), json!(["withdrawn", "victor", 113]), json!(["transaction", "peggy", 115])];
    assert_eq!(places, due);
    // Coins and uses of all runs, transactions of the last.
    let found: Vec<_> = lines[3..]
        .iter()
        .map(|line| {
            let used = &line["keychains"][0]["last_used_index"];
            json!([line["wallet"], line["transactions"], line["unspent_count"], line["unspent_sat"], used])
        })
        .collect();
    assert_eq!(found, [json!(["peggy", 1, 3, 27_000, 3]), json!(["victor", 0, 1, 500, 0])]);

    let again = Following::begin(&scene, &arguments);
    assert_eq!(of_wallets(&again, 2), [json!(["summary", "peggy", 115]), json!(["summary", "victor", 115])]);
    drop(again);
    let mut others = command(&scene, &["--json", "--wallets", &renamed, "--checkpoint", &file]);
    Ended::of(&mut others).assert_error(2, "other descriptors, scripts, outpoints or wallets");
}

#[test]
fn it_reconnects_to_a_restarted_server_and_no_line_is_missing_or_doubled() {
    let mut scene = scene();
    let following = Following::begin(&scene, &["--json"]);
    assert_eq!(following.lines(3)[2], "summary 112");
    scene.server.stop();
    pay(&mut scene.chain, 2);
    scene.append();
    scene.server.start();
    assert_eq!(following.lines(2), ["connected 113", "transaction 113"]);
    pay(&mut scene.chain, 3);
    append(&mut scene);
    assert_eq!(following.lines(2), ["connected 114", "transaction 114"]);
    let ended = following.interrupt();
    assert_eq!((ended.code, ended.stdout.as_str()), (130, ""));
    let notices: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(notices.len(), 2, "{}", ended.stderr);
    assert!(
        notices[0].starts_with("the server is gone") && notices[1] == "reconnected to the server",
        "{}",
        ended.stderr
    );
}

#[test]
fn a_missing_server_is_an_error_at_the_start() {
    let scene = Scene::write(ChainBuilder::new(), Manner::default());
    Ended::of(&mut command(&scene, &["--json"])).assert_error(1, "no socket at");
}

#[test]
fn pruned_blocks_end_it_with_3_and_the_lowest_height_on_disk() {
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
    assert_eq!(following.lines(2), ["transaction 111", "summary 111"]);
}
