//! The words of `rescan follow`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};

use super::{PRINTED, SERVER, SocketArgs, WatchArgs, parse_seconds};
use crate::exit_code::EXIT_CODES_HELP;

const FOLLOW_EXAMPLES: &str = "\
Examples:
  rescan follow --descriptor 'wpkh([d34db33f/84h/0h/0h]xpub6.../<0;1>/*)' --birthday 2021-05-01
  rescan follow --descriptor 'addr(bc1q...)' --json --checkpoint my.checkpoint    goes on after any interruption
  rescan follow --descriptor 'tr(xpub6.../0/*)' --json | jq -c 'select(.type == \"connected\")'    each block";

#[derive(Debug, Args)]
#[command(after_help = format!("{FOLLOW_EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
#[command(group(ArgGroup::new("followed").args(["descriptors", "outpoints"]).required(true).multiple(true)))]
pub(crate) struct FollowArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    /// Print JSON Lines on stdout, each as it happens
    ///
    /// First what `scan --stream` prints, up to a summary, whose tip is the block on which those to come are built. Then a
    /// `connected` line for each block that the chain gains, followed by its transactions, and before it, if blocks are left, a
    /// `withdrawn` line for each transaction in them and a `disconnected` line for each block, the last first. After a
    /// `restarted` line everything before it is void, and all comes anew up to another summary.
    #[arg(long, help_heading = PRINTED)]
    pub(crate) json: bool,
    /// Keep in this file how far it got, and go on from there the next time
    ///
    /// What was printed by all runs, each transaction by block hash and txid once, less what was withdrawn, is what one scan
    /// prints. Blocks that came between two runs are part of the second run's scan, and have no lines of their own. The file
    /// is the same as that of `scan --checkpoint`, and tells which coins the wallet has: it is made for its owner alone.
    #[arg(long, value_name = "FILE", help_heading = PRINTED)]
    pub(crate) checkpoint: Option<PathBuf>,
    /// With --checkpoint, how often the file is written at most during the scan, in seconds; a fraction will do
    #[arg(long, value_name = "SECONDS", requires = "checkpoint", default_value = "5", value_parser = parse_seconds)]
    #[arg(hide_short_help = true, help_heading = PRINTED)]
    pub(crate) checkpoint_every: Duration,
    #[command(flatten, next_help_heading = SERVER)]
    pub(crate) socket: SocketArgs,
}
