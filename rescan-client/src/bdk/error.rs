//! Why there is no update.

use bitcoin::consensus::encode;
use bitcoin::{BlockHash, Txid};
use rescan_core::position::Height;
use rescan_core::report::Outcome;

use crate::{CallError, ScanError};

/// Why there is no update for a wallet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BdkError {
    /// The server could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The scan gave no summary.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The scan came to another end than that of its range.
    #[error("the scan did not reach its end: {outcome:?}")]
    Incomplete {
        /// How it ended.
        outcome: Outcome,
    },
    /// Not even the wallet's genesis is in the server's chain.
    #[error("the wallet's chain, which begins with {genesis}, is not the server's: are they of one network?")]
    OtherChain {
        /// The lowest block that the wallet knows.
        genesis: BlockHash,
    },
    /// The blocks that the wallet has to drop are all above the active chain's tip. BDK takes a block away only by putting
    /// another in its place, which is not mined yet.
    #[error(
        "the active chain ends at height {tip}, below block {stale} of the wallet's, which is no longer active: sync when there are more blocks"
    )]
    ChainTooShort {
        /// The height of the active chain's tip.
        tip: Height,
        /// The lowest height at which the wallet has a block that is not active.
        stale: Height,
    },
    /// Every scan ended on a chain that had been left meanwhile.
    #[error("the chain was reorganised during each of {attempts} scans")]
    KeptReorganising {
        /// How many scans were begun.
        attempts: usize,
    },
    /// A reported transaction came without its bytes.
    #[error("the server sent transaction {txid} without its bytes: it is older than this client")]
    NoBytes {
        /// Which transaction.
        txid: Txid,
    },
    /// A reported transaction's bytes are none.
    #[error("the server sent transaction {txid} in bytes that are no transaction")]
    BadBytes {
        /// Which transaction.
        txid: Txid,
        /// Why they are none.
        source: encode::Error,
    },
}
