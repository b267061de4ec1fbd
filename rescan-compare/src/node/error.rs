//! Why a node gave no answer, told apart by what its operator can do about it.

use std::path::PathBuf;
use std::{fmt, io};

use bitcoin::BlockHash;
use rescan_core::position::Height;

use super::address::Address;

/// Why a node gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The cookie file cannot be read.
    #[error(
        "cannot read the cookie {}: it is named .cookie, in the network's folder of the node's datadir, while the node runs",
        path.display()
    )]
    Cookie {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What the file holds is no cookie.
    #[error("{} holds no cookie: expected one line with a name, a colon and a password", path.display())]
    NoCookie {
        /// Which file.
        path: PathBuf,
    },
    /// Nobody listens there.
    #[error("nobody listens on {address}: does the node run, with -server=1, and is this its -rpcport?")]
    NobodyListens {
        /// Where.
        address: Address,
        /// What the operating system said.
        source: io::Error,
    },
    /// The connection broke, or was never made.
    #[error("no answer from {address} to {method}: see the node's debug.log")]
    NoAnswer {
        /// Where.
        address: Address,
        /// What was asked.
        method: &'static str,
        /// What went wrong.
        source: io::Error,
    },
    /// The cookie is not the node's.
    #[error(
        "the node at {address} refuses the cookie {}: it writes a new one at each start; take the one in the datadir of the \
         node that listens there",
        cookie.display()
    )]
    Unauthorized {
        /// Where.
        address: Address,
        /// Which file it was from.
        cookie: PathBuf,
    },
    /// The node does not let this machine ask.
    #[error("the node at {address} lets this machine not ask (403): see its -rpcallowip, or run this beside the node")]
    Forbidden {
        /// Where.
        address: Address,
    },
    /// What listens there is no node's RPC.
    #[error("what listens on {address} is not a node's RPC: {detail}; is this its -rpcport, and not its -port?")]
    NotRpc {
        /// Where.
        address: Address,
        /// What came.
        detail: String,
    },
    /// The node has too much to do.
    #[error("the node has more calls waiting than it takes (503): try again, or start it with a larger -rpcworkqueue")]
    Busy,
    /// It has not started yet.
    #[error("the node is still starting ({said}): try again when it is done")]
    WarmingUp {
        /// What it says it does.
        said: String,
    },
    /// It is older than the call.
    #[error("the node does not know {method}: it came with Bitcoin Core {since}")]
    Unknown {
        /// Which call.
        method: &'static str,
        /// The first version that does.
        since: &'static str,
    },
    /// It has no block filters.
    #[error("the node has no block filter index: it is made by -blockfilterindex=1")]
    NoFilters,
    /// Its block filters end below the range.
    #[error(
        "the node's block filter index ends at height {found}, and the range at {expected}: it is still being made"
    )]
    FiltersBehind {
        /// Up to where it is made.
        found: u32,
        /// The last height of the range.
        expected: Height,
    },
    /// The scripts take more than a call may have.
    #[error("the scripts take {bytes} bytes in one call, and the node reads at most {max}")]
    TooManyScripts {
        /// What they take.
        bytes: usize,
        /// What the node reads.
        max: usize,
    },
    /// It is of another network than the server.
    #[error(
        "the node at {address} is on {found}, and the server on {expected}: give the address of the node whose files it reads"
    )]
    OtherNetwork {
        /// Where.
        address: Address,
        /// The node's network, as it names it.
        found: String,
        /// The server's.
        expected: String,
    },
    /// It has another block at a height.
    #[error(
        "the node has block {found} at height {height}, and the server {expected}: their chains differ; is it the node whose files the server reads?"
    )]
    OtherChain {
        /// Where they differ.
        height: Height,
        /// The node's block.
        found: BlockHash,
        /// The server's.
        expected: BlockHash,
    },
    /// Its chain ends below the range.
    #[error("the node's chain ends at height {found}, and the range at {expected}: wait until it has caught up")]
    Behind {
        /// Its tip.
        found: u32,
        /// The last height of the range.
        expected: Height,
    },
    /// It has deleted a block of the range.
    #[error("the node has pruned blocks of the range: begin at height {lowest} or above")]
    Pruned {
        /// The lowest height that it says it has; that of the range's first block where it does not say.
        lowest: u32,
    },
    /// It deleted a block of the range while it was asked.
    #[error("the node pruned blocks of the range while it was asked: begin at a higher height")]
    PrunedMeanwhile,
    /// It scans for somebody else.
    #[error("the node does another scanblocks already: wait for its end (bitcoin-cli scanblocks status)")]
    ScanningAlready,
    /// It refused a call for another reason.
    #[error("the node refused {method}: {said} (code {code})")]
    Refused {
        /// Which call.
        method: &'static str,
        /// Its code, as in `src/rpc/protocol.h` of Bitcoin Core.
        code: i32,
        /// What it said.
        said: String,
    },
    /// An answer is not as its documentation has it.
    #[error("the node's answer to {method} is not what was expected: {detail}")]
    Unexpected {
        /// Which call.
        method: &'static str,
        /// What was expected and found.
        detail: String,
    },
}

impl NodeError {
    /// Whether it is something that this node does not have, so that what needs it is left out.
    pub(crate) fn is_lack(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. } | Self::NoFilters | Self::FiltersBehind { .. } | Self::TooManyScripts { .. }
        )
    }

    /// An answer to `method` that is not as it should be.
    pub(super) fn unexpected(method: &'static str, detail: impl fmt::Display) -> Self {
        Self::Unexpected { method, detail: format!("{detail}") }
    }
}
