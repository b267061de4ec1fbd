//! The `rescan-server` command as an operator meets it: exit codes, what goes to which stream, signals.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
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
    // The rest is read as it comes, so that the server never waits for it.
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
        assert!(datadir.path().join("state/rescan").is_dir(), "the state lies where XDG says");
    }
}

#[test]
fn a_second_server_fails_with_code_1_and_says_why() {
    let datadir = datadir();
    let first = serving(&mut command(datadir.path()));
    let second = command(datadir.path()).arg("--state-dir").arg(datadir.path().join("other")).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("another rescan-server serves"), "{said}");
    assert_eq!(ended_by(Signal::TERM, first).status.code(), Some(0));
}

#[test]
fn a_server_that_was_killed_leaves_a_socket_that_the_next_replaces() {
    let datadir = datadir();
    let killed = ended_by(Signal::KILL, serving(&mut command(datadir.path())));
    assert_eq!(killed.status.code(), None);
    assert!(datadir.path().join("regtest/rescan.sock").exists());
    let next = serving(&mut command(datadir.path()));
    assert_eq!(ended_by(Signal::TERM, next).status.code(), Some(0));
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
fn a_socket_of_another_program_is_left_alone() {
    let datadir = datadir();
    let socket = datadir.path().join("regtest/rescan.sock");
    let _other = UnixListener::bind(&socket).unwrap();
    let output = command(datadir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("another program listens on"));
    assert!(socket.exists());
}

#[test]
fn json_logs_are_an_object_a_line() {
    let empty = tempfile::tempdir().unwrap();
    let output = command(empty.path()).args(["--log-format", "json"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.lines().count() > 0);
    assert!(said.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{said}");
}
