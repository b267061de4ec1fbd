//! `rescan fill` with a scripted wallet: its output for people and for programs, its ends, its errors.

use std::process::{Command, Stdio};
use std::time::Duration;

use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::fake_node::{FakeNode, Reply};
use rescan_fixtures::fake_wallet::{FakeDescriptor, SharedWallet, refusal};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene};
use serde_json::{Value, json};

use crate::{Ended, rescan};

struct Bed {
    scene: Scene,
    wallet: SharedWallet,
    node: FakeNode,
    descriptor: String,
}

/// A chain with payments to index 0, 30 and 15, beside a wallet that watches 20.
fn bed() -> Bed {
    paying(&[0, 30, 15])
}

fn paying(indexes: &[u32]) -> Bed {
    let owner = TestWallet::new("olaf");
    let mut chain = ChainBuilder::new();
    chain.mine(110);
    for index in indexes {
        chain.pay(&owner.script(ScriptKind::P2wpkh, *index), 1).mine(5);
    }
    let descriptor = owner.descriptor(ScriptKind::P2wpkh);
    let wallet = SharedWallet::new(&chain, vec![FakeDescriptor::new(&descriptor, 20)]);
    let node = wallet.start();
    Bed { scene: Scene::serve(chain, Manner::default()), wallet, node, descriptor }
}

impl Bed {
    fn fill(&self, arguments: &[&str]) -> Command {
        let (socket, url, cookie) = (self.scene.server.socket_text(), self.node.url(), self.node.cookie());
        let cookie = cookie.to_str().unwrap().to_owned();
        let mut command = rescan(&["fill", "--wallet", "alice", "--socket", &socket]);
        command.args(["--bitcoin-rpc", &url, "--cookie", &cookie, "--gap-limit", "20"]).args(arguments);
        command
    }

    fn filled(&self, arguments: &[&str]) -> Ended {
        Ended::of(&mut self.fill(arguments))
    }
}

fn types(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["type"].as_str().unwrap()).collect()
}

