//! The history that the server found, in numbers; and blocks of it that the node lacks.

use bitcoin::{Amount, BlockHash};
use rescan_client::report::BlockId;
use rescan_core::position::Height;

/// The history that the server found, from the first block of the range to the tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The first height.
    pub from: Height,
    /// The last block.
    pub tip: BlockId,
    /// Number of transactions.
    pub transactions: u64,
    /// Number of unspent coins.
    pub coins: u64,
    /// Their total value.
    pub unspent: Amount,
}

impl Found {
    /// Number of blocks of the range.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        u64::from(self.tip.height.0).saturating_sub(u64::from(self.from.0)).saturating_add(1)
    }
}

/// A matching block that the node does not have on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingBlock {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
}
