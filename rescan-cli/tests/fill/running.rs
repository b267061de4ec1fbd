//! A run of the command: its lines as they come, and its end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    lines: Vec<Value>,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) lines: Vec<Value>,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, lines: Vec::new() }
    }

    /// Reads on until the command has printed `count` calls of `rescanblockchain`.
    ///
    /// # Panics
    ///
    /// If it ends before.
    pub(crate) fn until_calls(&mut self, count: usize) {
        while self.lines.iter().filter(|line| line["type"] == "call").count() < count {
            assert!(self.read_line(), "it ended before call {count}: {:?}", self.lines);
        }
    }

    /// Sends it SIGINT.
    pub(crate) fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Reads on to its end.
    pub(crate) fn end(mut self) -> Ended {
        while self.read_line() {}
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let code = self.child.wait().unwrap().code().expect("no signal ended it");
        Ended { code, lines: self.lines, stderr }
    }

    fn read_line(&mut self) -> bool {
        let mut line = String::new();
        let is_there = self.stdout.read_line(&mut line).unwrap() > 0;
        if is_there {
            self.lines.push(serde_json::from_str(&line).expect("each line is an object"));
        }
        is_there
    }
}

impl Ended {
    /// The lines of a type.
    pub(crate) fn of_type<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.lines.iter().filter(move |line| line["type"] == name)
    }

    /// Its last line, which sums up.
    pub(crate) fn summary(&self) -> &Value {
        let last = self.lines.last().unwrap_or_else(|| panic!("it printed nothing: {}", self.stderr));
        assert_eq!(last["type"], "summary", "{last}");
        last
    }

    /// Its number of calls of `rescanblockchain`.
    pub(crate) fn calls(&self) -> u64 {
        self.summary()["calls"].as_u64().unwrap()
    }

    /// Asserts that the wallet ended equal to the scan.
    pub(crate) fn assert_equal(&self) -> &Self {
        assert_eq!(self.code, 0, "{}\n{:?}", self.stderr, self.lines);
        assert_eq!(self.summary()["outcome"], "equal", "{:?}", self.lines);
        self
    }

    /// Asserts that it failed with this exit code, a message and a next step.
    pub(crate) fn assert_failed(&self, code: i32, message: &str, next_step: &str) {
        assert_eq!(self.code, code, "{}", self.stderr);
        let (error, hint) = self.stderr.split_once("hint: ").unwrap_or_else(|| panic!("no hint: {}", self.stderr));
        assert!(error.contains("error: ") && error.contains(message), "{}", self.stderr);
        assert!(hint.contains(next_step), "{}", self.stderr);
    }
}
