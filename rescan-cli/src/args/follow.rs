//! Arguments of `rescan follow`.

use clap::Args;

use super::{CheckpointArgs, NodeArgs, PRINTED, SERVER, SocketArgs, WatchArgs};
use crate::error::EXIT_CODES_HELP;

#[derive(Debug, Args)]
#[command(after_help = format!("{FOLLOW_EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
pub(crate) struct FollowArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    /// Print JSON Lines on stdout, each as it happens
    ///
    /// First come the lines of `scan --stream`, up to a summary with the tip reached. Then a `connected` line for each
    /// block connected, followed by its transactions. Before it, if blocks are disconnected, come a `withdrawn` line for
    /// each of their transactions and a `disconnected` line for each block, from the tip down. After a `restarted` line,
    /// all lines before it are void, and the scan starts again, up to another summary. With --checkpoint, blocks connected
    /// between two runs are part of the second run's scan, and have no lines of their own.
    #[arg(long, help_heading = PRINTED)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) resumed: CheckpointArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[command(flatten, next_help_heading = SERVER)]
    pub(crate) socket: SocketArgs,
}

const FOLLOW_EXAMPLES: &str = "\
Examples:
  rescan follow --descriptor 'wpkh([d34db33f/84h/0h/0h]xpub6.../<0;1>/*)' --birthday 2021-05-01
  rescan follow --descriptor 'addr(bc1q...)' --json --checkpoint my.checkpoint    resumes after any interruption
  bitcoin-cli listdescriptors | rescan follow --descriptors - --json    a Bitcoin Core wallet
  rescan follow --descriptor 'tr(xpub6.../0/*)' --json | jq -c 'select(.type == \"connected\")'    each block";
