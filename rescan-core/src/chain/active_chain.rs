//! The active chain at one moment: which block stands at each height, and where on disk it lies.
//!
//! A snapshot never changes, and shares its tables with the snapshots before and after it. It says what the block files
//! said when it was made: that the bytes are still there is checked when they are read. Resident size is 64 bytes a block:
//! 56 for its entry, 4 for its place in the chain, 4 in the index of hashes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin::BlockHash;

use crate::chain::hash_index::HashIndex;
use crate::chain::header::Bits;
use crate::chain::shared_vec::SharedVec;
use crate::position::{Height, HeightRange, RecordSpan};
use crate::report::BlockId;

/// In place of a height: the entry is not in the active chain.
pub(crate) const NOT_ACTIVE: u32 = u32::MAX;
/// In place of an entry's number: no block is known at this height.
pub(crate) const NO_ENTRY: u32 = u32::MAX;

/// Seconds that Bitcoin Core's wallet looks back before a birthday (`TIMESTAMP_WINDOW` in `src/chain.h`): block times are
/// only roughly right.
const TIMESTAMP_WINDOW_SECS: u32 = 7200;

/// Hashes in a locator before its steps begin to double (`LocatorEntries` in `src/chain.cpp`).
const LOCATOR_DENSE: usize = 10;

/// A block of the active chain whose bytes are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainBlock {
    /// Its hash.
    pub hash: BlockHash,
    /// The time in its header, in seconds since 1970.
    pub time: u32,
    /// Where it lies.
    pub span: RecordSpan,
}

/// What is kept of one block: 56 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) hash: BlockHash,
    /// Its height in the active chain; [`NOT_ACTIVE`] elsewhere.
    pub(crate) height: u32,
    pub(crate) time: u32,
    pub(crate) bits: Bits,
    /// Where it lies; of size 0 where it was pruned.
    pub(crate) span: RecordSpan,
}

impl Entry {
    pub(crate) fn span_on_disk(&self) -> Option<RecordSpan> {
        (self.span.size > 0).then_some(self.span)
    }
}

/// The active chain at one moment.
#[derive(Clone, Debug, Default)]
pub struct ActiveChain {
    /// All blocks ever seen, stale ones too, in the order of their discovery. 512 of them are 28 KiB.
    pub(crate) entries: SharedVec<Entry, 512>,
    /// The number of the entry at each height; [`NO_ENTRY`] in a gap.
    pub(crate) active: SharedVec<u32, 1024>,
    pub(crate) index: HashIndex,
    /// Further copies of blocks that lie on disk more than once.
    pub(crate) copies: Arc<BTreeMap<u32, Vec<RecordSpan>>>,
    /// The lowest block of the run that no known block links to genesis, if there is one.
    pub(crate) rootless_first: Option<Height>,
}

impl ActiveChain {
    /// The highest block of the active chain; none while no chain is known.
    #[must_use]
    pub fn tip(&self) -> Option<BlockId> {
        self.id(self.top()?)
    }

    /// The block at `height`, if it is on disk.
    #[must_use]
    pub fn block(&self, height: Height) -> Option<ChainBlock> {
        let entry = self.entry_at(height)?;
        Some(ChainBlock { hash: entry.hash, time: entry.time, span: entry.span_on_disk()? })
    }

    /// Hash and time of the block at `height`: known of pruned blocks too, if they were seen before they were pruned.
    #[must_use]
    pub fn id(&self, height: Height) -> Option<BlockId> {
        self.entry_at(height).map(|entry| BlockId { height, hash: entry.hash, time: entry.time })
    }

    /// The height of the block with `hash`; none if it is not in the active chain.
    #[must_use]
    pub fn height_of(&self, hash: &BlockHash) -> Option<Height> {
        let height = self.entry(self.find(hash)?)?.height;
        (height != NOT_ACTIVE).then_some(Height(height))
    }

    /// Every known copy of the block at `height`, the preferred one first; empty if none is on disk.
    #[must_use]
    pub fn copies(&self, height: Height) -> Vec<RecordSpan> {
        let Some(block) = self.block(height) else { return Vec::new() };
        let further = self.entry_id(height).and_then(|id| self.copies.get(&id));
        std::iter::once(block.span).chain(further.into_iter().flatten().copied()).collect()
    }

