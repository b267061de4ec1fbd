//! Arguments of `rescan compare`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use rescan_client::{GAP_LIMIT_DEFAULT, GAP_LIMIT_MAX};
use rescan_compare::RUNS_DEFAULT;

use super::{BLOCKS, NodeArgs, PRINTED, SERVER, SocketArgs, WATCHED};
use crate::error::EXIT_CODES_HELP;

const MEASURED: &str = "Measurement";

#[derive(Debug, Args)]
#[command(after_help = format!("{COMPARE_EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
pub(crate) struct CompareArgs {
    /// An output descriptor with public keys only; can be given more than once
    ///
    /// No output or report contains it, nor a script or key of it.
    #[arg(long = "descriptor", value_name = "DESC", required = true, help_heading = WATCHED)]
    pub(crate) descriptors: Vec<String>,
    /// How many indexes of a ranged descriptor to watch beyond its last used one, 1 to 1000000
    #[arg(long, value_name = "N", default_value_t = GAP_LIMIT_DEFAULT, help_heading = WATCHED,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(GAP_LIMIT_MAX)))]
    pub(crate) gap_limit: u32,
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
        let mut line =
            format!("rescan compare --socket PATH{}", " --descriptor DESC".repeat(self.descriptors.len().min(8)));
        if self.descriptors.len() > 8 {
            line.push_str(&format!(" .. ({} in all)", self.descriptors.len()));
        }
        let mut number = |flag: &str, value: Option<u32>| {
            if let Some(value) = value {
                line.push_str(&format!(" --{flag} {value}"));
            }
        };
        number("gap-limit", Some(self.gap_limit).filter(|limit| *limit != GAP_LIMIT_DEFAULT));
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
  rescan compare --descriptor 'wpkh(xpub6.../0/*)' --from-height 800000 --to-height 810000 --report there";

/// More runs would take an hour and add nothing.
pub(super) const RUNS_MAX: u32 = 100;

fn parse_runs(text: &str) -> Result<NonZeroU32, String> {
    let runs: Option<NonZeroU32> = text.parse().ok();
    runs.filter(|runs| runs.get() <= RUNS_MAX).ok_or_else(|| format!("expected a number from 1 to {RUNS_MAX}"))
}
