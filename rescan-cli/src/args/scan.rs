//! Arguments of `rescan scan`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};

use super::watch::{AFTER_BIRTHDAY, AFTER_GAP_LIMIT};
use super::{BLOCKS, PRINTED, SERVER, SocketArgs, WATCHED, WatchArgs};
use crate::error::EXIT_CODES_HELP;

#[derive(Debug, Args)]
#[command(after_help = format!("{SCAN_EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
#[command(group(ArgGroup::new("watched").args(["descriptors", "outpoints", "wallets"]).required(true).multiple(true)))]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    /// Descriptors of several wallets, in a JSON file: {"name": ["descriptor", ..], ..}
    ///
    /// One pass over the blocks finds the transactions of all. Every line printed names its wallet in `wallet`. Each
    /// wallet has a summary, with its own transactions, coins and keychains.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["descriptors", "outpoints"], help_heading = WATCHED)]
    #[arg(display_order = AFTER_GAP_LIMIT)]
    pub(crate) wallets: Option<PathBuf>,
    /// The last block to scan [default: the tip]
    #[arg(long, value_name = "HEIGHT", help_heading = BLOCKS, display_order = AFTER_BIRTHDAY)]
    pub(crate) to_height: Option<u32>,
    /// Print only the coins unspent at the end of the range, and no history
    ///
    /// The server leaves out coins received and spent within the range, so the bytes received grow with the coins and
    /// not with the history. A scan that ends `reorganised` prints no coins.
    #[arg(long, conflicts_with = "stream", help_heading = PRINTED)]
    pub(crate) coins: bool,
    /// Print JSON Lines on stdout: one per transaction, or with --coins one per coin, then the summary
    #[arg(long, help_heading = PRINTED)]
    pub(crate) json: bool,
    /// With --json, print each transaction as it arrives, before the scan ends
    ///
    /// A line with `"late":true` is about a block that was scanned before its scripts were known. It has the new matches
    /// alone; merge it with other lines of the same block_hash and txid.
    ///
    /// If the summary's outcome is `reorganised`, lines printed from its `outcome_height` on are void, and the
    /// summary's `transactions`, `unspent_count`, `unspent_sat` and `keychains` still count them. Without --stream they do not.
    #[arg(long, requires = "json", help_heading = PRINTED)]
    pub(crate) stream: bool,
    /// Keep the progress in this file, and resume from it the next time; prints as --stream does
    ///
    /// A run that was interrupted at any point can be repeated with the same arguments. The lines of all runs together,
    /// each transaction by block hash and txid once, are those of one scan. A `withdrawn` line takes back a transaction
    /// whose block was disconnected. After a `restarted` line, all lines before it are void. The file lists the coins of
    /// the wallet: only its owner can read it.
    #[arg(long, value_name = "FILE", requires = "json", conflicts_with_all = ["coins", "wallets"])]
    #[arg(help_heading = PRINTED)]
    pub(crate) checkpoint: Option<PathBuf>,
    /// With --checkpoint, the least time between two writes of the file, in seconds; a fraction is allowed
    #[arg(long, value_name = "SECONDS", requires = "checkpoint", default_value = "5", value_parser = parse_seconds)]
    #[arg(hide_short_help = true, help_heading = PRINTED)]
    pub(crate) checkpoint_every: Duration,
    #[command(flatten, next_help_heading = SERVER)]
    pub(crate) socket: SocketArgs,
}

const SCAN_EXAMPLES: &str = "\
Examples:
  rescan scan --descriptor 'wpkh([d34db33f/84h/0h/0h]xpub6.../<0;1>/*)' --birthday 2021-05-01
  rescan scan --descriptor 'addr(bc1q...)' --json | jq -r 'select(.type == \"transaction\") | .txid'
  rescan scan --descriptor 'tr(xpub6.../0/*)' --gap-limit 20 --coins    the coins it could spend now
  rescan scan --wallets wallets.json --json    many wallets in one pass over the blocks
  bitcoin-cli listdescriptors    shows the descriptors of a Bitcoin Core wallet";

pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_not_a_number: std::num::ParseFloatError| "expected seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
