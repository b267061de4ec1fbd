//! The `rescan` command: what it prints, what it says, and its exit codes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rescan_client::bitcoin::hashes::Hash;
use rescan_client::bitcoin::{Amount, Network, OutPoint, Txid};
use rescan_client::position::Height;
use rescan_client::report::{
    BlockReport, Ending, Failure, FailureKind, FailurePlace, KeychainUse, Origin, Outcome, Refusal, RefusalReason,
    Spent,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::fake::{self, Fake, Script, Step, serve_at};
use crate::library::{complete, report, summary};

/// BIP84's test vector; a test network's key.
const TPUB: &str =
    "tpubDCBWBScQPGv4Xk3JSbhw6wYYpayMjb2eAYyArpbSqQTbLDpphHGAetB6VQgVeftLML8vDSUEWcC2xDi3qJJ3YCDChJDvqVzpgoYSuT52MhJ";
const OUTPOINT: &str = "1111111111111111111111111111111111111111111111111111111111111111:1";

fn rescan(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rescan"));
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(words: &[&str]) -> Output {
    rescan(words).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it exits by itself")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Nothing on stdout; one error and, as the last line, a hint on stderr.
fn assert_trouble(output: &Output, exit: i32, says: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(code(output), exit, "{stderr}");
    assert_eq!(text(&output.stdout), "");
    assert!(stderr.starts_with("error: ") && stderr.contains(says), "{stderr}");
    assert!(stderr.lines().last().is_some_and(|line| line.starts_with("hint: ")), "{stderr}");
}

/// A directory for a socket; the path is short enough whatever TMPDIR says.
fn dir() -> (TempDir, String) {
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let socket = dir.path().join("s").to_str().unwrap().to_owned();
    (dir, socket)
}

/// A scan of one coin, served by a script.
fn scripted(script: Script, more: &[&str]) -> (TempDir, Fake, Command) {
    let (dir, socket) = dir();
    let fake = serve_at(Path::new(&socket), script);
    let mut words = vec!["scan", "--socket", socket.as_str(), "--outpoint", OUTPOINT];
    words.extend(more);
    let command = rescan(&words);
    (dir, fake, command)
}

fn steps(steps: Vec<Step>) -> Script {
    Script::new(steps)
}

/// A report that belongs to the one given outpoint.
fn spend_report(height: u32) -> BlockReport {
    let mut report = report(height, 2);
    report.transactions[0].received[0].origins = vec![Origin::Outpoint(0)];
    report
}

fn ends(outcome: Outcome) -> Step {
    Step::End(Ending::Summary(summary(outcome)))
}

// --- Where no server is -------------------------------------------------------------------------------------------

#[test]
fn a_missing_socket_is_named_with_a_hint() {
    let (_dir, socket) = dir();
    for words in [vec!["info", "--socket", &socket], vec!["scan", "--socket", &socket, "--outpoint", OUTPOINT]] {
        let output = run(&words);
        assert_trouble(&output, 1, &socket);
        assert!(text(&output.stderr).contains("is rescan-server running"));
    }
}

#[test]
fn a_file_that_is_no_socket_is_told_apart() {
    let (_dir, socket) = dir();
    fs::write(&socket, "text").unwrap();
    assert_trouble(&run(&["info", "--socket", &socket]), 1, "is not a socket");
}

#[test]
fn a_socket_that_nobody_listens_on_is_told_apart() {
    let (_dir, socket) = dir();
    drop(UnixListener::bind(&socket).unwrap());
    assert_trouble(&run(&["info", "--socket", &socket]), 1, "nobody listens");
}

#[test]
fn a_path_that_no_socket_can_have_is_told_apart() {
    let long = format!("/tmp/{}", "x".repeat(103));
    assert_trouble(&run(&["info", "--socket", &long]), 1, "108 bytes");
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn a_socket_without_permission_is_told_apart() {
    if rustix::process::geteuid().is_root() {
        // Root passes every permission, so the refusal is asked for as another user, where this machine has `setpriv`.
        let (dir, socket) = dir();
        let _listener = UnixListener::bind(&socket).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o700)).unwrap();
        let program = dir.path().join("rescan");
        fs::copy(env!("CARGO_BIN_EXE_rescan"), &program).unwrap();
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .args(["info", "--socket", &socket])
            .output();
        match output {
            Ok(output) => assert_trouble(&output, 1, "no permission"),
            Err(error) => println!("skipped: cannot become another user here ({error})"),
        }
        return;
    }
    let (_dir, socket) = dir();
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    assert_trouble(&run(&["info", "--socket", &socket]), 1, "no permission");
}

#[test]
fn a_peer_that_speaks_no_capn_proto_is_told_apart_and_stdout_stays_clean() {
    let (_dir, socket) = dir();
    let listener = UnixListener::bind(&socket).unwrap();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 mail.example.org ESMTP, what do you want\r\n").unwrap();
        // Until the client has gone.
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let output = run(&["info", "--json", "--socket", &socket]);
    assert_trouble(&output, 1, "does not speak Cap'n Proto");
    peer.join().unwrap();
}

// --- What is refused before anything is connected to --------------------------------------------------------------

#[test]
fn a_bad_descriptor_is_refused_before_connecting() {
    let output = run(&["scan", "--socket", "/nonexistent", "--descriptor", "wpkh(nonsense)"]);
    assert_trouble(&output, 2, "--descriptor number 0");
}

#[test]
fn a_private_key_is_never_repeated() {
    let key = "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK";
    let descriptor = format!("wpkh({key}/0/*)");
    let flagged = format!("--descriptor={descriptor}");
    let misspelt = format!("--descripter={descriptor}");
    for words in [
        vec!["scan", "--socket", "/nonexistent", &flagged],
        vec!["scan", "--socket", "/nonexistent", &descriptor],
        vec!["scan", "--socket", "/nonexistent", &misspelt],
        vec!["scan", "--socket", "/nonexistent", "--outpoint", &descriptor],
        vec![descriptor.as_str()],
    ] {
        let output = run(&words);
        assert_trouble(&output, 2, "error");
        assert!(!text(&output.stderr).contains("tprv8"), "{}", text(&output.stderr));
    }
}

#[test]
fn no_piece_of_a_private_key_behind_the_wrong_flag_is_repeated() {
    // From BIP38's test vectors.
    let key = "L44B5gGEqEDRS9vVPz7QT35jcBG2r3CZwSwQ4fCewXAhAhqGVpP";
    let pieces: Vec<&str> = (0..=key.len() - 6).map(|at| &key[at..at + 6]).collect();
    let flags = [
        ("scan", "--birthday", "YYYY-MM-DD"),
        ("scan", "--outpoint", "TXID:VOUT"),
        ("scan", "--from-height", "a number"),
        ("scan", "--to-height", "a number"),
        ("scan", "--verify", "one of reported, all, none"),
        ("scan", "--network", "testnet3"),
        ("scan", "--socket", "--socket takes"),
        ("scan", "--json", "--json takes no value"),
        ("scan", "--descriptor", "--descriptor number"),
        ("info", "--socket", "--socket takes"),
        ("demo", "--wallet", "--wallet takes"),
        ("demo", "--server", "--server takes"),
        ("scan", "--birthdya", "unexpected argument"),
    ];
    let values = [key.to_owned(), format!("wpkh({key})"), format!("wpkh([d34db33f/84h]{key})"), format!("{key}:0")];
    for (command, flag, says) in flags {
        for value in &values {
            let mut words = vec![command.to_owned(), format!("{flag}={value}")];
            if command == "scan" && !["--descriptor", "--outpoint"].contains(&flag) {
                words.extend(["--outpoint".to_owned(), OUTPOINT.to_owned()]);
            }
            let output = run(&words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_trouble(&output, 2, says);
            let stderr = text(&output.stderr);
            assert!(!pieces.iter().any(|piece| stderr.contains(piece)), "{flag}: {stderr}");
        }
    }
}

#[test]
fn the_help_names_the_networks_as_the_server_does() {
    let help = text(&run(&["info", "--help"]).stdout);
    assert!(help.contains("testnet3") && help.contains("Also called test"), "{help}");
    for name in ["testnet3", "test"] {
        let output = rescan(&["info", "--network", name]).env("HOME", "/nonexistent").output().unwrap();
        assert_trouble(&output, 1, "/nonexistent/.bitcoin/testnet3/rescan.sock");
    }
}

#[test]
fn a_range_upside_down_is_refused_before_connecting() {
    let output =
        run(&["scan", "--socket", "/nonexistent", "--outpoint", OUTPOINT, "--from-height", "5", "--to-height", "4"]);
    assert_trouble(&output, 2, "--from-height 5 is above --to-height 4");
}

#[test]
fn a_malformed_height_is_a_usage_error() {
    for height in ["abc", "-1", "4294967296", ""] {
        let flag = format!("--from-height={height}");
        assert_trouble(&run(&["scan", "--socket", "/nonexistent", "--outpoint", OUTPOINT, &flag]), 2, "--from-height");
    }
}

#[test]
fn descriptors_of_another_network_than_the_servers_are_refused() {
    let (_dir, socket) = dir();
    let mut info = fake::info();
    info.network = Network::Bitcoin;
    let _fake = serve_at(Path::new(&socket), Script { info: fake::flat_info(&info), ..Script::new(vec![]) });
    let output = run(&["scan", "--socket", &socket, "--descriptor", &format!("wpkh({TPUB}/0/*)")]);
    assert_trouble(&output, 2, "the server is one of");
}

// --- Scans --------------------------------------------------------------------------------------------------------

#[test]
fn json_is_a_line_a_transaction_and_the_summary_last() {
    let (_dir, _fake, mut command) =
        scripted(steps(vec![Step::Reports(vec![spend_report(1), spend_report(4)]), complete()]), &["--json"]);
    let output = command.output().unwrap();
    assert_eq!((code(&output), text(&output.stderr)), (0, String::new()));
    let stdout = text(&output.stdout);
    let lines: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines.iter().map(|line| (line["type"].as_str().unwrap(), line["height"].as_u64())).collect();
    assert_eq!(told, [("transaction", Some(1)), ("transaction", Some(4)), ("summary", None)]);
    assert_eq!(lines[2]["outcome"], "complete");
    assert!(lines[2]["bytes_received"].as_u64().unwrap() > 100);
}

#[test]
fn a_streamed_report_is_printed_before_the_scan_has_ended() {
    let script = steps(vec![Step::Reports(vec![spend_report(1)]), Step::UntilCancelled, ends(Outcome::Cancelled)]);
    let (_dir, _fake, mut command) = scripted(script, &["--json", "--stream"]);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The fake goes on only when it is cancelled, so this line came before the end.
    assert!(lines.next().unwrap().unwrap().contains(r#""height":1"#));
    interrupt(&child);
    assert!(lines.next().unwrap().unwrap().contains(r#""outcome":"cancelled""#));
    assert!(lines.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[test]
fn ctrl_c_prints_what_was_found_and_the_summary() {
    let script = steps(vec![
        Step::Reports(vec![spend_report(1)]),
        Step::Reached,
        Step::UntilCancelled,
        Step::Reports(vec![spend_report(2)]),
        ends(Outcome::Cancelled),
    ]);
    let (_dir, fake, mut command) = scripted(script, &["--json"]);
    let child = command.spawn().unwrap();
    fake.reached.blocking_recv().unwrap();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130, "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 3);
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_server() {
    // The fake hears of the cancellation, and never ends the scan.
    let (_dir, fake, mut command) =
        scripted(steps(vec![Step::UntilCancelled, Step::Reached, Step::UntilCancelled]), &["--json"]);
    let child = command.spawn().unwrap();
    fake.scan_begun.blocking_recv().unwrap();
    interrupt(&child);
    fake.reached.blocking_recv().unwrap();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), text(&output.stdout)), (130, String::new()));
}

#[test]
fn outcomes_other_than_complete_exit_with_3_and_a_summary() {
    for (outcome, word) in [
        (Outcome::Cancelled, r#""outcome":"cancelled""#),
        (Outcome::PrunedBelow(Height(7)), r#""outcome_height":7"#),
        (Outcome::ReorganisedFrom(Height(8)), r#""outcome":"reorganised""#),
    ] {
        let (_dir, _fake, mut command) = scripted(steps(vec![ends(outcome)]), &["--json"]);
        let output = command.output().unwrap();
        assert_eq!(code(&output), 3);
        assert!(text(&output.stdout).contains(word), "{}", text(&output.stdout));
    }
}

/// A block whose only transaction, of its own txid, pays index `height` of the first keychain, and spends the coin of
/// block `spends` if that is given.
fn keychain_report(height: u8, spends: Option<u8>) -> BlockReport {
    let txid = |of: u8| Txid::from_byte_array([of; 32]);
    let mut report = report(height.into(), 2);
    let transaction = &mut report.transactions[0];
    transaction.txid = txid(height);
    let origins = vec![Origin::Keychain { keychain: 0, index: Some(height.into()) }];
    transaction.received[0].origins.clone_from(&origins);
    transaction.received[0].value = Amount::from_sat(10 * u64::from(height));
    let prevout = spends.map(|of| OutPoint { txid: txid(of), vout: 0 });
    transaction.spent.extend(prevout.map(|prevout| Spent { vin: 0, prevout, value: None, origins }));
    report
}

/// A scan of one descriptor: four blocks are reported, and then the last two are taken back. Block 4 spends the coin of
/// block 3, and the server's summary counts all.
fn reorganised(more: &[&str]) -> Output {
    let mut end = summary(Outcome::ReorganisedFrom(Height(4)));
    (end.transactions, end.unspent_count, end.unspent) = (4, 3, Amount::from_sat(110));
    end.keychains = vec![KeychainUse::LastUsed(5)];
    let reports =
        vec![keychain_report(2, None), keychain_report(3, None), keychain_report(4, Some(3)), keychain_report(5, None)];
    let script = steps(vec![Step::Reports(reports), Step::End(Ending::Summary(end))]);
    let (_dir, socket) = dir();
    let _fake = serve_at(Path::new(&socket), script);
    let descriptor = format!("wpkh({TPUB}/0/*)");
    let output = run(&[&["scan", "--socket", &socket, "--descriptor", &descriptor], more].concat());
    assert_eq!(code(&output), 3, "{}", text(&output.stderr));
    output
}

fn counted(line: &serde_json::Value) -> serde_json::Value {
    serde_json::json!([line["transactions"], line["unspent_count"], line["unspent_sat"], line["keychains"]])
}

#[test]
fn reports_that_a_reorganisation_took_back_are_neither_printed_nor_counted() {
    let stdout = text(&reorganised(&["--json"]).stdout);
    let lines: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["height"].as_u64()).collect::<Vec<_>>(), [Some(2), Some(3), None]);
    // The coin of block 3 is unspent again.
    let due = serde_json::json!([2, 2, 50, [{"descriptor": 0, "last_used_index": 3}]]);
    assert_eq!((counted(&lines[2]), &lines[2]["outcome_height"]), (due, &4.into()));
    let tables = text(&reorganised(&[]).stdout);
    assert!(tables.contains("2 transactions, 2 coins unspent, 0.00000050 BTC"), "{tables}");
    assert!(tables.contains("used up to index 3"), "{tables}");
}

#[test]
fn what_was_streamed_before_a_reorganisation_is_counted_as_the_help_says() {
    let stdout = text(&reorganised(&["--json", "--stream"]).stdout);
    assert_eq!(stdout.lines().count(), 5, "{stdout}");
    let last = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(counted(&last), serde_json::json!([4, 3, 110, [{"descriptor": 0, "last_used_index": 5}]]));
    assert!(text(&run(&["scan", "--help"]).stdout).contains("still count it"));
}

#[test]
fn a_refusal_of_the_servers_is_a_usage_error_without_a_summary() {
    let refusal = Refusal { reason: RefusalReason::BadRange, position: 0, detail: "above the tip 9".to_owned() };
    let (_dir, _fake, mut command) = scripted(steps(vec![Step::End(Ending::Refused(refusal))]), &["--json"]);
    assert_trouble(&command.output().unwrap(), 2, "above the tip 9");
}

#[test]
fn a_failure_names_the_place_and_prints_no_summary() {
    let at = FailurePlace { height: Height(6), path: "/blocks/blk00001.dat".into(), offset: 1_234 };
    let failure = Failure { kind: FailureKind::CorruptBlock, detail: "merkle root".to_owned(), at: Some(at) };
    let script = steps(vec![Step::Reports(vec![spend_report(1)]), Step::End(Ending::Failed(failure))]);
    let (_dir, _fake, mut command) = scripted(script, &["--json"]);
    assert_trouble(&command.output().unwrap(), 1, "height 6, /blocks/blk00001.dat at offset 1234");
}

#[test]
fn a_server_that_vanishes_is_a_failure_and_not_an_answer() {
    let (_dir, _fake, mut command) =
        scripted(steps(vec![Step::Reports(vec![spend_report(1)]), Step::HangUp]), &["--json"]);
    assert_trouble(&command.output().unwrap(), 1, "connection to the server is gone");
}

#[test]
fn garbage_in_mid_scan_leaves_stdout_clean() {
    let (_dir, _fake, mut command) = scripted(steps(vec![Step::Garbage]), &["--json"]);
    assert_trouble(&command.output().unwrap(), 1, "error");
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    // More than a pipe holds, so that the writing meets the closed end.
    let reports = (0..2_000).map(spend_report).collect();
    let (_dir, _fake, mut command) = scripted(steps(vec![Step::Reports(reports), complete()]), &["--json"]);
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), text(&output.stderr)), (0, String::new()));
}

#[test]
fn tables_name_each_transaction_and_how_it_ended() {
    let (_dir, _fake, mut command) = scripted(steps(vec![Step::Reports(vec![spend_report(1)]), complete()]), &[]);
    let output = command.output().unwrap();
    let stdout = text(&output.stdout);
    assert_eq!((code(&output), text(&output.stderr)), (0, String::new()));
    assert!(stdout.contains(&"0".repeat(64)) && stdout.ends_with("complete\n"), "{stdout}");
    assert!(!stdout.contains('\u{1b}'), "no colour where no terminal is");
}

#[test]
fn info_says_that_the_chain_is_from_files() {
    let (_dir, socket) = dir();
    let _fake = serve_at(Path::new(&socket), Script::new(vec![]));
    let output = run(&["info", "--socket", &socket]);
    assert_eq!(code(&output), 0);
    assert!(text(&output.stdout).contains("from files, not confirmed by a node"));
}

#[test]
fn the_demo_says_how_to_build_a_server_that_is_missing() {
    assert_trouble(&run(&["demo", "--server", "/nonexistent/rescan-server"]), 1, "no rescan-server at");
}

/// A demo whose temporary files lie in `dir`, with a shell script for a server.
fn demo(dir: &Path, script: &str) -> Command {
    let server = dir.join("server");
    fs::write(&server, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&server, fs::Permissions::from_mode(0o755)).unwrap();
    let temporary = dir.join("t");
    fs::create_dir(&temporary).unwrap();
    let mut command = rescan(&["demo", "--server", server.to_str().unwrap()]);
    command.env("TMPDIR", temporary);
    command
}

fn left_behind(dir: &Path) -> usize {
    fs::read_dir(dir.join("t")).unwrap().count()
}

#[test]
fn a_demo_whose_server_fails_says_what_that_said_and_leaves_nothing_behind() {
    let (dir, _) = dir();
    let output = demo(dir.path(), "echo no such option >&2; exit 2").output().unwrap();
    assert_trouble(&output, 1, "no such option");
    assert_eq!(left_behind(dir.path()), 0);
}

#[test]
fn ctrl_c_ends_the_demos_server_and_leaves_nothing_behind() {
    let (dir, _) = dir();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let child = demo(dir.path(), &format!("echo $$ > {}; exec sleep 600", fifo.display())).spawn().unwrap();
    // Opening waits for the server to open its end.
    let server: i32 = fs::read_to_string(&fifo).unwrap().trim().parse().unwrap();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130, "{}", text(&output.stderr));
    assert_eq!(left_behind(dir.path()), 0);
    assert!(rustix::process::test_kill_process(Pid::from_raw(server).unwrap()).is_err(), "the server still runs");
}

/// The whole of it, where the server lies beside this command, as it does once the workspace is built.
#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn the_demo_equals_bitcoin_core() {
    let server = Path::new(env!("CARGO_BIN_EXE_rescan")).with_file_name("rescan-server");
    if !server.is_file() {
        let required = std::env::var_os("RESCAN_REQUIRE_SERVER").is_some();
        assert!(!required, "no {}: run cargo test --workspace, which builds it", server.display());
        println!("skipped: no {}; cargo build -p rescan-server makes it", server.display());
        return;
    }
    let output = run(&["demo"]);
    let stdout = text(&output.stdout);
    assert_eq!((code(&output), text(&output.stderr)), (0, String::new()), "{stdout}");
    assert!(stdout.contains("All 6 wallets equal what Bitcoin Core v31.99 says"), "{stdout}");
    let output = run(&["demo", "--wallet", "vault"]);
    let stdout = text(&output.stdout);
    assert_eq!(code(&output), 0, "{stdout}");
    assert!(stdout.contains("165 transactions, 330 coins unspent, 69.19991600 BTC"), "{stdout}");
}
