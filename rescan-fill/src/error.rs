//! Failures of a fill, separated by the operator's next step. The wallet keeps all it has received;
//! the same fill goes on from there.

use rescan_client::{CallError, ResumeError, ScanError};
use rescan_core::position::Height;
use rescan_node::RpcError;

/// A fill that did not end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FillError {
    /// The server refused or failed the scan, or closed the connection.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The scan cannot resume.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The node gave no answer, or refused a call.
    #[error(transparent)]
    Node(#[from] RpcError),
    /// No wallet of this name is loaded.
    #[error("the node has no wallet named {name:?} loaded{}", loaded_wallets(loaded))]
    NoWallet {
        /// The name.
        name: String,
        /// Names of the wallets that are loaded.
        loaded: Vec<String>,
        /// Whether there is one of this name on disk, or the node does not say.
        on_disk: bool,
    },
    /// The wallet exists already.
    #[error("the node has a wallet named {name:?} already")]
    WalletExists {
        /// The name.
        name: String,
    },
    /// The wallet was made before descriptors.
    #[error("wallet {name:?} has no descriptors: it is of the kind from before Bitcoin Core 0.21")]
    LegacyWallet {
        /// The name.
        name: String,
    },
    /// The wallet watches nothing.
    #[error("wallet {name:?} has no descriptors to scan for")]
    NoDescriptors {
        /// The name.
        name: String,
    },
    /// The wallet has a passphrase, and is locked.
    #[error("wallet {name:?} is locked: Bitcoin Core rescans for unlocked wallets only")]
    Locked {
        /// The name.
        name: String,
    },
    /// The wallet is scanning already.
    #[error("wallet {name:?} is being rescanned already")]
    Scanning {
        /// The name.
        name: String,
    },
    /// A call's rescan was stopped by somebody, or by the node's own end.
    #[error(
        "the rescan of wallet {name:?} was aborted: by another program (abortrescan), or because the node is stopping"
    )]
    Aborted {
        /// The name.
        name: String,
    },
    /// The wallet refused a descriptor.
    #[error("the node refused descriptor number {number} (counted from 0): {message} (code {code})")]
    Import {
        /// Its position among those imported.
        number: usize,
        /// The node's error code.
        code: i32,
        /// The node's own words.
        message: String,
    },
    /// Private keys are enabled in the wallet, and a descriptor without them was given.
    #[error(
        "wallet {name:?} has private keys, and takes no descriptor without them (number {number}, counted from 0, is new to it)"
    )]
    PrivateKeysEnabled {
        /// The name.
        name: String,
        /// The first such descriptor's position.
        number: usize,
    },
    /// Blocks of the range are not on the server's disk.
    #[error("the rescan server has pruned blocks of the range: the lowest that is complete to its end is {lowest}")]
    Pruned {
        /// The lowest height that is complete to the end of the range.
        lowest: Height,
    },
    /// The scan was cancelled on the server.
    #[error("the rescan server is stopping: the scan ended before its last block")]
    Cancelled,
    /// Node and server have different networks.
    #[error("the node is one of {node}, the rescan server of {server}")]
    OtherNetwork {
        /// The node's network, by Core's name.
        node: String,
        /// The server's.
        server: String,
    },
    /// The node has not reached the blocks that the server has.
    #[error("the node is at height {node}, the rescan server has a match at {server}")]
    Behind {
        /// Height of the node's tip.
        node: u32,
        /// The height of the match.
        server: u32,
    },
    /// The node and the server disagree on the active chain, again and again.
    #[error("the node has another block at height {height} than the rescan server, after {rounds} attempts")]
    OtherChain {
        /// The height.
        height: u32,
        /// Number of attempts.
        rounds: u32,
    },
    /// The server closed a scan without a summary.
    #[error("the scan ended without a summary: this is a bug in rescan; please report it")]
    NoSummary,
}

impl From<CallError> for FillError {
    fn from(error: CallError) -> Self {
        Self::Scan(error.into())
    }
}

fn loaded_wallets(names: &[String]) -> String {
    match names {
        [] => ", and no other".to_owned(),
        names => {
            format!(" (loaded are {})", names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "))
        }
    }
}
