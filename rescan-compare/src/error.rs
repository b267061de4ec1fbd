//! Why a comparison came to nothing. It gives all of its figures or none: figures of different answers compare nothing.

use std::io;

use bitcoin::Txid;
use rescan_core::blocks::cursor::Malformed;
use rescan_core::position::Height;
use rescan_core::watching::descriptor::{DeriveError, DescriptorError};

use super::WayId;
use super::node::NodeError;
use rescan_client::{CallError, ScanError};

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// The server would not scan, or is gone.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The server knows no block.
    #[error("the server sees no block yet")]
    NoBlocks,
    /// Part of the range is not on disk.
    #[error("blocks of the range were pruned: the lowest that is complete to its end is {lowest}")]
    Pruned {
        /// That height.
        lowest: Height,
    },
    /// The chain was left while it was measured, so that not all ways went over the same blocks.
    #[error("the chain was reorganised during the comparison, from height {from} on or above")]
    Reorganised {
        /// The lowest height that may have changed, as far as is known.
        from: Height,
    },
    /// A descriptor that was taken by the server, and is none here.
    #[error("keychain number {number} (counted from 0) cannot be derived from")]
    Descriptor {
        /// Which, by its place in the request.
        number: usize,
        /// Why.
        source: DescriptorError,
    },
    /// A script of a descriptor cannot be derived.
    #[error("keychain number {number} (counted from 0) has no script at every index")]
    Derive {
        /// Which, by its place in the request.
        number: usize,
        /// At which index, and why.
        source: DeriveError,
    },
    /// Two ways gave different answers.
    #[error("{way} gave another answer than summaries: transaction {txid} at height {height} {how}")]
    Differs {
        /// The way, in the words of the table.
        way: &'static str,
        /// The first transaction that differs, in chain order.
        height: Height,
        /// Its id.
        txid: Txid,
        /// In what.
        how: &'static str,
    },
    /// A block that came is none.
    #[error("the block at height {height} that was shipped for {way:?} is malformed: {detail}")]
    Malformed {
        /// The way it was shipped for.
        way: WayId,
        /// The height it was said to have.
        height: Height,
        /// What was expected and found.
        detail: String,
    },
    /// A script that was derived or sampled cannot be watched.
    #[error("a script cannot be watched: {0}")]
    Watch(#[from] rescan_core::watching::watch_set::WatchError),
    /// The node that was to be compared with gave no answer, or another chain's.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The operating system would not give the thread that looks at memory.
    #[error("cannot start the thread that looks at memory")]
    Thread(#[source] io::Error),
}

impl From<CallError> for CompareError {
    fn from(error: CallError) -> Self {
        Self::Scan(error.into())
    }
}

impl CompareError {
    pub(crate) fn malformed(way: WayId, height: Height) -> impl FnOnce(Malformed) -> Self {
        move |malformed| Self::Malformed { way, height, detail: malformed.to_string() }
    }
}
