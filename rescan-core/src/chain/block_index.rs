//! The block index: every header found in block files, linked to its parent, and the active chain
//! among them.
//!
//! Headers come in any order: a parent may follow its child. A block that extends the active chain
//! joins it at once. Every other block is stale until [`selection`](super::selection) activates its
//! branch. The index does no I/O and trusts its caller that a header has met its proof of work. It
//! guarantees that each block's parent is the one its header names.

use std::collections::{BTreeMap, HashMap, HashSet};

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;

use super::active_chain::ActiveChain;
use super::block_table::{CopyAdded, Entry, NOT_ACTIVE};
use super::header::{Bits, Header};
use super::network::Network;
use crate::position::{FileNumber, Height, RecordSpan};

/// In place of a stale block's parent that is not known.
const NO_PARENT: u32 = u32::MAX;

/// One block record of a block file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderRecord {
    /// The block's hash.
    pub hash: BlockHash,
    /// Its parent's hash.
    pub prev_hash: BlockHash,
    /// The time in its header, in seconds since 1970.
    pub time: u32,
    /// Its target in compact form.
    pub bits: Bits,
    /// Its position on disk; size 0 if it is known but pruned.
    pub span: RecordSpan,
}

impl HeaderRecord {
    /// The record of `header` with the block at `span`.
    #[must_use]
    pub fn new(header: &Header, hash: BlockHash, span: RecordSpan) -> Self {
        Self { hash, prev_hash: header.prev_hash(), time: header.time(), bits: header.bits(), span }
    }
}

/// The reason why the known records of a file no longer hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileLoss {
    /// The file was deleted: its blocks are pruned, and remain the ancestors of later ones.
    Unlinked,
    /// The file was rewritten: blocks that the next walk does not find never existed.
    Changed,
}

/// All known blocks, and the active chain among them.
#[derive(Debug)]
pub struct BlockIndex {
    network: Network,
    genesis_hash: BlockHash,
    chain: ActiveChain,
    /// Blocks outside the active chain and their parents; [`NO_PARENT`] if the parent is not known.
    stale: HashMap<u32, u32>,
    /// Hashes of unknown parents, by child.
    unknown_parents: HashMap<u32, BlockHash>,
    /// The same by parent: its children.
    orphans: HashMap<BlockHash, Vec<u32>>,
    /// Blocks whose file changed, until a walk has found them again.
    lost: Vec<u32>,
    /// Lowest blocks of branches that are never selected (`BLOCK_FAILED_VALID` in Bitcoin Core);
    /// none of them is active.
    invalidated: HashSet<u32>,
    /// Whether anything but growth at the top happened since the last selection.
    is_unsettled: bool,
}

