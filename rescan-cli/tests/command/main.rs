//! The `rescan` command against a scripted server: its output, errors and exit codes.

#![expect(clippy::unwrap_used, reason = "tests")]

mod demo;
mod inputs;
mod missing_server;
mod node;
mod reorganised;
mod scans;
mod usage;
mod wallets;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rescan_client::report::{BlockReport, Ending, Origin, Outcome};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use rescan_tests::fake::{Fake, Script, Step, serve_at};
use rescan_tests::fake::{report, summary};

/// BIP84's test vector; a test network's key.
pub(crate) const TPUB: &str =
    "tpubDCBWBScQPGv4Xk3JSbhw6wYYpayMjb2eAYyArpbSqQTbLDpphHGAetB6VQgVeftLML8vDSUEWcC2xDi3qJJ3YCDChJDvqVzpgoYSuT52MhJ";
pub(crate) const OUTPOINT: &str = "1111111111111111111111111111111111111111111111111111111111111111:1";

pub(crate) fn rescan(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rescan"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    rescan(arguments).output().unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal ended it")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Checks the contract of an error: no data, one message, a hint as the last line.
pub(crate) fn assert_error(output: &Output, exit: i32, message: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(code(output), exit, "{stderr}");
    assert_eq!(text(&output.stdout), "");
    assert!(stderr.starts_with("error: ") && stderr.contains(message), "{stderr}");
    assert!(stderr.lines().last().is_some_and(|line| line.starts_with("hint: ")), "{stderr}");
}

/// A directory for a socket, in /tmp: the path must be short.
pub(crate) fn dir() -> (TempDir, String) {
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let socket = dir.path().join("s").to_str().unwrap().to_owned();
    (dir, socket)
}

/// A scan of one coin, with a scripted answer.
pub(crate) fn scripted(script: Script, more: &[&str]) -> (TempDir, Fake, Command) {
    let (dir, socket) = dir();
    let fake = serve_at(Path::new(&socket), script);
    let mut arguments = vec!["scan", "--socket", socket.as_str(), "--outpoint", OUTPOINT];
    arguments.extend(more);
    let command = rescan(&arguments);
    (dir, fake, command)
}

pub(crate) fn steps(steps: Vec<Step>) -> Script {
    Script::new(steps)
}

/// A report of the given outpoint.
pub(crate) fn spend_report(height: u32) -> BlockReport {
    let mut report = report(height, 2);
    report.transactions[0].received[0].origins = vec![Origin::Outpoint(0)];
    report
}

pub(crate) fn ends(outcome: Outcome) -> Step {
    Step::End(Ending::Summary(summary(outcome)))
}

pub(crate) fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}
