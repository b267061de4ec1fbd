//! Descriptors from a file, from stdin, and from a wallet of a scripted node: the request that a server sees, and the
//! errors. `tests/exports/README.md` has the origins of the files.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use rescan_client::position::Height;
use rescan_client::report::{Ending, KeychainUse, Outcome};
use rescan_client::{GivenKeychain, RangeStart};
use rescan_fixtures::fake_node::{FakeNode, Reply};
use rescan_tests::fake::{Step, serve_at, summary};
use serde_json::{Value, json};

use super::{TPUB, assert_error, code, dir, interrupt, rescan, run, steps, text};

const LISTED: &str = include_str!("../exports/listdescriptors.json");

/// BIP32's first test vector.
const PRIVATE: &str =
    "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";

fn export(name: &str) -> String {
    format!("{}/tests/exports/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A finished scan, and the keychains and the start of the range that its server saw.
struct Scanned {
    output: Output,
    keychains: Vec<GivenKeychain>,
    start: Option<RangeStart>,
}

/// Scans beside a scripted server which finds nothing in `keychains` keychains.
fn scan(keychains: usize, arguments: &[&str], stdin: Option<&[u8]>) -> Scanned {
    let (_dir, socket) = dir();
    let mut end = summary(Outcome::Complete);
    end.keychains = vec![KeychainUse::Unused; keychains];
    end.watched_through = vec![None; keychains];
    let fake = serve_at(Path::new(&socket), steps(vec![Step::End(Ending::Summary(end))]));
    let mut command = rescan(&[&["scan", "--json", "--socket", &socket], arguments].concat());
    command.env("HOME", "/nonexistent");
    if stdin.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), stdin) {
        // A command that refuses its arguments closes its end.
        drop(pipe.write_all(bytes));
    }
    let output = child.wait_with_output().unwrap();
    let seen = fake.seen.lock().unwrap();
    let start = seen.request.clone().map(|request| request.range.from);
    Scanned { output, keychains: seen.keychains.clone(), start }
}

impl Scanned {
    fn descriptors(&self) -> Vec<&str> {
        self.keychains.iter().map(|keychain| keychain.descriptor.as_str()).collect()
    }

    fn line(&self) -> Value {
        assert_eq!((code(&self.output), text(&self.output.stderr)), (0, String::new()));
        serde_json::from_str(&text(&self.output.stdout)).unwrap()
    }
}

