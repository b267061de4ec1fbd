//! Logs for operators, on stderr. stdout carries nothing: the transport library prints to it in rare cases, so that
//! nobody may rely on what is there.
//!
//! No descriptor and no script is logged above trace level: whoever reads the log is not the wallet's owner.

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
