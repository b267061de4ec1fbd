//! Arguments of `rescan fill`.

use std::path::PathBuf;

use clap::Args;
use rescan_client::{GAP_LIMIT_DEFAULT, GAP_LIMIT_MAX};

use super::{BLOCKS, NodeArgs, PRINTED, SERVER, SocketArgs, StartArgs, WATCHED};
use crate::error::EXIT_CODES_HELP;

#[derive(Debug, Args)]
#[command(after_help = format!("{FILL_EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
pub(crate) struct FillArgs {
    /// The name of the wallet in Bitcoin Core
    #[arg(long, value_name = "NAME", help_heading = WATCHED)]
    pub(crate) wallet: String,
    /// Import the descriptors of this file into the wallet first; - is stdin
    #[arg(long, value_name = "FILE", help_heading = WATCHED)]
    pub(crate) descriptors: Option<PathBuf>,
    /// Make the wallet: watch-only, with the descriptors of --descriptors alone
    #[arg(long, requires = "descriptors", help_heading = WATCHED)]
    pub(crate) create: bool,
    /// How many indexes of a ranged descriptor to watch beyond its last used one, 1 to 1000000
    ///
    /// The range that the wallet watches already is watched in any case.
    #[arg(long, value_name = "N", default_value_t = GAP_LIMIT_DEFAULT, help_heading = WATCHED,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(GAP_LIMIT_MAX)))]
    pub(crate) gap_limit: u32,
    #[command(flatten)]
    pub(crate) start: StartArgs,
    /// Ask the node's peers for matching blocks that the node has pruned
    ///
    /// One block after the other, each for at most a minute (getblockfrompeer). Without it, such blocks are named.
    #[arg(long, help_heading = BLOCKS)]
    pub(crate) fetch: bool,
    /// Change nothing: print the calls as lines for a shell, to run by hand
    #[arg(long, help_heading = PRINTED)]
    pub(crate) dry_run: bool,
    /// Print JSON Lines on stdout, one for each step
    #[arg(long, help_heading = PRINTED)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[command(flatten, next_help_heading = SERVER)]
    pub(crate) socket: SocketArgs,
}

const FILL_EXAMPLES: &str = "\
Examples:
  rescan fill --wallet savings                       the whole history of a wallet that is loaded
  rescan fill --wallet new --create --descriptors FILE    makes a watch-only wallet and fills it
  rescan fill --wallet savings --dry-run | sh -x     the same calls by bitcoin-cli";
