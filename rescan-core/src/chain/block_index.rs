//! Every header that block files ever showed, linked by parent: what the active chain is chosen from.
//!
//! Headers come in any order: a parent may follow its child. A block that extends the active chain joins it at once;
//! every other waits at the side until [`BlockIndex::settle`] chooses. The tree does no I/O and trusts its caller that a header has met its
//! proof of work; that each block's parent is the one its header names is its own invariant, and entry numbers are never used twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;

use crate::chain::active_chain::{ActiveChain, Entry, NO_ENTRY, NOT_ACTIVE};
use crate::chain::header::{Bits, Header};
use crate::chain::network::Network;
use crate::chain::node_tip::NodeWord;
use crate::position::{FileNumber, Height, RecordSpan};

/// Blocks at the side before the choice is made in passing: while a first walk follows a stale branch, its main one must
/// not gather there for long, where a block costs more.
const SIDE_BLOCKS_BEFORE_CHOICE: usize = 4096;

/// One block record, as a walk of the files found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderRecord {
    /// The block's hash.
    pub hash: BlockHash,
    /// Its parent's.
    pub prev_hash: BlockHash,
    /// The time in its header, in seconds since 1970.
    pub time: u32,
    /// Its target in compact form.
    pub bits: Bits,
    /// Where it lies; of size 0 if it is known but pruned.
    pub span: RecordSpan,
}

impl HeaderRecord {
    /// The record of `header` with the block at `span`.
    #[must_use]
    pub fn new(header: &Header, hash: BlockHash, span: RecordSpan) -> Self {
        Self { hash, prev_hash: header.prev_hash(), time: header.time(), bits: header.bits(), span }
    }
}

/// Why what was known of a file no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileLoss {
    /// It is gone: its blocks are pruned, and still the ancestors of those above.
    Unlinked,
    /// It is no longer what it was: what a new walk does not find again was never there.
    Changed,
}

/// All known headers, and the active chain among them.
#[derive(Debug)]
pub struct BlockIndex {
    pub(crate) network: Network,
    pub(crate) genesis_hash: BlockHash,
    pub(crate) chain: ActiveChain,
    /// Blocks outside the active chain and their parents; [`NO_ENTRY`] where the parent is not known.
    pub(crate) side: HashMap<u32, u32>,
    /// The parents that are not known, by child.
    pub(crate) unknown_parents: HashMap<u32, BlockHash>,
    /// The same by parent: who waits for it.
    waiting: HashMap<BlockHash, Vec<u32>>,
    /// Blocks whose file changed, until a walk has found them again.
    pub(crate) lost: Vec<u32>,
    /// What the node says, which goes before what was read.
    pub(crate) node: NodeWord,
    /// Whether anything happened but growth at the top.
    pub(crate) is_unsettled: bool,
    side_settled: usize,
}