    /// The lowest height from which every block up to `last` is on disk; none if `last` itself is not.
    #[must_use]
    pub fn lowest_complete_to(&self, last: Height) -> Option<Height> {
        (0..=last.0).rev().map(Height).take_while(|height| self.block(*height).is_some()).last()
    }

    /// Where a scan from a birthday begins, as Bitcoin Core has it: at the first block that is not older than two hours
    /// before `birthday` (seconds since 1970), which is the first whose time or an ancestor's reaches that. None if the whole chain
    /// is older.
    ///
    /// If the heights just below that block are not known, an earlier one may be the first: then it is the height below,
    /// so that a scan from there finds it missing.
    #[must_use]
    pub fn first_height_since(&self, birthday: u32) -> Option<Height> {
        let since = birthday.saturating_sub(TIMESTAMP_WINDOW_SECS);
        let is_late = |id: &u32| self.entry(*id).is_some_and(|entry| entry.time >= since);
        let found = Height(u32::try_from(self.active.iter().position(is_late)?).ok()?);
        match found.0.checked_sub(1).map(Height) {
            Some(below) if self.id(below).is_none() => Some(below),
            _ => Some(found),
        }
    }

    /// Hashes from the block at `from` downwards: eleven in a row, then ever further apart, genesis last
    /// (`LocatorEntries` in `src/chain.cpp`). Heights that are not known are left out.
    #[must_use]
    pub fn locator(&self, from: Height) -> Vec<BlockHash> {
        let (mut hashes, mut steps_taken, mut step, mut height) = (Vec::new(), 0usize, 1u32, from.0);
        loop {
            hashes.extend(self.id(Height(height)).map(|id| id.hash));
            steps_taken += 1;
            if height == 0 {
                return hashes;
            }
            height = height.saturating_sub(step);
            if steps_taken > LOCATOR_DENSE {
                step = step.saturating_mul(2);
            }
        }
    }

    /// The lowest height at which `other` no longer has this snapshot's block; none if all of this one is in `other`.
    #[must_use]
    pub fn fork_height(&self, other: &Self) -> Option<Height> {
        let differs = |height: &Height| {
            let ours = self.id(*height).map(|id| id.hash);
            ours.is_some() && ours != other.id(*height).map(|id| id.hash)
        };
        // Entry numbers are never given twice, so that what both snapshots share is equal.
        self.active.unshared_indexes(&other.active).filter_map(|i| u32::try_from(i).ok()).map(Height).find(differs)
    }

    /// The bytes of the blocks of `range` that are on disk.
    #[must_use]
    pub fn data_bytes(&self, range: HeightRange) -> u64 {
        range
            .iter()
            .map_while(|height| (Some(height) <= self.top()).then(|| self.block(height)))
            .flatten()
            .map(|block| u64::from(block.span.size))
            .sum()
    }

    /// The lowest block of a run that no known block links to genesis: a pruned chain, or the upper part of an
    /// assumeutxo node's. None if the whole chain is linked.
    #[must_use]
    pub fn rootless_from(&self) -> Option<Height> {
        self.rootless_first
    }

    /// The height of the highest block.
    pub(crate) fn top(&self) -> Option<Height> {
        u32::try_from(self.active.len()).ok()?.checked_sub(1).map(Height)
    }

    pub(crate) fn entry(&self, id: u32) -> Option<&Entry> {
        self.entries.get(id as usize) // u32 fits usize on every platform that can map block files
    }

    pub(crate) fn entry_id(&self, height: Height) -> Option<u32> {
        self.active.get(height.to_index()).copied().filter(|id| *id != NO_ENTRY)
    }

    pub(crate) fn entry_at(&self, height: Height) -> Option<&Entry> {
        self.entry(self.entry_id(height)?)
    }

    pub(crate) fn find(&self, hash: &BlockHash) -> Option<u32> {
        self.index.get(hash, |id| self.entry(id).map(|entry| &entry.hash))
    }

    /// Every copy of a block, the preferred one first.
    pub(crate) fn all_copies(&self, id: u32) -> impl Iterator<Item = RecordSpan> {
        let first = self.entry(id).and_then(Entry::span_on_disk);
        first.into_iter().chain(self.copies.get(&id).into_iter().flatten().copied())
    }
}