impl BlockIndex {
    /// An index without any block.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self {
            network,
            genesis_hash: network.genesis_hash(),
            chain: ActiveChain::default(),
            stale: HashMap::new(),
            unknown_parents: HashMap::new(),
            orphans: HashMap::new(),
            lost: Vec::new(),
            invalidated: HashSet::new(),
            is_unsettled: false,
        }
    }

    pub(super) fn network(&self) -> Network {
        self.network
    }

    pub(super) fn genesis_hash(&self) -> BlockHash {
        self.genesis_hash
    }

    pub(super) fn chain(&self) -> &ActiveChain {
        &self.chain
    }

    pub(super) fn entry(&self, id: u32) -> Option<&Entry> {
        self.chain.blocks().get(id)
    }

    pub(super) fn find(&self, hash: &BlockHash) -> Option<u32> {
        self.chain.blocks().find(hash)
    }

    pub(super) fn hash(&self, id: u32) -> Option<BlockHash> {
        self.entry(id).map(|entry| entry.hash)
    }

    /// The height of a block in the active chain; none if it is stale.
    pub(super) fn active_height(&self, id: u32) -> Option<Height> {
        self.entry(id).map(|entry| entry.height).filter(|height| *height != NOT_ACTIVE).map(Height)
    }

    pub(super) fn record(&self, id: u32) -> Option<HeaderRecord> {
        let Entry { hash, time, bits, span, .. } = *self.entry(id)?;
        Some(HeaderRecord { hash, prev_hash: self.prev_hash(id), time, bits, span })
    }

    /// Adds a record. A known block at another position is a further copy; at a known position it
    /// changes nothing.
    pub(super) fn insert(&mut self, record: HeaderRecord) {
        match self.find(&record.hash) {
            Some(id) => self.is_unsettled |= self.chain.blocks_mut().add_copy(id, record.span) == CopyAdded::First,
            None => self.add_block(record),
        }
    }

    /// Forgets every copy in `file`. Blocks with a copy elsewhere keep that one.
    pub(super) fn forget_file(&mut self, file: FileNumber, loss: FileLoss) {
        let lost = self.chain.blocks_mut().forget_file(file);
        self.is_unsettled |= !lost.is_empty();
        if loss == FileLoss::Changed {
            self.lost.extend(lost);
        }
    }

    fn add_block(&mut self, record: HeaderRecord) {
        let HeaderRecord { hash, prev_hash, time, bits, span } = record;
        let entry = Entry { hash, height: NOT_ACTIVE, time, bits, span };
        let Some(id) = self.chain.blocks_mut().push(entry) else { return };
        if hash == self.genesis_hash {
            self.chain.set_genesis(id);
            self.is_unsettled |= self.chain.len() > 1;
        } else if let Some(parent) = self.find(&prev_hash) {
            self.stale.insert(id, parent);
        } else {
            self.stale.insert(id, NO_PARENT);
            self.add_orphan(id, prev_hash);
            self.is_unsettled = true;
        }
        self.adopt_children(id, &hash);
        self.extend_with(id);
    }

    fn add_orphan(&mut self, id: u32, prev_hash: BlockHash) {
        self.unknown_parents.insert(id, prev_hash);
        self.orphans.entry(prev_hash).or_default().push(id);
    }

    /// Links the orphans of a block that has just been found.
    fn adopt_children(&mut self, id: u32, hash: &BlockHash) {
        let children = self.orphans.remove(hash).unwrap_or_default();
        if children.iter().any(|child| !self.stale.contains_key(child)) {
            // The first block of the rootless run has found its parent: selection places the run
            // anew.
            self.deactivate_rootless();
        }
        for child in children {
            self.unknown_parents.remove(&child);
            self.stale.insert(child, id);
            self.is_unsettled = true;
        }
    }

    /// Puts a block on top of the active chain if its parent is the tip. Children that came earlier
    /// follow at the next selection.
    fn extend_with(&mut self, id: u32) {
        let Some(parent) = self.stale.get(&id).copied() else { return };
        let height = Height(u32::try_from(self.chain.len()).unwrap_or(NOT_ACTIVE));
        let is_next = self.chain.top_id() == Some(parent) && self.may_follow(id, parent, height);
        if is_next && !self.is_invalidated(id) {
            self.activate(&[id]);
        } else {
            self.is_unsettled = true;
        }
    }

    /// Whether the difficulty of block `id` at `height` may follow its parent's.
    pub(super) fn may_follow(&self, id: u32, parent: u32, height: Height) -> bool {
        let bits = |id| self.entry(id).map(|entry| entry.bits);
        bits(id).zip(bits(parent)).is_some_and(|(ours, parents)| ours.may_follow(parents, height, self.network))
    }

    /// The parent of a block, if it is known.
    pub(super) fn parent(&self, id: u32) -> Option<u32> {
        match self.stale.get(&id) {
            Some(parent) => Some(*parent).filter(|parent| *parent != NO_PARENT),
            None if self.unknown_parents.contains_key(&id) => None,
            None => self.chain.entry_id(Height(self.entry(id)?.height.checked_sub(1)?)),
        }
    }

    fn prev_hash(&self, id: u32) -> BlockHash {
        if let Some(hash) = self.unknown_parents.get(&id) {
            return *hash;
        }
        let parent = self.parent(id).and_then(|parent| self.hash(parent));
        parent.unwrap_or(BlockHash::all_zeros())
    }

    /// The stale blocks from the one above the fork, or from a run's first, to `tip`. If parents
    /// form a circle, the path ends after as many blocks as are stale.
    pub(super) fn path_to(&self, tip: u32) -> Vec<u32> {
        let mut path = vec![tip];
        while let Some(parent) = path.last().and_then(|id| self.parent(*id)).filter(|id| self.is_stale(*id)) {
            if path.len() > self.stale.len() {
                break;
            }
            path.push(parent);
        }
        path.reverse();
        path
    }

    pub(super) fn is_stale(&self, id: u32) -> bool {
        self.stale.contains_key(&id)
    }

    pub(super) fn stale(&self) -> impl Iterator<Item = u32> {
        self.stale.keys().copied()
    }

    pub(super) fn stale_count(&self) -> usize {
        self.stale.len()
    }

    /// Whether this block is the lowest of an invalidated branch.
    pub(super) fn is_invalidated(&self, id: u32) -> bool {
        !self.invalidated.is_empty() && self.invalidated.contains(&id)
    }

    /// Keeps a stale block and its descendants out of the active chain (`invalidateblock`).
    pub(super) fn invalidate(&mut self, id: u32) {
        self.invalidated.insert(id);
    }

    /// Lets `tip` be selected again: neither it nor an ancestor stays invalidated
    /// (`reconsiderblock`).
    pub(super) fn reconsider(&mut self, tip: u32) {
        if !self.invalidated.is_empty() {
            for id in self.path_to(tip) {
                self.invalidated.remove(&id);
            }
        }
    }

    /// Whether the active chain must be selected anew.
    pub(super) fn is_unsettled(&self) -> bool {
        self.is_unsettled
    }

    pub(super) fn set_unsettled(&mut self, is_unsettled: bool) {
        self.is_unsettled = is_unsettled;
    }

    /// Puts stale blocks, each the parent of the next, on top of the active chain.
    pub(super) fn activate(&mut self, branch: &[u32]) {
        for id in branch {
            self.stale.remove(id);
            self.chain.push(*id);
        }
    }

    /// Places a run without known ancestors, its first block at `first`, above the active chain.
    pub(super) fn activate_rootless(&mut self, first: Height, run: &[u32]) {
        self.chain.begin_rootless(first);
        self.activate(run);
    }

    /// Removes the blocks from `height` upwards from the active chain: they are stale.
    pub(super) fn deactivate_from(&mut self, height: Height) {
        let above: Vec<u32> = self.chain.ids_from(height).collect();
        let parents: Vec<u32> = above.iter().map(|id| self.parent(*id).unwrap_or(NO_PARENT)).collect();
        self.chain.truncate(height);
        self.stale.extend(above.into_iter().zip(parents));
    }

    /// Removes the run without known ancestors from the active chain, if it has one.
    pub(super) fn deactivate_rootless(&mut self) {
        if let Some(first) = self.chain.take_rootless() {
            self.deactivate_from(first);
        }
    }

    /// Removes blocks of changed files that no walk found again, and pruned blocks that nothing
    /// active descends from.
    pub(super) fn remove_lost(&mut self) {
        let mut gone: BTreeMap<u32, BlockHash> = BTreeMap::new();
        for id in std::mem::take(&mut self.lost) {
            gone.extend(self.without_data(id));
        }
        gone.extend(self.stale.keys().filter_map(|id| self.without_data(*id)));
        if let Some(lowest) = gone.keys().filter_map(|id| self.active_height(*id)).min() {
            self.deactivate_from(lowest);
        }
        self.remove(&gone);
    }

    fn without_data(&self, id: u32) -> Option<(u32, BlockHash)> {
        let entry = self.entry(id)?;
        entry.span_on_disk().is_none().then_some((id, entry.hash))
    }

    /// Removes stale blocks. Their children become orphans.
    fn remove(&mut self, gone: &BTreeMap<u32, BlockHash>) {
        for (id, hash) in gone {
            self.chain.blocks_mut().clear(*id, hash);
            self.stale.remove(id);
            self.invalidated.remove(id);
            if let Some(parent) = self.unknown_parents.remove(id)
                && let Some(children) = self.orphans.get_mut(&parent)
            {
                children.retain(|child| child != id);
            }
        }
        for (child, parent) in &mut self.stale {
            if let Some(hash) = gone.get(parent) {
                *parent = NO_PARENT;
                self.unknown_parents.insert(*child, *hash);
                self.orphans.entry(*hash).or_default().push(*child);
            }
        }
    }

    /// Appends a block to the active chain of an index that [`BlockIndex::restored`] completes.
    /// None if numbers are used up.
    pub(super) fn restore(&mut self, record: HeaderRecord) -> Option<()> {
        let HeaderRecord { hash, time, bits, span, .. } = record;
        u32::try_from(self.chain.len()).ok()?;
        let id = self.chain.blocks_mut().push_unhashed(Entry { hash, height: NOT_ACTIVE, time, bits, span })?;
        self.chain.push(id);
        Some(())
    }

    /// Begins a run without known ancestors, to be appended with [`BlockIndex::restore`].
    pub(super) fn restore_rootless(&mut self, first: Height, prev_hash: BlockHash) {
        self.chain.begin_rootless(first);
        if let Some(id) = self.chain.blocks().next_id() {
            self.add_orphan(id, prev_hash);
        }
    }

    /// Completes an index that was restored block by block.
    pub(super) fn restored(mut self) -> Self {
        self.chain.blocks_mut().hash_all();
        self
    }
}