impl BlockIndex {
    /// A tree without any block.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self {
            network,
            genesis_hash: network.genesis_hash(),
            chain: ActiveChain::default(),
            side: HashMap::new(),
            unknown_parents: HashMap::new(),
            waiting: HashMap::new(),
            lost: Vec::new(),
            node: NodeWord::default(),
            is_unsettled: false,
            side_settled: 0,
        }
    }

    /// The active chain as it stands; after inserting, call [`BlockIndex::settle`] first.
    #[must_use]
    pub fn snapshot(&self) -> ActiveChain {
        self.chain.clone()
    }

    /// How many blocks are known, stale ones included.
    #[cfg(test)]
    pub(crate) fn block_count(&self) -> usize {
        self.chain.entries.iter().filter(|entry| entry.hash != BlockHash::all_zeros()).count()
    }

    pub(crate) fn record(&self, id: u32) -> Option<HeaderRecord> {
        let Entry { hash, time, bits, span, .. } = *self.chain.entry(id)?;
        Some(HeaderRecord { hash, prev_hash: self.prev_hash(id), time, bits, span })
    }

    /// The entry that comes next has a parent that is not known.
    pub(crate) fn expect_parent(&mut self, prev_hash: BlockHash) {
        if let Ok(next) = u32::try_from(self.chain.entries.len()) {
            self.wait_for_parent(next, prev_hash);
        }
    }

    fn wait_for_parent(&mut self, id: u32, prev_hash: BlockHash) {
        self.unknown_parents.insert(id, prev_hash);
        self.waiting.entry(prev_hash).or_default().push(id);
    }

    /// Adds a record. The same block at another place is another copy of it; at a known place it changes nothing.
    pub fn insert(&mut self, record: HeaderRecord) {
        match self.chain.find(&record.hash) {
            Some(id) => self.add_copy(id, record.span),
            None => self.add_block(record),
        }
        if self.side.len() > 2 * self.side_settled + SIDE_BLOCKS_BEFORE_CHOICE {
            self.choose_branches();
            self.side_settled = self.side.len();
        }
    }

    /// Forgets everything that lies in `file`. Blocks with another copy keep that one.
    pub fn forget_file(&mut self, file: FileNumber, loss: FileLoss) {
        let copies = Arc::make_mut(&mut self.chain.copies);
        copies.retain(|_, spans| {
            spans.retain(|span| span.file != file);
            !spans.is_empty()
        });
        for id in self.ids_in(file) {
            let replacement = pop_first(Arc::make_mut(&mut self.chain.copies), id);
            let Some(entry) = self.chain.entries.get_mut(id as usize) else { continue };
            entry.span = replacement.unwrap_or(RecordSpan { size: 0, ..entry.span });
            if replacement.is_none() {
                self.is_unsettled = true;
                if loss == FileLoss::Changed {
                    self.lost.push(id);
                }
            }
        }
    }

    fn ids_in(&self, file: FileNumber) -> Vec<u32> {
        let entries = (0u32..).zip(self.chain.entries.iter());
        entries.filter(|(_, entry)| entry.span.size > 0 && entry.span.file == file).map(|(id, _)| id).collect()
    }

    fn add_copy(&mut self, id: u32, span: RecordSpan) {
        if span.size == 0 || self.chain.all_copies(id).any(|known| known == span) {
            return;
        }
        let Some(entry) = self.chain.entry(id) else { return };
        if entry.span_on_disk().is_none() {
            self.is_unsettled = true;
            if let Some(entry) = self.chain.entries.get_mut(id as usize) {
                entry.span = span;
            }
        } else {
            Arc::make_mut(&mut self.chain.copies).entry(id).or_default().push(span);
        }
    }

    fn add_block(&mut self, record: HeaderRecord) {
        let Ok(id) = u32::try_from(self.chain.entries.len()) else { return };
        let HeaderRecord { hash, prev_hash, time, bits, span } = record;
        self.chain.entries.push(Entry { hash, height: NOT_ACTIVE, time, bits, span });
        let Self { chain: ActiveChain { entries, index, .. }, .. } = self;
        index.insert(&hash, id, |id| entries.get(id as usize).map(|entry| &entry.hash));
        if hash == self.genesis_hash {
            self.add_genesis(id);
        } else if let Some(parent) = self.chain.find(&prev_hash) {
            self.side.insert(id, parent);
        } else {
            self.side.insert(id, NO_ENTRY);
            self.wait_for_parent(id, prev_hash);
            self.is_unsettled = true;
        }
        self.adopt_children(id, &hash);
        self.extend_with(id);
    }

    fn add_genesis(&mut self, id: u32) {
        if self.chain.active.is_empty() {
            self.chain.active.push(id);
        } else if let Some(lowest) = self.chain.active.get_mut(0) {
            *lowest = id;
        }
        self.set_height(id, 0);
        self.is_unsettled |= self.chain.active.len() > 1;
    }

    /// The blocks that waited for this parent know it now.
    fn adopt_children(&mut self, id: u32, hash: &BlockHash) {
        let children = self.waiting.remove(hash).unwrap_or_default();
        if let Some(first) = self.chain.rootless_first
            && children.iter().any(|child| !self.side.contains_key(child))
        {
            // The root of the placed run gets its parent: the run waits at the side until the choice places it anew.
            self.chain.rootless_first = None;
            self.demote_from(first);
        }
        for child in children {
            self.unknown_parents.remove(&child);
            self.side.insert(child, id);
            self.is_unsettled = true;
        }
    }

    /// Puts a block on top of the active chain if that is where it belongs. Its children, if they came earlier, follow
    /// when the choice is made.
    fn extend_with(&mut self, id: u32) {
        let Some(parent) = self.side.get(&id).copied() else { return };
        let on_top = self.chain.active.len().checked_sub(1).and_then(|top| self.chain.active.get(top)).copied();
        let height = Height(u32::try_from(self.chain.active.len()).unwrap_or(NOT_ACTIVE));
        if on_top == Some(parent) && self.may_follow(id, parent, height) && !self.is_left(id) {
            self.side.remove(&id);
            self.chain.active.push(id);
            self.set_height(id, height.0);
        } else {
            self.is_unsettled = true;
        }
    }

    /// Whether the difficulty of block `id` at `height` is one that may follow its parent's.
    pub(crate) fn may_follow(&self, id: u32, parent: u32, height: Height) -> bool {
        let bits = |id| self.chain.entry(id).map(|entry| entry.bits);
        bits(id).zip(bits(parent)).is_some_and(|(ours, parents)| ours.may_follow(parents, height, self.network))
    }

    /// Whether this block is the lowest of a branch that the node left.
    pub(crate) fn is_left(&self, id: u32) -> bool {
        self.chain.entry(id).is_some_and(|entry| self.node.is_left(&entry.hash))
    }

    pub(crate) fn set_height(&mut self, id: u32, height: u32) {
        if let Some(entry) = self.chain.entries.get_mut(id as usize) {
            entry.height = height;
        }
    }

    /// The parent of a block, if it is known.
    pub(crate) fn parent(&self, id: u32) -> Option<u32> {
        match self.side.get(&id) {
            Some(parent) => Some(*parent).filter(|parent| *parent != NO_ENTRY),
            None if self.unknown_parents.contains_key(&id) => None,
            None => self.chain.entry_id(Height(self.chain.entry(id)?.height.checked_sub(1)?)),
        }
    }

    fn prev_hash(&self, id: u32) -> BlockHash {
        if let Some(hash) = self.unknown_parents.get(&id) {
            return *hash;
        }
        let parent = self.parent(id).and_then(|parent| self.chain.entry(parent));
        parent.map_or(BlockHash::all_zeros(), |parent| parent.hash)
    }

    /// Takes the active chain apart from `height` upwards: its blocks wait at the side.
    pub(crate) fn demote_from(&mut self, height: Height) {
        let above: Vec<u32> = (height.to_index()..self.chain.active.len())
            .filter_map(|at| self.chain.active.get(at).copied())
            .filter(|id| *id != NO_ENTRY)
            .collect();
        let parents: Vec<u32> = above.iter().map(|id| self.parent(*id).unwrap_or(NO_ENTRY)).collect();
        for (id, parent) in above.into_iter().zip(parents) {
            self.side.insert(id, parent);
            self.set_height(id, NOT_ACTIVE);
        }
        self.chain.active.truncate(height.to_index());
        while self.chain.active.len().checked_sub(1).and_then(|top| self.chain.active.get(top)) == Some(&NO_ENTRY) {
            self.chain.active.truncate(self.chain.active.len() - 1);
        }
    }

    /// Takes blocks out of the tree, none of them in the active chain: their children no longer know their parent.
    pub(crate) fn remove(&mut self, gone: &BTreeMap<u32, BlockHash>) {
        for (id, hash) in gone {
            let Self { chain: ActiveChain { entries, index, .. }, .. } = self;
            index.remove(hash, |id| entries.get(id as usize).map(|entry| &entry.hash));
            if let Some(entry) = self.chain.entries.get_mut(*id as usize) {
                *entry = Entry { hash: BlockHash::all_zeros(), height: NOT_ACTIVE, ..*entry };
                entry.span.size = 0;
            }
            self.side.remove(id);
            if let Some(parent) = self.unknown_parents.remove(id)
                && let Some(children) = self.waiting.get_mut(&parent)
            {
                children.retain(|child| child != id);
            }
        }
        for (child, parent) in &mut self.side {
            if let Some(hash) = gone.get(parent) {
                *parent = NO_ENTRY;
                self.unknown_parents.insert(*child, *hash);
                self.waiting.entry(*hash).or_default().push(*child);
            }
        }
    }
}

fn pop_first(copies: &mut BTreeMap<u32, Vec<RecordSpan>>, id: u32) -> Option<RecordSpan> {
    let spans = copies.get_mut(&id)?;
    let first = (!spans.is_empty()).then(|| spans.remove(0));
    if spans.is_empty() {
        copies.remove(&id);
    }
    first
}