/// The descriptors of the listed wallet in their order.
fn listed() -> Vec<String> {
    let value: Value = serde_json::from_str(LISTED).unwrap();
    value["descriptors"].as_array().unwrap().iter().map(|it| it["desc"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_output_of_listdescriptors_can_be_piped_as_it_is() {
    let scanned = scan(3, &["--descriptors", "-"], Some(LISTED.as_bytes()));
    assert_eq!(scanned.line()["keychains"][2], json!({"descriptor": 2, "last_used_index": null}));
    assert_eq!(scanned.descriptors(), listed());
    // The wallet watches its ranges to 1499 and 1200.
    let revealed: Vec<_> = scanned.keychains.iter().map(|keychain| keychain.last_revealed).collect();
    assert_eq!(revealed, [None, Some(499), Some(200)]);
    // One timestamp is 1, the first block.
    assert_eq!(scanned.start, Some(RangeStart::Height(Height::GENESIS)));
}

#[test]
fn the_earliest_timestamp_is_the_birthday_unless_one_is_given() {
    let later = LISTED.replace("\"timestamp\": 1,", "\"timestamp\": 1700000000,");
    let start = |arguments: &[&str]| {
        let scanned = scan(3, &[&["--descriptors", "-"], arguments].concat(), Some(later.as_bytes()));
        scanned.line();
        scanned.start.unwrap()
    };
    assert_eq!(start(&[]), RangeStart::Birthday(1_600_000_000));
    assert_eq!(start(&["--from-height", "5"]), RangeStart::Height(Height(5)));
    // Earlier than the tip of the scripted server.
    assert_eq!(start(&["--birthday", "1231469665"]), RangeStart::Birthday(1_231_469_665));
}

#[test]
fn descriptors_of_the_command_line_come_before_those_of_the_file() {
    let own = format!("tr({TPUB}/0/*)");
    let scanned = scan(3, &["--descriptors", &export("specter.json"), "--descriptor", &own, "--gap-limit", "20"], None);
    assert_eq!(code(&scanned.output), 0, "{}", text(&scanned.output.stderr));
    assert_eq!(scanned.keychains.len(), 3);
    assert!(scanned.keychains[0].descriptor.starts_with("tr(") && scanned.keychains[0].gap_limit == 20);
    // The birthday of the first is unknown.
    assert_eq!(scanned.start, Some(RangeStart::Height(Height::GENESIS)));
}

#[test]
fn a_descriptor_that_a_file_repeats_keeps_its_number_and_is_watched_once() {
    let scanned = scan(2, &["--descriptors", &export("sparrow.txt")], None);
    let branches = json!([
        {"descriptor": 0, "branch": 0, "last_used_index": null},
        {"descriptor": 0, "branch": 1, "last_used_index": null},
    ]);
    assert_eq!(scanned.line()["keychains"], branches);
}

#[test]
fn birthdays_that_cannot_be_compared_are_noted() {
    let timed = format!("[{{\"desc\": \"tr({TPUB}/0/*)\", \"timestamp\": 1600000000}}]");
    let annotated = format!("wpkh({TPUB}/0/*)?bh=7");
    let scanned = scan(2, &["--descriptor", &annotated, "--descriptors", "-"], Some(timed.as_bytes()));
    assert_eq!(scanned.start, Some(RangeStart::Height(Height::GENESIS)));
    assert!(text(&scanned.output.stderr).starts_with("note: some birthdays are times and some are heights"));
    let scanned = scan(1, &["--descriptor", &annotated], None);
    assert_eq!(scanned.start, Some(RangeStart::Height(Height(7))));
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_that_repeats_none_of_it() {
    let refused = |content: &str, message: &str| {
        let scanned = scan(0, &["--descriptors", "-"], Some(content.as_bytes()));
        assert_error(&scanned.output, 2, message);
        let stderr = text(&scanned.output.stderr);
        assert!(!stderr.contains(&PRIVATE[..8]), "{stderr}");
    };
    let with_keys = LISTED.replacen(TPUB_OF_LISTED, PRIVATE, 1);
    assert!(with_keys.contains(PRIVATE));
    refused("", "stdin has no descriptors");
    refused(&with_keys, "stdin, descriptor number 1 (counted from 0): private key");
    refused(&format!("# mine\nwpkh({PRIVATE}/0/*)\n"), "stdin, line 2: private key");
    refused(&format!("{{\"{PRIVATE}\": 1}}"), "stdin, line 1, column");
    refused("raw(51)\nhello\n", "stdin, line 2");
    assert_error(&run(&["scan", "--socket", "/none", "--descriptors", "/none/d"]), 2, "cannot read /none/d");
    assert_error(&run(&["scan", "--socket", "/none", "--descriptors", "/tmp"]), 2, "cannot read /tmp");
    for value in [format!("wpkh({PRIVATE}/0/*)"), format!("addr({})#checksum", &PRIVATE[..34]), PRIVATE.to_owned()] {
        for option in ["--descriptors", "--wallets"] {
            let output = run(&["scan", "--socket", "/none", option, &value]);
            assert_error(&output, 2, option);
            let stderr = text(&output.stderr);
            assert!(stderr.contains("--descriptor, in quotes") && !stderr.contains(&PRIVATE[..8]), "{stderr}");
        }
    }
}

/// The key of the wallet that was listed.
const TPUB_OF_LISTED: &str =
    "tpubDDNxyNpPLw4aehpNrSTnLhJ2Sm2Hicdk7w4p4muNoBAf3TuCLBRcu8qXbBp19ZnKvaBwqKe9ScFHZtjm369PxwGh3sHvzfNcpW1PHYKEiqR";

#[test]
fn the_process_list_shows_no_descriptor_and_ctrl_c_ends_the_wait_for_stdin() {
    let mut child = rescan(&["scan", "--socket", "/none", "--descriptors", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    // The rest never comes, so the command is still reading.
    child.stdin.as_mut().unwrap().write_all(format!("wpkh({TPUB}/0/*)\n").as_bytes()).unwrap();
    for file in ["cmdline", "environ"] {
        let shown = fs::read(format!("/proc/{}/{file}", child.id())).unwrap();
        assert!(!String::from_utf8_lossy(&shown).contains(TPUB), "{file}");
    }
    interrupt(&child);
    let status = child.wait().unwrap();
    assert!(!status.success(), "{status}");
}

#[test]
fn a_wallet_in_the_file_has_any_form_of_json() {
    let (dir, _) = dir();
    let path = dir.path().join("w.json");
    let wallets = format!(
        r#"{{"text": "tr({TPUB}/1/*)", "list": ["tr({TPUB}/2/*)"], "core": {LISTED}, "map": {}}}"#,
        fs::read_to_string(export("specter.json")).unwrap()
    );
    fs::write(&path, wallets).unwrap();
    let scanned = scan(7, &["--wallets", path.to_str().unwrap()], None);
    assert_eq!((code(&scanned.output), text(&scanned.output.stderr)), (0, String::new()));
    let found: Vec<Value> = text(&scanned.output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| json!([line["wallet"], line["keychains"].as_array().unwrap().len()]))
        .collect();
    assert_eq!(found, [json!(["text", 1]), json!(["list", 1]), json!(["core", 3]), json!(["map", 2])]);
    assert_eq!(scanned.descriptors()[2..5], listed());
}

/// A node with the listed wallet loaded, and `cold` on its disk.
fn node() -> FakeNode {
    FakeNode::start(|method, _| match method {
        "getwalletinfo" => Reply::json(&json!({
            "walletname": "watcher", "format": "sqlite", "descriptors": true, "private_keys_enabled": false,
            "scanning": false, "txcount": 0, "keypoolsize": 0,
        })),
        "listdescriptors" => Reply::Result(LISTED.to_owned()),
        _ => Reply::Error(-32_601, "Method not found"),
    })
}

/// A scan for a wallet of the node.
fn scan_wallet(node: &FakeNode, name: &str, keychains: usize) -> Scanned {
    let (url, cookie) = (node.url(), node.cookie());
    let arguments = ["--wallet", name, "--bitcoin-rpc", &url, "--cookie", cookie.to_str().unwrap()];
    scan(keychains, &arguments, None)
}

#[test]
fn a_wallet_of_the_node_is_read_as_the_output_of_listdescriptors_is() {
    let node = node();
    let scanned = scan_wallet(&node, "watcher", 3);
    scanned.line();
    assert_eq!(scanned.descriptors(), listed());
    let calls = node.calls();
    assert!(calls.iter().all(|call| call.path == "/wallet/watcher"), "{calls:?}");
    assert!(calls.iter().all(|call| ["getwalletinfo", "listdescriptors"].contains(&call.method.as_str())), "{calls:?}");
}

#[test]
fn a_wallet_that_is_not_loaded_is_named_with_the_next_step() {
    for (on_disk, hint) in [("cold", "bitcoin-cli loadwallet"), ("other", "listwalletdir")] {
        let node = FakeNode::start(move |method, _| match method {
            "listwallets" => Reply::json(&json!(["watcher", "spender"])),
            "listwalletdir" => Reply::json(&json!({"wallets": [{"name": on_disk}]})),
            _ => Reply::Error(-18, "Requested wallet does not exist or is not loaded"),
        });
        let output = scan_wallet(&node, "cold", 0).output;
        assert_error(&output, 2, "cold");
        let stderr = text(&output.stderr);
        assert!(stderr.contains("watcher") && stderr.contains("spender") && stderr.contains(hint), "{stderr}");
    }
    let without = FakeNode::start(|_, _| Reply::Error(-32_601, "Method not found"));
    assert_error(&scan_wallet(&without, "cold", 0).output, 1, "the node has no wallets");
    let output = run(&["scan", "--socket", "/none", "--wallet", PRIVATE]);
    assert_error(&output, 2, "--wallet takes the name of a wallet");
    assert!(!text(&output.stderr).contains(&PRIVATE[..8]));
}

#[test]
fn every_command_that_watches_needs_one_of_the_sources_and_wallets_stand_alone() {
    for command in ["scan", "follow", "compare"] {
        assert_error(&run(&[command, "--socket", "/none"]), 2, "--descriptors");
        assert_error(&run(&[command, "--socket", "/none", "--gap-limit", "20"]), 2, "--wallets");
        for other in ["--descriptor", "--descriptors", "--wallet"] {
            let output = run(&[command, "--socket", "/none", "--wallets", "w", other, "x"]);
            assert_error(&output, 2, "cannot be used with");
        }
        // No abbreviation stands for either option.
        assert_error(&run(&[command, "--socket", "/none", "--descripto", "raw(51)"]), 2, "unexpected argument");
    }
    let checkpoint = ["scan", "--socket", "/none", "--descriptor", "raw(51)", "--checkpoint", "/tmp/c"];
    assert_error(&run(&checkpoint), 2, "--json");
    assert_error(&run(&[&checkpoint[..], &["--json", "--coins"]].concat()), 2, "--coins");
}
