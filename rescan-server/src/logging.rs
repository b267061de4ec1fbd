//! Logs for operators, on stderr. stdout carries nothing: the transport library prints to it in rare cases, so that
//! nobody may rely on what is there.
//!
//! No descriptor, script, address or transaction id is logged above trace level: whoever reads the log is not the wallet's
//! owner. At info there is one line an event; each warning says the reason and what to do, where anything is to be done.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line an event, for people.
    #[default]
    Human,
    /// One JSON object a line, for machines.
    Json,
}

/// Starts logging for the whole process. `filter` is in the form of `RUST_LOG`; directives that make no sense are
/// passed over, and without any, events at info and above are logged. JSON has no colours.
///
/// # Errors
/// If the process logs already.
pub fn start(
    format: LogFormat,
    filter: Option<&str>,
    colours: Colours,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse_lossy(filter.unwrap_or(""));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Human => lines.with_ansi(colours == Colours::Shown).with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
}

/// How much of what a peer says is logged, in characters: its own words could be megabytes.
const PEER_TEXT_CHARS_MAX: usize = 200;

/// What a peer said, or an error that may hold that: one line, so that no peer writes lines of its own into the log.
pub(crate) fn said_by_peer(said: &impl std::fmt::Display) -> String {
    let text = said.to_string();
    let mut escaped: String = text.chars().take(PEER_TEXT_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(PEER_TEXT_CHARS_MAX).is_some() {
        escaped.push_str("..");
    }
    escaped
}

/// Whether log lines are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// For a terminal.
    Shown,
    /// For a file, or for who sets `NO_COLOR`.
    LeftOut,
}

impl Colours {
    /// Colours on a terminal, unless `NO_COLOR` says otherwise (no-color.org: any value but an empty one).
    #[must_use]
    pub fn for_stderr(no_color: Option<&std::ffi::OsStr>) -> Self {
        let unwanted = no_color.is_some_and(|value| !value.is_empty());
        if !unwanted && io::stderr().is_terminal() { Self::Shown } else { Self::LeftOut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_writes_no_lines_of_its_own_and_no_megabytes() {
        assert_eq!(said_by_peer(&"expected 5, found 6"), "expected 5, found 6");
        let forged = said_by_peer(&"bye\n2026-01-01 INFO all is well\x1b[2J");
        assert!(!forged.contains('\n') && !forged.contains('\x1b'), "{forged}");
        let long = said_by_peer(&"\n".repeat(1 << 20));
        assert!(long.len() <= 10 * PEER_TEXT_CHARS_MAX && long.ends_with(".."), "{}", long.len());
    }
}
