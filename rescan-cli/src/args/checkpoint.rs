//! Arguments of both `scan` and `follow`: the file from which the next run resumes.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::PRINTED;

/// Progress that outlives a run.
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// Keep the progress in this file, and resume from it the next time; prints as --stream does
    ///
    /// A run that was interrupted at any point can be repeated with the same arguments. The lines of all runs together,
    /// each transaction by block hash and txid once, less the withdrawn ones, are those of one scan. A `withdrawn` line
    /// takes back a transaction whose block was disconnected. After a `restarted` line, all lines before it are void.
    /// Both `scan` and `follow` can resume from the file. It lists the coins of the wallet: only its owner can read it.
    #[arg(long, value_name = "FILE", help_heading = PRINTED)]
    pub(crate) checkpoint: Option<PathBuf>,
    /// With --checkpoint, the least time between two writes of the file, in seconds; a fraction is allowed
    #[arg(long, value_name = "SECONDS", requires = "checkpoint", default_value = "5", value_parser = parse_seconds)]
    #[arg(hide_short_help = true, help_heading = PRINTED)]
    pub(crate) checkpoint_every: Duration,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_not_a_number: std::num::ParseFloatError| "expected seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
