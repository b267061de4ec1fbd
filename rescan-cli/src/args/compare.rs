//! Arguments of `rescan compare`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use rescan_compare::RUNS_DEFAULT;

use super::{BLOCKS, NodeArgs, PRINTED, SERVER, SocketArgs, WatchedArgs};
use crate::error::EXIT_CODES_HELP;

const MEASURED: &str = "Measurement";

#[derive(Debug, Args)]
#[command(after_help = format!("{COMPARE_EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(crate) watched: WatchedArgs,
    /// The first block [default: 1999 below the last]
    #[arg(long, value_name = "HEIGHT", help_heading = BLOCKS)]
    pub(crate) from_height: Option<u32>,
    /// The last block [default: the tip]
    #[arg(long, value_name = "HEIGHT", help_heading = BLOCKS)]
    pub(crate) to_height: Option<u32>,
    /// How many measured runs of each method, 1 to 100
    #[arg(long, value_name = "N", default_value_t = RUNS_DEFAULT, value_parser = parse_runs, help_heading = MEASURED)]
    pub(crate) runs: NonZeroU32,
    /// Skip the curve of increasingly busy wallets, which takes about as long as the rest
    #[arg(long, help_heading = MEASURED)]
    pub(crate) no_curve: bool,
    /// Write a report into this folder: index.html to read, report.md to paste, report.json for programs
    #[arg(long, value_name = "DIR", help_heading = PRINTED)]
    pub(crate) report: Option<PathBuf>,
    /// Print one line of JSON, the content of report.json, in place of tables
    #[arg(long, help_heading = PRINTED)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[command(flatten, next_help_heading = SERVER)]
    pub(crate) socket: SocketArgs,
}

impl CompareArgs {
    /// The command line for a report: without descriptors, and without paths, which contain user names.
    pub(crate) fn shown(&self) -> String {
        let mut line = format!("rescan compare --socket PATH{}", self.watched.shown());
        let mut number = |flag: &str, value: Option<u32>| {
            if let Some(value) = value {
                line.push_str(&format!(" --{flag} {value}"));
            }
        };
        number("from-height", self.from_height);
        number("to-height", self.to_height);
        number("runs", Some(self.runs.get()));
        line.push_str(if self.no_curve { " --no-curve" } else { "" });
        line.push_str(&self.node.shown());
        line.push_str(if self.report.is_some() { " --report DIR" } else { "" });
        line
    }
}

const COMPARE_EXAMPLES: &str = "\
Examples:
  rescan compare --descriptor 'wpkh(xpub6.../<0;1>/*)'    over the last 2000 blocks
  bitcoin-cli listdescriptors | rescan compare --descriptors -    a Bitcoin Core wallet
  rescan compare --descriptor 'wpkh(xpub6.../0/*)' --from-height 800000 --to-height 810000 --report there";

/// More runs would take an hour and add nothing.
pub(super) const RUNS_MAX: u32 = 100;

fn parse_runs(text: &str) -> Result<NonZeroU32, String> {
    let runs: Option<NonZeroU32> = text.parse().ok();
    runs.filter(|runs| runs.get() <= RUNS_MAX).ok_or_else(|| format!("expected a number from 1 to {RUNS_MAX}"))
}