#[test]
fn a_filled_wallet_is_equal_and_the_result_says_so_with_its_cost() {
    let ended = bed().filled(&[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.starts_with("wallet alice: 3 transactions, 3 coins, 0.00030000 BTC from height 0 to 128\n"));
    assert!(ended.stdout.contains("\nequal to the scan\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("Bitcoin Core rescanned 4 of 129 blocks in 4 calls"), "{}", ended.stdout);
    assert!(ended.stderr.contains("3 of 129 blocks to rescan, in 3 calls of rescanblockchain"), "{}", ended.stderr);
}

#[test]
fn each_step_is_a_line_of_json() {
    let bed = bed();
    let lines = bed.filled(&["--json"]).lines();
    let due = ["wallet", "scanned", "import", "plan", "call", "call", "call", "call", "scanned", "summary"];
    assert_eq!(types(&lines), due);
    assert_eq!(
        lines[0],
        json!({"type": "wallet", "name": "alice", "is_new": false, "descriptors": 1, "private_keys": false})
    );
    assert_eq!((&lines[2]["method"], &lines[2]["range_end"]), (&json!("importdescriptors"), &json!(50)));
    let plan = json!({
        "type": "plan", "matched_blocks": 3, "calls": 3, "blocks_in_calls": 3, "from_height": 0, "to_height": 128});
    assert_eq!(lines[3], plan);
    assert_eq!((&lines[4]["from_height"], &lines[4]["to_height"]), (&json!(111), &json!(111)));
    let summary = lines.last().unwrap();
    assert_eq!(
        (&summary["outcome"], &summary["calls"], &summary["total_sat"]),
        (&json!("equal"), &json!(4), &json!(30_000))
    );
}

#[test]
fn a_dry_run_prints_lines_for_a_shell_and_changes_nothing() {
    let bed = bed();
    let ended = bed.filled(&["--dry-run"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let calls: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with("bitcoin-cli ")).collect();
    assert_eq!(calls.len(), 5, "{calls:?}");
    assert!(calls[0].contains(" importdescriptors '[{") && calls[0].contains(r#""timestamp":"now""#));
    assert!(calls[1].ends_with(" -rpcwallet=alice rescanblockchain 111 111"));
    assert!(calls[4].ends_with(" -rpcwallet=alice rescanblockchain 128"));
    for method in ["importdescriptors", "rescanblockchain", "createwallet"] {
        assert!(!bed.node.was_called(method), "{method}");
    }
}

#[test]
fn given_descriptors_are_imported_first() {
    let bed = bed();
    bed.wallet.lock().descriptors.clear();
    let file = bed.scene.server.beside("descriptors");
    std::fs::write(&file, format!("# savings\n{}\n", bed.descriptor)).unwrap();
    let ended = bed.filled(&["--descriptors", file.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(bed.wallet.lock().confirmed.len(), 3);
    // Again: the wallet has the descriptor.
    let imports = bed.node.calls().iter().filter(|call| call.method == "importdescriptors").count();
    assert_eq!(bed.filled(&["--descriptors", file.to_str().unwrap()]).code, 0);
    assert_eq!(bed.node.calls().iter().filter(|call| call.method == "importdescriptors").count(), imports);
}

#[test]
fn a_missing_block_is_named_and_ends_with_its_own_exit_code() {
    let bed = bed();
    bed.wallet.lock().absent.insert(117);
    let ended = bed.filled(&["--json"]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    let lines = ended.lines();
    let missing = lines.iter().find(|line| line["type"] == "missing_block").unwrap();
    assert_eq!(missing["height"], 117);
    let summary = lines.last().unwrap();
    assert_eq!((&summary["outcome"], &summary["missing_blocks"]), (&json!("missing_blocks"), &json!(1)));
    let difference = lines.iter().find(|line| line["type"] == "difference").unwrap();
    assert_eq!((&difference["item"], &difference["expected"]), (&json!("transaction"), &json!(false)));
    let text = bed.filled(&[]);
    assert!(text.stdout.contains("not equal to the scan") && text.stdout.contains("--fetch"), "{}", text.stdout);
}

#[test]
fn every_refusal_names_the_next_step() {
    let bed = bed();
    for (reply, code, message, hint) in [
        (refusal::LOCKED, 1, "is locked", "walletpassphrase"),
        (refusal::RESCANNING, 1, "being rescanned already", "abortrescan"),
        (refusal::NOT_LOADED, 2, "no wallet named \"alice\" loaded (loaded are \"alice\")", "loadwallet"),
        (refusal::ABORTED, 1, "aborted: by another program", "goes on"),
        (Reply::Raw(""), 1, "no answer from", "getblockchaininfo"),
    ] {
        bed.wallet.before_each_call(move |_, method, _| (method == "rescanblockchain").then(|| reply.clone()));
        let ended = bed.filled(&["--json"]);
        assert_eq!(ended.code, code, "{}", ended.stderr);
        let (error, next) = ended.stderr.split_once("hint: ").expect("a hint");
        assert!(error.contains(message) && next.contains(hint), "{}", ended.stderr);
        assert!(ended.lines().iter().all(|line| line["type"] != "summary"));
    }
    bed.wallet.before_each_call(|_, _, _| None);
    assert_eq!(bed.filled(&[]).code, 0);
}

#[test]
fn an_error_in_the_middle_tells_how_much_is_done() {
    let bed = bed();
    let mut calls = 0;
    bed.wallet.before_each_call(move |_, method, _| {
        calls += i32::from(method == "rescanblockchain");
        (calls == 3).then_some(refusal::LOCKED)
    });
    let ended = bed.filled(&[]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("the wallet keeps what 2 calls found so far"), "{}", ended.stderr);
}

#[test]
fn an_interrupt_stops_the_call_under_way_and_the_next_fill_goes_on() {
    let bed = bed();
    let mut command = bed.fill(&["--json"]);
    let pid = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let target = std::sync::Arc::clone(&pid);
    let mut calls = 0;
    bed.wallet.before_each_call(move |_, method, _| {
        calls += i32::from(method == "rescanblockchain");
        if calls == 2 && method == "rescanblockchain" {
            let pid = target.load(std::sync::atomic::Ordering::SeqCst).to_string();
            let sent = Command::new("kill").args(["-INT", &pid]).stderr(Stdio::null()).status().unwrap();
            assert!(sent.success());
            std::thread::sleep(Duration::from_millis(300));
            return Some(refusal::ABORTED);
        }
        None
    });
    let child = command.spawn().unwrap();
    pid.store(child.id(), std::sync::atomic::Ordering::SeqCst);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert!(bed.node.was_called("abortrescan"));
    let lines = ended.lines();
    let summary = lines.last().unwrap();
    assert_eq!(
        (&summary["type"], &summary["outcome"], &summary["calls"]),
        (&json!("summary"), &json!("interrupted"), &json!(1))
    );
    bed.wallet.before_each_call(|_, _, _| None);
    let again = bed.filled(&["--json"]).lines();
    assert_eq!(again.last().unwrap()["outcome"], "equal");
    assert_eq!(again.iter().filter(|line| line["type"] == "call").count(), 3, "two blocks and the mempool");
}

#[test]
fn a_node_of_another_network_is_refused() {
    let bed = bed();
    bed.wallet.before_each_call(|_, method, _| {
        (method == "getblockchaininfo").then(|| Reply::json(&json!({"chain": "signet", "blocks": 1})))
    });
    bed.filled(&[]).assert_error(2, "the node is one of signet, the rescan server of regtest");
}

#[test]
fn the_gap_limit_of_an_annotation_holds_for_the_fill() {
    let bed = paying(&[0, 30]);
    bed.wallet.lock().descriptors.clear();
    let file = bed.scene.server.beside("annotated");
    // The last call is for the mempool.
    for (annotation, due) in [("", 2), ("?gl=40", 3)] {
        std::fs::write(&file, format!("{}{annotation}\n", bed.descriptor)).unwrap();
        let ended = bed.filled(&["--descriptors", file.to_str().unwrap(), "--dry-run"]);
        let calls = ended.stdout.lines().filter(|line| line.contains(" rescanblockchain ")).count();
        assert_eq!((ended.code, calls), (0, due), "{}{}", ended.stdout, ended.stderr);
    }
}
