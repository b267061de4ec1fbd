//! A header tree taken apart for keeping and put together again, without a look at the files.
//!
//! The active chain is kept in height order, so that nothing but an order has to be kept of its links; everything else as
//! records that name their parents. Whoever puts a tree together vouches for the records: they were checked when they were first read.

use bitcoin::BlockHash;

use crate::chain::active_chain::{Entry, NO_ENTRY};
use crate::chain::block_index::{BlockIndex, HeaderRecord};
use crate::chain::hash_index::HashIndex;
use crate::chain::network::Network;
use crate::chain::selection::ROOTLESS_HEIGHT_MAX;
use crate::position::Height;

impl BlockIndex {
    /// The blocks of the active chain that descend from genesis, in height order from genesis; parents are not told apart
    /// from the block before.
    pub fn rooted_records(&self) -> impl Iterator<Item = HeaderRecord> {
        let rooted = self.chain.active.iter().take_while(|id| **id != NO_ENTRY);
        let end = self.chain.rootless_first.map_or(usize::MAX, Height::to_index);
        rooted.take(end).filter_map(|id| self.record(*id))
    }

    /// Where the run without a root begins, and its blocks in height order; none if the active chain has none.
    #[must_use]
    pub fn rootless_records(&self) -> Option<(Height, impl Iterator<Item = HeaderRecord>)> {
        let first = self.chain.rootless_first?;
        let ids = (first.to_index()..self.chain.active.len()).filter_map(|at| self.chain.active.get(at));
        Some((first, ids.filter_map(|id| self.record(*id))))
    }

    /// All other blocks, and the further copies of those that lie on disk more than once.
    pub fn other_records(&self) -> impl Iterator<Item = HeaderRecord> {
        let side = self.side.keys().filter_map(|id| self.record(*id));
        let copies = self.chain.copies.iter().flat_map(|(id, spans)| {
            spans.iter().filter_map(|span| Some(HeaderRecord { span: *span, ..self.record(*id)? }))
        });
        side.chain(copies)
    }
}

/// Puts a tree together: first the rooted part of the active chain, then the rootless one; what else there is can be
/// inserted into the tree that comes of it.
#[derive(Debug)]
pub struct TreeRestorer {
    tree: BlockIndex,
}

impl TreeRestorer {
    /// An empty tree.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self { tree: BlockIndex::new(network) }
    }

    /// Begins the run without a root, at a height above all blocks so far; its first block's parent is `prev_hash`, a block that is
    /// not known. False if that cannot be.
    #[must_use]
    pub fn begin_rootless(&mut self, first: Height, prev_hash: BlockHash) -> bool {
        let chain = &mut self.tree.chain;
        if chain.rootless_first.is_some() || chain.active.len() > first.to_index() || first > ROOTLESS_HEIGHT_MAX {
            return false;
        }
        while chain.active.len() < first.to_index() {
            chain.active.push(NO_ENTRY);
        }
        chain.rootless_first = Some(first);
        self.tree.expect_parent(prev_hash);
        true
    }

    /// Adds the next block of the active chain; its `prev_hash` is not looked at. False for a first one that is not
    /// genesis.
    #[must_use]
    pub fn push(&mut self, record: HeaderRecord) -> bool {
        let BlockIndex { chain, genesis_hash, .. } = &mut self.tree;
        let (Ok(id), Ok(height)) = (u32::try_from(chain.entries.len()), u32::try_from(chain.active.len())) else {
            return false;
        };
        let HeaderRecord { hash, time, bits, span, .. } = record;
        chain.entries.push(Entry { hash, height, time, bits, span });
        chain.active.push(id);
        height != 0 || hash == *genesis_hash
    }

    /// The tree.
    #[must_use]
    pub fn finish(mut self) -> BlockIndex {
        let chain = &mut self.tree.chain;
        let entries = &chain.entries;
        let len = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        chain.index = HashIndex::of_all(len, |id| entries.get(id as usize).map(|entry| &entry.hash)); // 32 bits fit
        self.tree
    }
}
