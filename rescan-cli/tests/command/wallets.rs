//! Gap limits, coins, several wallets, and late reports: the request, and the lines of each wallet.

use std::fs;
use std::path::Path;
use std::process::Output;

use rescan_client::bitcoin::hashes::Hash;
use rescan_client::bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Txid};
use rescan_client::coins::Coin;
use rescan_client::position::Height;
use rescan_client::report::{BlockReport, Ending, KeychainUse, Origin, Outcome};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::reorganised::{counted, keychain_report};
use super::{OUTPOINT, TPUB, assert_error, code, dir, run, steps, text};
use rescan_tests::fake::summary;
use rescan_tests::fake::{Fake, Step, serve_at};

fn ends(outcome: Outcome, keychains: Vec<KeychainUse>) -> Step {
    let mut end = summary(outcome);
    end.watched_through = vec![None; keychains.len()];
    end.keychains = keychains;
    Step::End(Ending::Summary(end))
}

/// Runs a scan with a scripted answer.
fn scan(script: Vec<Step>, arguments: &[&str]) -> (Fake, Output) {
    let (_dir, socket) = dir();
    let fake = serve_at(Path::new(&socket), steps(script));
    let output = run(&[&["scan", "--socket", &socket], arguments].concat());
    (fake, output)
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn descriptor(branch: u32) -> String {
    format!("wpkh({TPUB}/{branch}/*)")
}

/// A file of wallets, and its directory.
fn file(content: &str) -> (TempDir, String) {
    let (dir, _) = dir();
    let path = dir.path().join("wallets.json");
    fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

fn coin(height: u8, keychain: u32) -> Coin {
    Coin {
        height: Height(height.into()),
        block_hash: BlockHash::all_zeros(),
        tx_index: 0,
        outpoint: OutPoint { txid: Txid::from_byte_array([height; 32]), vout: 0 },
        value: Amount::from_sat(10 * u64::from(height)),
        script_pubkey: ScriptBuf::from(vec![0x51]),
        origins: vec![Origin::Keychain { keychain, index: Some(height.into()) }],
    }
}

#[test]
fn the_gap_limit_reaches_every_keychain() {
    for (arguments, due) in [(vec![], 1_000), (vec!["--gap-limit", "20"], 20)] {
        let descriptor = format!("wpkh({TPUB}/<0;1>/*)");
        let (fake, output) = scan(
            vec![ends(Outcome::Complete, vec![KeychainUse::Unused; 2])],
            &[&["--descriptor", &descriptor, "--json"], &arguments[..]].concat(),
        );
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        let seen = fake.seen.lock().unwrap();
        assert_eq!(seen.keychains.iter().map(|keychain| keychain.gap_limit).collect::<Vec<_>>(), [due; 2]);
    }
    for gap_limit in ["0", "1000001", "x"] {
        let output = run(&["scan", "--socket", "/none", "--outpoint", OUTPOINT, "--gap-limit", gap_limit]);
        assert_error(&output, 2, "a number from 1 to 1000000");
    }
}

#[test]
fn coins_are_printed_in_place_of_transactions_and_the_summary_last() {
    let script =
        || vec![Step::Coins(vec![coin(2, 0), coin(3, 0)]), ends(Outcome::Complete, vec![KeychainUse::LastUsed(3)])];
    let (fake, output) = scan(script(), &["--descriptor", &descriptor(0), "--coins", "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let found: Vec<_> =
        lines(&output).iter().map(|line| json!([line["type"], line["height"], line["value_sat"]])).collect();
    assert_eq!(found, [json!(["coin", 2, 20]), json!(["coin", 3, 30]), json!(["summary", null, null])]);
    assert_eq!(fake.seen.lock().unwrap().request.clone().unwrap().deliver, rescan_client::Deliver::Coins);
    let (_fake, output) = scan(script(), &["--descriptor", &descriptor(0), "--coins"]);
    let tables = text(&output.stdout);
    assert!(tables.contains("descriptor 0 index 3") && tables.contains("2 coins unspent, 0.00000002 BTC"), "{tables}");
}

#[test]
fn a_reorganised_scan_for_coins_has_none() {
    let steps =
        vec![Step::Coins(vec![coin(2, 0)]), ends(Outcome::ReorganisedFrom(Height(4)), vec![KeychainUse::LastUsed(9)])];
    let (_fake, output) = scan(steps, &["--descriptor", &descriptor(0), "--coins", "--json"]);
    assert_eq!(code(&output), 3);
    let lines = lines(&output);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(counted(&lines[0]), json!([0, 0, 0, [{"descriptor": 0, "last_used_index": null}]]));
}

/// Block 3; block 2, late; block 3 again, late, with a spend.
fn with_late_reports() -> Vec<Step> {
    let late = |report: BlockReport| BlockReport { is_late: true, ..report };
    let reports = vec![keychain_report(3, None), late(keychain_report(2, None)), late(keychain_report(3, Some(2)))];
    vec![Step::Reports(reports), ends(Outcome::Complete, vec![KeychainUse::LastUsed(3)])]
}

#[test]
fn late_reports_are_sorted_and_no_line_is_late() {
    let (_fake, output) = scan(with_late_reports(), &["--descriptor", &descriptor(0), "--json"]);
    let lines = lines(&output);
    let found: Vec<_> =
        lines[..2].iter().map(|line| json!([line["height"], line["spent"].as_array().unwrap().len()])).collect();
    assert_eq!(found, [json!([2, 0]), json!([3, 1])]);
    assert!(lines.len() == 3 && !text(&output.stdout).contains("late"), "{lines:?}");
}

#[test]
fn a_stream_marks_late_lines() {
    let (_fake, output) = scan(with_late_reports(), &["--descriptor", &descriptor(0), "--json", "--stream"]);
    let found: Vec<_> = lines(&output).iter().map(|line| json!([line["height"], line["late"]])).collect();
    assert_eq!(found, [json!([3, null]), json!([2, true]), json!([3, true]), json!([null, null])]);
}

/// Two wallets, not in the order of their names. The second one also watches the first one's keychain.
fn two_wallets() -> (TempDir, String) {
    let (first, second) = (descriptor(0), descriptor(1));
    file(&format!(r#"{{"zoe": ["{first}"], "al": ["{second}", "{first}"]}}"#))
}

/// A report of keychains 0 and 2, which have the same descriptor.
fn shared_report(height: u8) -> BlockReport {
    let mut report = keychain_report(height, None);
    let index = Some(height.into());
    report.transactions[0].received[0].origins =
        vec![Origin::Keychain { keychain: 0, index }, Origin::Keychain { keychain: 2, index }];
    report
}

fn for_two_wallets() -> Vec<Step> {
    let mut of_the_second = keychain_report(5, None);
    of_the_second.transactions[0].received[0].origins = vec![Origin::Keychain { keychain: 1, index: Some(5) }];
    let uses = vec![KeychainUse::LastUsed(2), KeychainUse::LastUsed(5), KeychainUse::LastUsed(2)];
    vec![Step::Reports(vec![shared_report(2), of_the_second]), ends(Outcome::Complete, uses)]
}

#[test]
fn each_wallet_has_its_own_lines_and_summary() {
    let (_dir, path) = two_wallets();
    for stream in [&[][..], &["--stream"]] {
        let (_fake, output) = scan(for_two_wallets(), &[&["--wallets", &path, "--json"], stream].concat());
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        let lines = lines(&output);
        let found: Vec<_> = lines.iter().map(|line| json!([line["type"], line["wallet"], line["height"]])).collect();
        let due = [
            json!(["transaction", "zoe", 2]),
            json!(["transaction", "al", 2]),
            json!(["transaction", "al", 5]),
            json!(["summary", "zoe", null]),
            json!(["summary", "al", null]),
        ];
        assert_eq!(found, due);
        let descriptors: Vec<_> = lines[..3].iter().map(|line| &line["received"][0]["descriptor"]).collect();
        assert_eq!(descriptors, [0, 1, 0]);
        assert_eq!(counted(&lines[3]), json!([1, 1, 20, [{"descriptor": 0, "last_used_index": 2}]]));
        let keychains = json!([{"descriptor": 0, "last_used_index": 5}, {"descriptor": 1, "last_used_index": 2}]);
        assert_eq!(counted(&lines[4]), json!([2, 2, 70, keychains]));
    }
}

#[test]
fn each_wallet_has_its_own_tables() {
    let (_dir, path) = two_wallets();
    let (_fake, output) = scan(for_two_wallets(), &["--wallets", &path]);
    let tables = text(&output.stdout);
    let (zoe, al) = tables.split_once("\nwallet al\n").expect("a section a wallet");
    assert!(zoe.starts_with("wallet zoe\n") && zoe.contains("1 transaction, 1 coin unspent"), "{tables}");
    assert!(al.contains("2 transactions, 2 coins unspent") && al.ends_with("complete\n"), "{tables}");
}

#[test]
fn each_coin_is_printed_for_its_wallet() {
    let (_dir, path) = two_wallets();
    let uses = vec![KeychainUse::LastUsed(2), KeychainUse::LastUsed(3), KeychainUse::LastUsed(2)];
    let steps = vec![Step::Coins(vec![coin(2, 0), coin(3, 1)]), ends(Outcome::Complete, uses)];
    let (_fake, output) = scan(steps, &["--wallets", &path, "--coins", "--json"]);
    let lines = lines(&output);
    let found: Vec<_> = lines.iter().map(|line| json!([line["type"], line["wallet"], line["unspent_sat"]])).collect();
    let due = [
        json!(["coin", "zoe", null]),
        json!(["coin", "al", null]),
        json!(["summary", "zoe", 20]),
        json!(["summary", "al", 30]),
    ];
    assert_eq!(found, due);
    assert_eq!(lines[3]["keychains"][0]["last_used_index"], 3);
}

#[test]
fn a_file_without_wallets_is_refused_and_none_of_it_repeated() {
    // From BIP38's test vectors.
    let key = "L44B5gGEqEDRS9vVPz7QT35jcBG2r3CZwSwQ4fCewXAhAhqGVpP";
    let good = descriptor(0);
    for (content, message) in [
        (String::new(), "line 1, column 0"),
        ("{}".to_owned(), "has no wallets"),
        (format!(r#"{{"a": "{key}"}}"#), "wallet number 0, descriptor number 0"),
        (format!(r#"{{"a": 5, "b": "{key}"}}"#), "not of the form expected"),
        (format!(r#"["{key}"]"#), "not of the form expected"),
        (format!("{{\"a\": [\"{good}\"],\n\"{key}\": 5}}"), "line 2"),
        (format!(r#"{{"{key}": []}}"#), "wallet number 0 (counted from 0)"),
        (format!(r#"{{"a": ["{good}"], "b": ["{good}", "wpkh({key})"]}}"#), "wallet number 1, descriptor number 1"),
        (format!(r#"{{"{key}": ["{good}"], "b": ["{good}"], "{key}": ["{good}"]}}"#), "wallets number 0 and 2"),
    ] {
        let (_dir, path) = file(&content);
        let output = run(&["scan", "--socket", "/none", "--wallets", &path]);
        assert_error(&output, 2, message);
        assert!(!text(&output.stderr).contains(&key[..8]), "{}", text(&output.stderr));
    }
    assert_error(&run(&["scan", "--socket", "/none", "--wallets", "/none/w.json"]), 2, "/none/w.json");
    let misplaced = run(&["scan", "--socket", "/none", "--wallets", &format!("wpkh({key})")]);
    assert_error(&misplaced, 2, "--wallets takes the path of a file");
    assert!(!text(&misplaced.stderr).contains(&key[..8]));
}

#[test]
fn wallets_of_a_file_and_descriptors_of_the_command_line_exclude_each_other() {
    let arguments = ["scan", "--socket", "/none", "--wallets", "w.json", "--descriptor", &descriptor(0)];
    assert_error(&run(&arguments), 2, "--wallets");
}

#[test]
fn the_help_goes_from_the_scripts_to_the_server() {
    let help = text(&run(&["scan", "--help"]).stdout);
    let headings = ["Watched scripts:", "Blocks:", "Output:", "Server:", "Examples:"];
    let places: Vec<_> = headings.iter().map(|heading| help.find(heading).expect(heading)).collect();
    assert!(places.is_sorted(), "{help}");
    for option in ["--gap-limit", "--wallets", "--coins"] {
        assert!(help[places[4]..].contains(option), "no example of {option}");
    }
}
