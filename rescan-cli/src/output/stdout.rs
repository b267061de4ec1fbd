//! stdout through one buffer; stderr for errors and notices.

use std::io::{self, BufWriter, Stdout, Write};

use rescan_compare::Comparison;

use super::json;
use crate::error::{CliError, Exit};

/// Buffered stdout. Dropping it loses the unflushed part, so every command ends with [`Output::finish`].
pub(crate) struct Output(BufWriter<Stdout>);

impl Output {
    pub(crate) fn stdout() -> Self {
        Self(BufWriter::with_capacity(64 * 1024, io::stdout()))
    }

    /// Prints one line of JSON.
    pub(crate) fn line(&mut self, line: &json::Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, line)?;
        self.0.write_all(b"\n")
    }

    /// Prints a step of a fill as one line of JSON.
    pub(crate) fn fill(&mut self, line: &json::FillLine) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, line)?;
        self.0.write_all(b"\n")
    }

    /// Prints the content of a comparison's `report.json` as one line.
    pub(crate) fn comparison(&mut self, comparison: &Comparison) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, comparison)?;
        self.0.write_all(b"\n")
    }

    /// Prints text, which ends with its own line feed.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes())
    }

    /// Hands everything printed so far to the reader.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    /// Flushes; an error means that the reader did not get all of it.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Prints a notice on stderr.
pub(crate) fn notice(text: &str) {
    // If stderr is gone, nobody can read it.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Prints an error and its hint on stderr, and returns the exit code.
pub(crate) fn print_error(error: &CliError) -> Exit {
    let mut stderr = io::stderr().lock();
    // If stderr is gone, only the exit code is left.
    if let Some(message) = &error.message {
        drop(writeln!(stderr, "error: {message}"));
    }
    if let Some(hint) = &error.hint {
        drop(writeln!(stderr, "hint: {hint}"));
    }
    error.exit
}
