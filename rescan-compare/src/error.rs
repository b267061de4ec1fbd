//! Failures of a comparison. It has all of its figures or none: costs of different answers cannot
//! be compared.

use std::io;

use bitcoin::Txid;
use rescan_client::{CallError, ScanError};
use rescan_core::blocks::cursor::Malformed;
use rescan_core::position::Height;
use rescan_core::watching::descriptor::{DeriveError, DescriptorError};

use crate::method::Method;
use crate::node::NodeError;

/// A comparison that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// The server refused or failed a call, or closed the connection.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The server has no block.
    #[error("the server sees no block yet")]
    NoBlocks,
    /// Part of the range is not on disk.
    #[error("blocks of the range were pruned: the lowest that is complete to its end is {lowest}")]
    Pruned {
        /// The lowest height that is complete to the end of the range.
        lowest: Height,
    },
    /// The chain was reorganised during the comparison: its runs scanned different blocks.
    #[error("the chain was reorganised during the comparison, from height {from} on or above")]
    Reorganised {
        /// The lowest height that may have changed, as far as known.
        from: Height,
    },
    /// The server accepted a descriptor that does not parse here.
    #[error("keychain number {number} (counted from 0) cannot be derived from")]
    Descriptor {
        /// Its position in the request.
        number: usize,
        /// The defect.
        source: DescriptorError,
    },
    /// A script of a descriptor cannot be derived.
    #[error("keychain number {number} (counted from 0) has no script at every index")]
    Derive {
        /// Its position in the request.
        number: usize,
        /// The index and the reason.
        source: DeriveError,
    },
    /// Two methods gave different answers.
    #[error("{method} gave another answer than summaries: transaction {txid} at height {height} {difference}")]
    Differs {
        /// The method's title.
        method: &'static str,
        /// The height of the first transaction that differs, in chain order.
        height: Height,
        /// Its id.
        txid: Txid,
        /// The difference.
        difference: &'static str,
    },
    /// A block does not parse.
    #[error("the block at height {height}, received for {method:?}, is malformed: {detail}")]
    Malformed {
        /// The method that received it.
        method: Method,
        /// Its height, as its sender has it.
        height: Height,
        /// The expected and the found form.
        detail: String,
    },
    /// A derived or sampled script cannot be watched.
    #[error("a script cannot be watched: {0}")]
    Watch(#[from] rescan_core::watching::watch_set::WatchError),
    /// The node gave no answer, or another chain's.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The operating system refused the thread that samples memory.
    #[error("cannot start the thread that samples memory")]
    Thread(#[source] io::Error),
}

impl From<CallError> for CompareError {
    fn from(error: CallError) -> Self {
        Self::Scan(error.into())
    }
}

impl CompareError {
    pub(crate) fn malformed(method: Method, height: Height) -> impl FnOnce(Malformed) -> Self {
        move |malformed| Self::Malformed { method, height, detail: malformed.to_string() }
    }
}
