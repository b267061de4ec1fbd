//! The `rescan` command against a real server: its output for a chain, its ends, its errors.
#![expect(clippy::unwrap_used, reason = "tests")]

mod compare;
mod endings;
mod fill;
mod follow;
mod kills;
mod lines;
mod mistakes;
mod wallets;

use std::process::{Command, Output, Stdio};

use rescan_tests::TestServer;
use serde_json::Value;

/// The command with these arguments.
fn rescan(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rescan"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A scan of the chain of `server`.
fn scan(server: &TestServer, arguments: &[&str]) -> Command {
    let mut command = rescan(&["scan", "--socket", &server.socket_text()]);
    command.args(arguments);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let code = output.status.code().expect("no signal ended it");
        Self { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Ended {
    fn of(command: &mut Command) -> Self {
        command.output().unwrap().into()
    }

    /// Its lines of JSON.
    fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("each line is an object")).collect()
    }

    /// The transactions and the summary of a command that printed both, and no error.
    fn answer(&self, code: i32) -> (Vec<Value>, Value) {
        assert_eq!((self.code, self.stderr.as_str()), (code, ""));
        let mut lines = self.lines();
        let summary = lines.pop().unwrap();
        assert_eq!(summary["type"], "summary");
        assert!(lines.iter().all(|line| line["type"] == "transaction"));
        (lines, summary)
    }

    /// Checks the contract of an error: no data, one message, a hint as the last line.
    fn assert_error(&self, code: i32, message: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{}", self.stderr);
        assert!(self.stderr.starts_with("error: ") && self.stderr.contains(message), "{}", self.stderr);
        assert_eq!(self.stderr.matches("error: ").count(), 1, "{}", self.stderr);
        assert!(self.stderr.lines().last().is_some_and(|line| line.starts_with("hint: ")), "{}", self.stderr);
    }
}

fn heights(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["height"].as_u64().unwrap()).collect()
}
