//! The `rescan-server` command: exit codes, output streams, signals.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use bitcoin::Network;
use rescan_fixtures::block_file_writer::{BlockFileLayout, BlockFileWriter};
use rustix::process::{Pid, Signal, kill_process};

/// A regtest datadir with genesis alone.
fn datadir() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let blocks = directory.path().join("regtest/blocks");
    let mut writer = BlockFileWriter::create(&blocks, BlockFileLayout::default()).unwrap();
    let genesis = bitcoin::constants::genesis_block(Network::Regtest);
    writer.write_block(&bitcoin::consensus::serialize(&genesis)).unwrap();
    directory
}

fn command(datadir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rescan-server"));
    command.arg("--datadir").arg(datadir).env("XDG_STATE_HOME", datadir.join("state")).env_remove("RUST_LOG");
    command
}

/// Starts a server and waits until it serves.
fn serving(command: &mut Command) -> Child {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let is_serving = |line: &Result<String, _>| line.as_ref().is_ok_and(|line| line.contains("serving"));
    assert!(lines.any(|line| is_serving(&line)), "the server ended before it served");
    // Drain the rest, so that the server never blocks on its log.
    std::thread::spawn(move || lines.count());
    child
}

fn ended_by(signal: Signal, child: Child) -> Output {
    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_signal_ends_the_server_with_code_0_and_nothing_on_stdout() {
    for signal in [Signal::TERM, Signal::INT] {
        let datadir = datadir();
        let socket = datadir.path().join("regtest/rescan.sock");
        let child = serving(&mut command(datadir.path()));
        assert!(socket.exists(), "the default socket is in the network's folder");
        let output = ended_by(signal, child);
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stdout.is_empty());
        assert!(!socket.exists());
        assert!(datadir.path().join("state/rescan").is_dir(), "the state is in the XDG directory");
    }
}

#[test]
fn missing_block_files_are_code_1_and_wrong_usage_is_code_2() {
    let empty = tempfile::tempdir().unwrap();
    let missing = command(empty.path()).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(said.contains("--network") && said.contains("--blocks-dir"), "{said}");
    for usage in [&["--workers", "0"][..], &["--network", "bogus"], &["--blocks-dir", "/b"], &["--bogus"]] {
        let output = command(empty.path()).args(usage).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{usage:?}");
    }
}

#[test]
fn json_logs_are_an_object_a_line() {
    let empty = tempfile::tempdir().unwrap();
    let output = command(empty.path()).args(["--log-format", "json"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.lines().count() > 0);
    assert!(said.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{said}");
}
