//! Arguments that name wallets: descriptors by the command line, by a file or stdin, by a wallet of the node.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use rescan_client::{GAP_LIMIT_DEFAULT, GAP_LIMIT_MAX};

use super::WATCHED;

/// The descriptors to watch, of one wallet or of several.
///
/// The group `watched` has everything of which at least one must be given.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("watched").required(true).multiple(true)))]
pub(crate) struct WatchedArgs {
    /// An output descriptor with public keys only; can be given more than once
    ///
    /// In the output, `descriptor` is its position from 0, and `branch` the path of a multipath descriptor (<0;1>).
    /// Every user of this machine can read the command line: --descriptors keeps descriptors off it.
    #[arg(long = "descriptor", value_name = "DESC", group = "watched", help_heading = WATCHED)]
    pub(crate) descriptors: Vec<String>,
    /// A file of descriptors, or - for stdin
    ///
    /// One descriptor a line, with # before comments; or the output of `bitcoin-cli listdescriptors`, the array of
    /// importdescriptors, a JSON list of descriptors, or a descriptor export of Sparrow, Specter or Liana. The form is
    /// recognised. Birthdays, revealed indexes and ranges in it are used. Its descriptors are numbered after those of
    /// --descriptor.
    #[arg(long = "descriptors", value_name = "FILE", group = "watched", help_heading = WATCHED)]
    pub(crate) descriptors_file: Option<PathBuf>,
    /// A wallet that Bitcoin Core has loaded: its descriptors are read by RPC (listdescriptors, public form)
    ///
    /// The options under "Node" name the node. Its descriptors are numbered after those of --descriptors. The wallet is not
    /// changed: `rescan fill` does that.
    #[arg(long, value_name = "NAME", group = "watched", help_heading = WATCHED)]
    pub(crate) wallet: Option<String>,
    /// Descriptors of several wallets, in a JSON file: {"name": ["descriptor", ..], ..}
    ///
    /// One pass over the blocks finds the transactions of all. Every line printed names its wallet in `wallet`. Each
    /// wallet has a summary, with its own transactions, coins and keychains. In place of a list, the output of
    /// `bitcoin-cli listdescriptors` is accepted too.
    #[arg(long, value_name = "FILE", group = "watched", conflicts_with_all = ["descriptors", "descriptors_file", "wallet"])]
    #[arg(help_heading = WATCHED)]
    pub(crate) wallets: Option<PathBuf>,
    /// How many indexes of a ranged descriptor to watch beyond its last used one, 1 to 1000000 [default: 1000]
    ///
    /// The result is the same as if every script up to the final gap limit had been watched from the first block: an index
    /// used before the one that reveals it is found too. The default is Bitcoin Core's keypool; many wallets use 20.
    #[arg(long, value_name = "N", help_heading = WATCHED,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(GAP_LIMIT_MAX)))]
    pub(crate) gap_limit: Option<u32>,
}

impl WatchedArgs {
    /// The options for a report: without descriptors, and without paths, which contain user names.
    pub(super) fn shown(&self) -> String {
        let mut line = " --descriptor DESC".repeat(self.descriptors.len().min(8));
        if self.descriptors.len() > 8 {
            line.push_str(&format!(" .. ({} in all)", self.descriptors.len()));
        }
        line.push_str(if self.descriptors_file.is_some() { " --descriptors FILE" } else { "" });
        line.push_str(if self.wallet.is_some() { " --wallet NAME" } else { "" });
        line.push_str(if self.wallets.is_some() { " --wallets FILE" } else { "" });
        if let Some(gap_limit) = self.gap_limit.filter(|limit| *limit != GAP_LIMIT_DEFAULT) {
            line.push_str(&format!(" --gap-limit {gap_limit}"));
        }
        line
    }
}
