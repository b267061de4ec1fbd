//! Arguments of `rescan follow`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};

use super::scan::parse_seconds;
use super::{PRINTED, SERVER, SocketArgs, WatchArgs};
use crate::error::EXIT_CODES_HELP;

#[derive(Debug, Args)]
#[command(after_help = format!("{FOLLOW_EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
#[command(group(ArgGroup::new("followed").args(["descriptors", "outpoints"]).required(true).multiple(true)))]
pub(crate) struct FollowArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    /// Print JSON Lines on stdout, each as it happens
    ///
    /// First come the lines of `scan --stream`, up to a summary with the tip reached. Then a `connected` line for each
    /// block connected, followed by its transactions. Before it, if blocks are disconnected, come a `withdrawn` line for
    /// each of their transactions and a `disconnected` line for each block, from the tip down. After a `restarted` line,
    /// all lines before it are void, and the scan starts again, up to another summary.
    #[arg(long, help_heading = PRINTED)]
    pub(crate) json: bool,
    /// Keep the progress in this file, and resume from it the next time
    ///
    /// The lines of all runs together, each transaction by block hash and txid once, less the withdrawn ones, are those of
    /// one scan. Blocks connected between two runs are part of the second run's scan, and have no lines of their own. The
    /// file has the format of `scan --checkpoint`. It lists the coins of the wallet: only its owner can read it.
    #[arg(long, value_name = "FILE", help_heading = PRINTED)]
    pub(crate) checkpoint: Option<PathBuf>,
    /// With --checkpoint, the least time between two writes of the file during the scan, in seconds; a fraction is allowed
    #[arg(long, value_name = "SECONDS", requires = "checkpoint", default_value = "5", value_parser = parse_seconds)]
    #[arg(hide_short_help = true, help_heading = PRINTED)]
    pub(crate) checkpoint_every: Duration,
    #[command(flatten, next_help_heading = SERVER)]
    pub(crate) socket: SocketArgs,
}

const FOLLOW_EXAMPLES: &str = "\
Examples:
  rescan follow --descriptor 'wpkh([d34db33f/84h/0h/0h]xpub6.../<0;1>/*)' --birthday 2021-05-01
  rescan follow --descriptor 'addr(bc1q...)' --json --checkpoint my.checkpoint    resumes after any interruption
  rescan follow --descriptor 'tr(xpub6.../0/*)' --json | jq -c 'select(.type == \"connected\")'    each block";
