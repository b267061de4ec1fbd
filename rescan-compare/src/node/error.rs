//! Failures of a node in a comparison: those of its RPC, and those of its chain or its indexes.

use bitcoin::BlockHash;
use rescan_core::position::Height;
use rescan_node::{Address, RpcError, code};

/// A node that gave no answer, or another chain's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A call returned no result.
    #[error(transparent)]
    Rpc(RpcError),
    /// It has no block filters.
    #[error("the node has no block filter index: it is made by -blockfilterindex=1")]
    NoFilters,
    /// Its block filters end below the range.
    #[error(
        "the node's block filter index ends at height {found}, and the range at {expected}: it is still being made"
    )]
    FiltersBehind {
        /// The index's height.
        found: u32,
        /// The last height of the range.
        expected: Height,
    },
    /// The scripts are larger than a call may be.
    #[error("the scripts take {bytes} bytes in one call, and the node reads at most {max}")]
    TooManyScripts {
        /// Their size.
        bytes: usize,
        /// The node's limit.
        max: usize,
    },
    /// It is of another network than the server.
    #[error(
        "the node at {address} is on {found}, and the server on {expected}: give the address of the node whose files the server reads"
    )]
    OtherNetwork {
        /// The node's address.
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
        /// The height.
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
        /// The lowest height that it keeps.
        lowest: u32,
    },
    /// It deleted a block of the range during the comparison.
    #[error("the node pruned blocks of the range during the comparison: begin at a higher height")]
    PrunedMeanwhile,
    /// It runs another client's `scanblocks`.
    #[error("the node already runs another scanblocks: wait for its end (bitcoin-cli scanblocks status)")]
    AlreadyScanning,
}

impl NodeError {
    /// Whether the node lacks a feature; methods that need it are then left out.
    pub(crate) fn is_lack(&self) -> bool {
        matches!(
            self,
            Self::Rpc(RpcError::MethodNotFound { .. })
                | Self::NoFilters
                | Self::FiltersBehind { .. }
                | Self::TooManyScripts { .. }
        )
    }
}

/// Gives codes that several causes share the meaning that they have in one method.
impl From<RpcError> for NodeError {
    fn from(error: RpcError) -> Self {
        let RpcError::Refused { method, code, message } = &error else { return Self::Rpc(error) };
        match (*code, *method) {
            (code::MISC, "scanblocks") if message.contains("Index is not enabled") => Self::NoFilters,
            (code::MISC, "getblock" | "getdescriptoractivity") if message.contains("pruned data") => {
                Self::PrunedMeanwhile
            }
            (code::INVALID_PARAMETER, "scanblocks") if message.contains("already in progress") => Self::AlreadyScanning,
            _ => Self::Rpc(error),
        }
    }
}
