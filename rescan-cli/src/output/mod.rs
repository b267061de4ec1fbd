//! What the command prints. Data goes to stdout through one buffer; trouble goes to stderr.

pub(crate) mod comparison;
pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod live;

use std::io::{self, BufWriter, Stdout, Write};

use rescan_compare::Comparison;
pub(crate) use rescan_compare::units;

use crate::exit_code::Exit;
use crate::trouble::Trouble;

/// stdout, buffered. What is not flushed is lost when it is dropped, so every command ends with [`Output::finish`].
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

    /// Prints what a comparison's `report.json` holds, as one line.
    pub(crate) fn comparison(&mut self, comparison: &Comparison) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, comparison)?;
        self.0.write_all(b"\n")
    }

    /// Prints text, which ends with its own line feed.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes())
    }

    /// Lets the reader see what was printed so far.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    /// Flushes, and says whether all of it was taken.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Tells the person at the keyboard something that is neither data nor the end.
pub(crate) fn notice(text: &str) {
    // If stderr is gone, there is nobody to tell.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Says what went wrong and what to do next, and gives the exit code.
pub(crate) fn report_trouble(trouble: &Trouble) -> Exit {
    let mut stderr = io::stderr().lock();
    // If stderr is gone, the exit code has to say it alone.
    if let Some(message) = &trouble.message {
        drop(writeln!(stderr, "error: {message}"));
    }
    if let Some(hint) = &trouble.hint {
        drop(writeln!(stderr, "hint: {hint}"));
    }
    trouble.exit
}
