//! Every block ever seen, stale ones included, numbered in order of discovery.
//!
//! A number is never used twice: a removed block leaves an empty entry. Cloning shares all tables
//! with the original until one side changes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;

use super::hash_index::HashIndex;
use super::header::Bits;
use super::shared_vec::SharedVec;
use crate::position::{FileNumber, RecordSpan};

/// The height of a block outside the active chain.
pub(super) const NOT_ACTIVE: u32 = u32::MAX;

/// One block: 56 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) hash: BlockHash,
    /// Its height in the active chain; [`NOT_ACTIVE`] outside it.
    pub(super) height: u32,
    pub(super) time: u32,
    pub(super) bits: Bits,
    /// Its preferred copy; size 0 if pruned.
    pub(super) span: RecordSpan,
}

impl Entry {
    pub(super) fn span_on_disk(&self) -> Option<RecordSpan> {
        (self.span.size > 0).then_some(self.span)
    }
}

/// Blocks by number and by hash, and the copies of each on disk.
#[derive(Clone, Debug, Default)]
pub(super) struct BlockTable {
    /// A chunk of 512 entries takes 28 KiB.
    entries: SharedVec<Entry, 512>,
    by_hash: HashIndex,
    /// Further copies of blocks that are on disk more than once.
    copies: Arc<BTreeMap<u32, Vec<RecordSpan>>>,
}

/// The effect of adding a copy of a known block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CopyAdded {
    /// The copy was known, or is not on disk.
    Nothing,
    /// The block was pruned and is on disk again.
    First,
    /// The block was on disk already.
    Further,
}

impl BlockTable {
    /// The number of the next block; none if 32 bits are used up.
    pub(super) fn next_id(&self) -> Option<u32> {
        u32::try_from(self.entries.len()).ok()
    }

    pub(super) fn get(&self, id: u32) -> Option<&Entry> {
        self.entries.get(id as usize) // u32 fits usize on every platform that can map block files
    }

    pub(super) fn find(&self, hash: &BlockHash) -> Option<u32> {
        self.by_hash.get(hash, hash_in(&self.entries))
    }

    /// Adds a block whose hash is not in the table.
    pub(super) fn push(&mut self, entry: Entry) -> Option<u32> {
        let id = self.push_unhashed(entry)?;
        self.by_hash.insert(&entry.hash, id, hash_in(&self.entries));
        Some(id)
    }

    /// Adds a block that [`BlockTable::find`] does not find before [`BlockTable::hash_all`].
    pub(super) fn push_unhashed(&mut self, entry: Entry) -> Option<u32> {
        let id = self.next_id()?;
        self.entries.push(entry);
        Some(id)
    }

    /// Builds the index of hashes in one pass.
    pub(super) fn hash_all(&mut self) {
        let len = self.next_id().unwrap_or(u32::MAX);
        self.by_hash = HashIndex::of_all(len, hash_in(&self.entries));
    }

    pub(super) fn set_height(&mut self, id: u32, height: u32) {
        if let Some(entry) = self.get_mut(id) {
            entry.height = height;
        }
    }

    /// Empties the entry of a block outside the active chain.
    pub(super) fn clear(&mut self, id: u32, hash: &BlockHash) {
        self.by_hash.remove(hash, hash_in(&self.entries));
        if let Some(entry) = self.get_mut(id) {
            *entry = Entry { hash: BlockHash::all_zeros(), height: NOT_ACTIVE, ..*entry };
            entry.span.size = 0;
        }
    }

    pub(super) fn add_copy(&mut self, id: u32, span: RecordSpan) -> CopyAdded {
        if span.size == 0 || self.copies(id).any(|known| known == span) {
            return CopyAdded::Nothing;
        }
        match self.get(id).map(Entry::span_on_disk) {
            None => CopyAdded::Nothing,
            Some(None) => {
                if let Some(entry) = self.get_mut(id) {
                    entry.span = span;
                }
                CopyAdded::First
            }
            Some(Some(_)) => {
                Arc::make_mut(&mut self.copies).entry(id).or_default().push(span);
                CopyAdded::Further
            }
        }
    }

    /// Removes every copy in `file`. Returns the blocks that are on disk no longer.
    pub(super) fn forget_file(&mut self, file: FileNumber) -> Vec<u32> {
        let copies = Arc::make_mut(&mut self.copies);
        copies.retain(|_, spans| {
            spans.retain(|span| span.file != file);
            !spans.is_empty()
        });
        let entries = (0u32..).zip(self.entries.iter());
        let preferred = entries.filter(|(_, entry)| entry.span.size > 0 && entry.span.file == file);
        let preferred: Vec<u32> = preferred.map(|(id, _)| id).collect();
        preferred.into_iter().filter(|id| !self.replace_preferred(*id)).collect()
    }

    /// Makes a further copy the preferred one. False if there is none: the block is no longer on
    /// disk.
    fn replace_preferred(&mut self, id: u32) -> bool {
        let replacement = pop_first(Arc::make_mut(&mut self.copies), id);
        if let Some(entry) = self.get_mut(id) {
            entry.span = replacement.unwrap_or(RecordSpan { size: 0, ..entry.span });
        }
        replacement.is_some()
    }

    /// Every copy of a block, the preferred one first.
    pub(super) fn copies(&self, id: u32) -> impl Iterator<Item = RecordSpan> {
        let first = self.get(id).and_then(Entry::span_on_disk);
        first.into_iter().chain(self.copies.get(&id).into_iter().flatten().copied())
    }

    /// All copies but the preferred ones, with their blocks.
    pub(super) fn further_copies(&self) -> impl Iterator<Item = (u32, RecordSpan)> {
        self.copies.iter().flat_map(|(id, spans)| spans.iter().map(|span| (*id, *span)))
    }

    /// Number of blocks, without the removed ones.
    #[cfg(test)]
    pub(super) fn block_count(&self) -> usize {
        self.entries.iter().filter(|entry| entry.hash != BlockHash::all_zeros()).count()
    }

    fn get_mut(&mut self, id: u32) -> Option<&mut Entry> {
        self.entries.get_mut(id as usize) // as in `get`
    }
}

fn hash_in<'a>(entries: &'a SharedVec<Entry, 512>) -> impl Fn(u32) -> Option<&'a BlockHash> {
    move |id| entries.get(id as usize).map(|entry| &entry.hash)
}

fn pop_first(copies: &mut BTreeMap<u32, Vec<RecordSpan>>, id: u32) -> Option<RecordSpan> {
    let spans = copies.get_mut(&id)?;
    let first = (!spans.is_empty()).then(|| spans.remove(0));
    if spans.is_empty() {
        copies.remove(&id);
    }
    first
}
