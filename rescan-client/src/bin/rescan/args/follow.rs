//! The words of `rescan follow`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use rescan_client::{GAP_LIMIT_DEFAULT, GAP_LIMIT_MAX, GivenOutpoint};

use super::{BLOCKS, PRINTED, SERVER, SocketArgs, VerifyName, WATCHED};
use super::{parse_birthday, parse_outpoint, parse_seconds};
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
    /// An output descriptor with public keys only; can be given more than once
    ///
    /// In what is printed, `descriptor` is its position from 0; of a multipath one (<0;1>), `branch` tells the paths apart.
    #[arg(long = "descriptor", value_name = "DESC", help_heading = WATCHED)]
    pub(crate) descriptors: Vec<String>,
    /// How many indexes of a ranged descriptor beyond its last used one are watched, 1 to 1000000
    #[arg(long, value_name = "N", default_value_t = GAP_LIMIT_DEFAULT, help_heading = WATCHED,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(GAP_LIMIT_MAX)))]
    pub(crate) gap_limit: u32,
    /// A coin from before the range, whose spend is wanted; can be given more than once
    #[arg(long = "outpoint", value_name = "TXID:VOUT[:SAT:SCRIPT]", value_parser = parse_outpoint, help_heading = WATCHED)]
    pub(crate) outpoints: Vec<GivenOutpoint>,
    /// The first block to scan [default: 0]
    #[arg(long, value_name = "HEIGHT", conflicts_with = "birthday", help_heading = BLOCKS)]
    pub(crate) from_height: Option<u32>,
    /// When the wallet was made, as YYYY-MM-DD or seconds since 1970: in place of a first block
    #[arg(long, value_name = "TIME", value_parser = parse_birthday, help_heading = BLOCKS)]
    pub(crate) birthday: Option<u32>,
    /// Which blocks must hash to the merkle root of their header before they are believed
    #[arg(long, value_enum, default_value_t = VerifyName::Reported, help_heading = BLOCKS)]
    pub(crate) verify: VerifyName,
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
