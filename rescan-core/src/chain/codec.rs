//! A block index as records in a fixed order, and rebuilt from them without reading block files.
//!
//! The active chain is stored in height order, which implies its links. All other records name
//! their parents. The caller vouches for restored records: they were checked when they were first
//! read.

use bitcoin::BlockHash;

use super::active_chain::ROOTLESS_HEIGHT_MAX;
use super::block_index::{BlockIndex, HeaderRecord};
use super::network::Network;
use crate::position::Height;

impl BlockIndex {
    /// The blocks of the active chain that descend from genesis, in height order.
    pub fn rooted_records(&self) -> impl Iterator<Item = HeaderRecord> {
        let chain = self.chain();
        let end = chain.rootless_from().map_or(usize::MAX, Height::to_index);
        let heights = (0..u32::MAX).map(Height).take(end);
        heights.map_while(|height| chain.entry_id(height)).filter_map(|id| self.record(id))
    }

    /// First height and blocks, in height order, of the run without known ancestors; none if the
    /// active chain has none.
    #[must_use]
    pub fn rootless_records(&self) -> Option<(Height, impl Iterator<Item = HeaderRecord>)> {
        let first = self.chain().rootless_from()?;
        Some((first, self.chain().ids_from(first).filter_map(|id| self.record(id))))
    }

    /// All stale blocks, and the further copies of blocks that are on disk more than once.
    pub fn other_records(&self) -> impl Iterator<Item = HeaderRecord> {
        let stale = self.stale().filter_map(|id| self.record(id));
        let copies = self.chain().blocks().further_copies();
        stale.chain(copies.filter_map(|(id, span)| Some(HeaderRecord { span, ..self.record(id)? })))
    }
}

/// Rebuilds a block index: first the rooted part of the active chain, then the rootless run. All
/// other records can be inserted into the finished index.
#[derive(Debug)]
pub struct IndexRestorer {
    index: BlockIndex,
}

impl IndexRestorer {
    /// An index without any block.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self { index: BlockIndex::new(network) }
    }

    /// Begins the run without known ancestors at `first`; `prev_hash` is the unknown parent of its
    /// first block. False if there is such a run already, or if `first` is not above all blocks so
    /// far or too high.
    #[must_use]
    pub fn begin_rootless(&mut self, first: Height, prev_hash: BlockHash) -> bool {
        let chain = self.index.chain();
        if chain.rootless_from().is_some() || chain.len() > first.to_index() || first > ROOTLESS_HEIGHT_MAX {
            return false;
        }
        self.index.restore_rootless(first, prev_hash);
        true
    }

    /// Adds the next block of the active chain; its `prev_hash` is ignored. False if a first block
    /// is not genesis.
    #[must_use]
    pub fn push(&mut self, record: HeaderRecord) -> bool {
        let is_rooted = self.index.chain().len() != 0 || record.hash == self.index.genesis_hash();
        self.index.restore(record).is_some() && is_rooted
    }

    /// The index.
    #[must_use]
    pub fn finish(self) -> BlockIndex {
        self.index.restored()
    }
}
