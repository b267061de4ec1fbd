//! Logs for operators, on stderr. stdout carries nothing, because the transport library prints to it in rare cases.
//!
//! No descriptor, script, address or transaction id is logged above trace level: readers of the log are not the owners of
//! the wallets. At info there is one line per event. Each warning has the reason, and the next step if there is one.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line per event, for people.
    #[default]
    Human,
    /// One JSON object per line, for machines.
    Json,
}

/// Starts logging for the whole process. `filter` has the form of `RUST_LOG`; invalid directives are ignored, and the
/// default is info and above. JSON has no colours.
///
/// # Errors
/// If logging was started before.
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

/// The longest text of a peer that is logged, in characters. A peer could send megabytes.
const PEER_TEXT_CHARS_MAX: usize = 200;

/// A text of a peer, or an error that may contain one, escaped to one line: a peer cannot forge log lines.
pub(crate) fn peer_text(text: &impl std::fmt::Display) -> String {
    let text = text.to_string();
    let mut escaped: String = text.chars().take(PEER_TEXT_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(PEER_TEXT_CHARS_MAX).is_some() {
        escaped.push_str("..");
    }
    escaped
}

/// The use of colours in log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// For a terminal.
    Shown,
    /// For a file, or with `NO_COLOR`.
    LeftOut,
}

impl Colours {
    /// Colours on a terminal without `NO_COLOR` (no-color.org: any value but an empty one).
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
    fn a_peer_cannot_forge_lines_or_log_megabytes() {
        assert_eq!(peer_text(&"expected 5, found 6"), "expected 5, found 6");
        let forged = peer_text(&"bye\n2026-01-01 INFO all is well\x1b[2J");
        assert!(!forged.contains('\n') && !forged.contains('\x1b'), "{forged}");
        let long = peer_text(&"\n".repeat(1 << 20));
        assert!(long.len() <= 10 * PEER_TEXT_CHARS_MAX && long.ends_with(".."), "{}", long.len());
    }
}
