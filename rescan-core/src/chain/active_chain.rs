//! The active chain at one moment: the block at each height, and its position on disk.
//!
//! A snapshot never changes, and shares its tables with the snapshots before and after it. It
//! records the block files as they were when it was made; readers check that the bytes are still
//! there. Resident size is 64 bytes a block: 56 for its entry, 4 for its height, 4 in the index of
//! hashes.

use bitcoin::BlockHash;

use super::block_table::{BlockTable, Entry, NOT_ACTIVE};
use super::shared_vec::SharedVec;
use crate::position::{Height, HeightRange, RecordSpan};
use crate::report::BlockId;

/// The entry number of a height whose block is not known.
const NO_ENTRY: u32 = u32::MAX;

/// Highest first height of a run without known ancestors. The gap below the run takes four bytes a
/// height, and the height is a claim of an unproven coinbase. No chain of this millennium is
/// longer.
pub(super) const ROOTLESS_HEIGHT_MAX: Height = Height(1 << 25);

/// Seconds that Bitcoin Core's wallet subtracts from a birthday (`TIMESTAMP_WINDOW` in
/// `src/chain.h`): block times are only roughly right.
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
    /// Its position on disk.
    pub span: RecordSpan,
}

/// The active chain at one moment.
#[derive(Clone, Debug, Default)]
pub struct ActiveChain {
    blocks: BlockTable,
    /// The number of the entry at each height; [`NO_ENTRY`] in a gap.
    active: SharedVec<u32, 1024>,
    /// The lowest block of the run that no known block links to genesis, if there is one.
    rootless_first: Option<Height>,
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

    /// Hash and time of the block at `height`. Known for pruned blocks too, if they were seen
    /// before they were pruned.
    #[must_use]
    pub fn id(&self, height: Height) -> Option<BlockId> {
        self.entry_at(height).map(|entry| BlockId { height, hash: entry.hash, time: entry.time })
    }

    /// The height of the block with `hash`; none if it is not in the active chain.
    #[must_use]
    pub fn height_of(&self, hash: &BlockHash) -> Option<Height> {
        let height = self.blocks.get(self.blocks.find(hash)?)?.height;
        (height != NOT_ACTIVE).then_some(Height(height))
    }

    /// Every known copy of the block at `height`, the preferred one first; empty if none is on
    /// disk.
    #[must_use]
    pub fn copies(&self, height: Height) -> Vec<RecordSpan> {
        self.entry_id(height).into_iter().flat_map(|id| self.blocks.copies(id)).collect()
    }

    /// The lowest height from which every block up to `last` is on disk; none if `last` itself is
    /// not.
    #[must_use]
    pub fn lowest_complete_to(&self, last: Height) -> Option<Height> {
        (0..=last.0).rev().map(Height).take_while(|height| self.block(*height).is_some()).last()
    }

    /// The first height of a scan from `birthday` (seconds since 1970), by Bitcoin Core's rule: the
    /// first block whose time, or an ancestor's, is no earlier than two hours before it. None if
    /// the whole chain is older.
    ///
    /// If the height below that block is unknown, the true first block may be there. Then that
    /// height is returned, and a scan from it reports the missing block.
    #[must_use]
    pub fn first_height_since(&self, birthday: u32) -> Option<Height> {
        let since = birthday.saturating_sub(TIMESTAMP_WINDOW_SECS);
        let is_late = |id: &u32| self.blocks.get(*id).is_some_and(|entry| entry.time >= since);
        let found = Height(u32::try_from(self.active.iter().position(is_late)?).ok()?);
        match found.0.checked_sub(1).map(Height) {
            Some(below) if self.id(below).is_none() => Some(below),
            _ => Some(found),
        }
    }

    /// Hashes from the block at `from` downwards: eleven in a row, then in doubling steps, genesis
    /// last (`LocatorEntries` in `src/chain.cpp`). Unknown heights are left out.
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

    /// The lowest height at which `other` has another block than this snapshot, or none. None if
    /// `other` contains all of this snapshot.
    #[must_use]
    pub fn fork_height(&self, other: &Self) -> Option<Height> {
        let differs = |height: &Height| {
            let ours = self.id(*height).map(|id| id.hash);
            ours.is_some() && ours != other.id(*height).map(|id| id.hash)
        };
        // Entry numbers are never used twice, so shared chunks are equal.
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

    /// The lowest height of a run that no known block links to genesis: a pruned chain, or the
    /// upper part of an assumeutxo node's chain. None if the whole chain is linked.
    #[must_use]
    pub fn rootless_from(&self) -> Option<Height> {
        self.rootless_first
    }

    /// The height of the highest block.
    pub(super) fn top(&self) -> Option<Height> {
        u32::try_from(self.active.len()).ok()?.checked_sub(1).map(Height)
    }

    /// The number of the highest block.
    pub(super) fn top_id(&self) -> Option<u32> {
        self.entry_id(self.top()?)
    }

    /// The number of heights, gaps included.
    pub(super) fn len(&self) -> usize {
        self.active.len()
    }

    pub(super) fn blocks(&self) -> &BlockTable {
        &self.blocks
    }

    pub(super) fn blocks_mut(&mut self) -> &mut BlockTable {
        &mut self.blocks
    }

    pub(super) fn entry_id(&self, height: Height) -> Option<u32> {
        self.id_at(height.to_index())
    }

    pub(super) fn entry_at(&self, height: Height) -> Option<&Entry> {
        self.blocks.get(self.entry_id(height)?)
    }

    /// The numbers of the blocks from `height` upwards, gaps left out.
    pub(super) fn ids_from(&self, height: Height) -> impl Iterator<Item = u32> {
        (height.to_index()..self.active.len()).filter_map(|at| self.id_at(at))
    }

    fn id_at(&self, at: usize) -> Option<u32> {
        self.active.get(at).copied().filter(|id| *id != NO_ENTRY)
    }

    /// Puts a block on top.
    pub(super) fn push(&mut self, id: u32) {
        self.blocks.set_height(id, u32::try_from(self.active.len()).unwrap_or(NOT_ACTIVE));
        self.active.push(id);
    }

    /// Sets genesis, above which blocks may have been placed already.
    pub(super) fn set_genesis(&mut self, id: u32) {
        match self.active.get_mut(0) {
            Some(lowest) => *lowest = id,
            None => self.active.push(id),
        }
        self.blocks.set_height(id, 0);
    }

    /// Begins a run without known ancestors at `first`, above a gap.
    pub(super) fn begin_rootless(&mut self, first: Height) {
        while self.active.len() < first.to_index() {
            self.active.push(NO_ENTRY);
        }
        self.rootless_first = Some(first);
    }

    /// Ends the run without known ancestors: its blocks are ordinary ones from here on. Returns its
    /// first height.
    pub(super) fn take_rootless(&mut self) -> Option<Height> {
        self.rootless_first.take()
    }

    /// Drops the blocks from `height` upwards, and the gap below them.
    pub(super) fn truncate(&mut self, height: Height) {
        for at in height.to_index()..self.active.len() {
            if let Some(id) = self.id_at(at) {
                self.blocks.set_height(id, NOT_ACTIVE);
            }
        }
        self.active.truncate(height.to_index());
        while self.active.len().checked_sub(1).and_then(|top| self.active.get(top)) == Some(&NO_ENTRY) {
            self.active.truncate(self.active.len() - 1);
        }
    }
}
