//! Arguments of `rescan scan`.

use clap::{ArgGroup, Args};

use super::watch::AFTER_BIRTHDAY;
use super::{BLOCKS, CheckpointArgs, NodeArgs, PRINTED, SERVER, SocketArgs, WatchArgs};
use crate::error::EXIT_CODES_HELP;

#[derive(Debug, Args)]
#[command(after_help = format!("{SCAN_EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
// Lines of several runs are for a program; coins are known only at the end.
#[command(group(ArgGroup::new("resumed").args(["checkpoint"]).requires("json").conflicts_with("coins")))]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
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
    #[command(flatten)]
    pub(crate) resumed: CheckpointArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[command(flatten, next_help_heading = SERVER)]
    pub(crate) socket: SocketArgs,
}

const SCAN_EXAMPLES: &str = "\
Examples:
  rescan scan --descriptor 'wpkh([d34db33f/84h/0h/0h]xpub6.../<0;1>/*)' --birthday 2021-05-01
  rescan scan --descriptor 'addr(bc1q...)' --json | jq -r 'select(.type == \"transaction\") | .txid'
  rescan scan --descriptor 'tr(xpub6.../0/*)' --gap-limit 20 --coins    the coins it could spend now
  bitcoin-cli listdescriptors | rescan scan --descriptors -    a Bitcoin Core wallet; nothing on the command line
  rescan scan --wallets wallets.json --json    many wallets in one pass over the blocks";
