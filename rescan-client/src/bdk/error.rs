//! The errors of an update.

use bitcoin::consensus::encode;
use bitcoin::{BlockHash, Txid};
use rescan_core::position::Height;
use rescan_core::report::Outcome;

use crate::{CallError, ScanError};

/// Why a wallet's update failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BdkError {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The scan failed.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The scan ended before the end of its range.
    #[error("the scan ended early: {outcome:?}")]
    Incomplete {
        /// Its outcome.
        outcome: Outcome,
    },
    /// Not even the wallet's genesis is in the server's chain.
    #[error("the server's chain does not have the wallet's genesis block {genesis}: are they of one network?")]
    OtherChain {
        /// The lowest block that the wallet knows.
        genesis: BlockHash,
    },
    /// All stale blocks of the wallet are above the active chain's tip. BDK removes a block only by putting another in its
    /// place, which is not mined yet.
    #[error(
        "the active chain ends at height {tip}, below the wallet's stale block at height {stale}: sync when there are more blocks"
    )]
    ChainTooShort {
        /// The height of the active chain's tip.
        tip: Height,
        /// The height of the wallet's lowest stale block.
        stale: Height,
    },
    /// The chain changed during every scan.
    #[error("the chain was reorganised during each of {attempts} scans")]
    KeptReorganising {
        /// The number of scans.
        attempts: usize,
    },
    /// A reported transaction has no bytes.
    #[error("the server sent transaction {txid} without its bytes: it is older than this client")]
    NoBytes {
        /// The transaction.
        txid: Txid,
    },
    /// A reported transaction's bytes do not decode.
    #[error("the bytes of transaction {txid} do not decode")]
    BadBytes {
        /// The transaction.
        txid: Txid,
        /// The cause.
        source: encode::Error,
    },
}
