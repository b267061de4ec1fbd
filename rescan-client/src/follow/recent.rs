//! The last blocks that a follower has announced, and the blocks that it is about to announce.
//!
//! Invariant: heights follow one another without a gap, from the lowest that is remembered to the last that is ahead.

use std::collections::VecDeque;

use bitcoin::BlockHash;
use rescan_core::position::Height;
use rescan_core::report::BlockId;

use crate::error::CallError;
use crate::scan::ScanHandle;

/// How many blocks can be named when the chain leaves them: as many as a checkpoint can take back.
const RECENT_BLOCKS_MAX: u32 = rescan_core::protocol::REORG_BLOCKS_MAX;

/// Heights in one call for block ids: a server answers no more.
const HEIGHTS_MAX: u32 = rescan_core::protocol::BLOCK_IDS_PER_CALL_MAX;

/// Heights asked for beyond the tip that is expected, since blocks may have come while the scan began.
const SPARE_HEIGHTS: u32 = 8;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct RecentBlocks {
    /// Ascending.
    told: VecDeque<BlockId>,
    /// The lowest height that is remembered, whether or not its block has been left.
    lowest: Height,
    /// Ascending.
    ahead: VecDeque<BlockId>,
    /// The lowest height of an alignment that was begun and not finished.
    unsure: Option<Height>,
}

impl RecentBlocks {
    /// The last blocks of a scan's chain, up to the `tip` that it reached. There are fewer if the node has pruned the lowest
    /// of them.
    pub(super) async fn recall(scan: &ScanHandle, tip: BlockId) -> Result<Self, CallError> {
        let lowest = tip.height.0.saturating_sub(RECENT_BLOCKS_MAX - 1);
        let found = scan.block_ids((lowest..=tip.height.0).map(Height).collect()).await?;
        let mut told = VecDeque::new();
        for block in found.into_iter().rev().map_while(|block| block) {
            told.push_front(block);
        }
        let heights = (lowest..=tip.height.0).rev().map(Height);
        if told.back() != Some(&tip) || !told.iter().rev().map(|block| block.height).eq(heights.take(told.len())) {
            return Err(breach(format!(
                "the blocks from height {lowest} on do not end with the scan's tip {}",
                tip.hash
            )));
        }
        let lowest = told.front().map_or(tip.height, |lowest| lowest.height);
        Ok(Self { told, lowest, ahead: VecDeque::new(), unsure: None })
    }

    /// The lowest height at which another chain may differ; [`align`](Self::align) takes its blocks from there. It lies
    /// above the `covered` height, which both chains share, or else is the lowest remembered one. An alignment that was
    /// begun and not finished is included.
    pub(super) fn begin_to_align(&mut self, covered: Option<Height>) -> Height {
        let first = self.first_unsure(covered);
        self.unsure = Some(first);
        first
    }

    fn first_unsure(&self, covered: Option<Height>) -> Height {
        let first = covered.map_or(self.lowest, |covered| Height(covered.0.saturating_add(1)));
        self.unsure.map_or(first, |unsure| unsure.min(first))
    }

    /// Switches to the `blocks` of a chain, from [`begin_to_align`](Self::begin_to_align) on. Returns the blocks that were
    /// disconnected, the last first. `None`, with nothing changed, if the fork lies below all that are remembered.
    pub(super) fn align(&mut self, covered: Option<Height>, blocks: Vec<BlockId>) -> Option<Vec<BlockId>> {
        let first = self.first_unsure(covered);
        let place = |block: &BlockId| block.height.0.checked_sub(first.0).and_then(|place| usize::try_from(place).ok());
        let stands = |block: &&BlockId| match place(block) {
            None => true,
            Some(place) => blocks.get(place).is_some_and(|pinned| pinned.hash == block.hash),
        };
        let kept = self.told.iter().take_while(stands).count();
        // All remembered blocks were disconnected. The one below them is known to be active only if it is covered.
        if kept == 0 && (covered.is_none() || first < self.lowest) {
            return None;
        }
        self.unsure = None;
        let left: Vec<BlockId> = self.told.drain(kept..).rev().collect();
        let next = self.told.back().map_or(self.lowest, |last| Height(last.height.0.saturating_add(1)));
        self.ahead = blocks.into_iter().filter(|block| block.height >= next).collect();
        Some(left)
    }

    /// Disconnects the blocks above a height, and returns them, the last first.
    pub(super) fn leave_above(&mut self, height: Height) -> Vec<BlockId> {
        let kept = self.told.iter().take_while(|block| block.height <= height).count();
        self.forget_ahead();
        self.told.drain(kept..).rev().collect()
    }

    /// The last block that was announced.
    pub(super) fn tip(&self) -> Option<BlockId> {
        self.told.back().copied()
    }

    /// The next block ahead, up to a height. It counts as announced from now on.
    pub(super) fn connect_next(&mut self, height: Height) -> Option<BlockId> {
        if self.ahead.front()?.height > height {
            return None;
        }
        let block = self.ahead.pop_front()?;
        self.told.push_back(block);
        if self.told.len() > RECENT_BLOCKS_MAX as usize {
            self.told.pop_front();
            self.lowest = self.told.front().map_or(self.lowest, |lowest| lowest.height);
        }
        Some(block)
    }

    /// The announced blocks, the last first.
    pub(super) fn hashes(&self) -> Vec<BlockHash> {
        self.told.iter().rev().map(|block| block.hash).collect()
    }

    /// Drops the blocks ahead; they are requested again.
    pub(super) fn forget_ahead(&mut self) {
        self.ahead.clear();
    }
}

/// The blocks from a height on of the chain that a scan is pinned to, up to its tip, which is thought to be at `expected`.
pub(super) async fn blocks_from(scan: &ScanHandle, first: Height, expected: Height) -> Result<Vec<BlockId>, CallError> {
    let mut blocks: Vec<BlockId> = Vec::new();
    let mut next = first.0;
    loop {
        let count = expected.0.saturating_sub(next).saturating_add(SPARE_HEIGHTS).min(HEIGHTS_MAX);
        let found = ids(scan, next, count).await?;
        let is_all = found.len() < count as usize; // usize has at least 32 bits
        blocks.extend(found);
        if is_all {
            return Ok(blocks);
        }
        next = next.saturating_add(count);
    }
}

/// The blocks of so many heights, up to the first that the chain does not have.
async fn ids(scan: &ScanHandle, first: u32, count: u32) -> Result<Vec<BlockId>, CallError> {
    let heights: Vec<Height> = (0..count).filter_map(|above| first.checked_add(above)).map(Height).collect();
    let found = scan.block_ids(heights.clone()).await?;
    let blocks: Vec<BlockId> = found.into_iter().map_while(|block| block).collect();
    match blocks.iter().zip(heights).find(|(block, height)| block.height != *height) {
        Some((block, height)) => Err(breach(format!("block {} is not at height {height}", block.hash))),
        None => Ok(blocks),
    }
}

fn breach(detail: String) -> CallError {
    CallError::Protocol { detail }
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash;

    use super::*;

    /// A block of a branch. Blocks that branches share are of branch 0.
    fn block(height: u32, branch: u8) -> BlockId {
        let hash = [&height.to_le_bytes()[..], &[branch; 28]].concat();
        let hash = BlockHash::from_slice(&hash).expect("32 bytes");
        BlockId { height: Height(height), hash, time: height }
    }

    fn blocks(heights: std::ops::RangeInclusive<u32>, branch: u8) -> Vec<BlockId> {
        heights.map(|height| block(height, branch)).collect()
    }

    fn told(heights: std::ops::RangeInclusive<u32>) -> RecentBlocks {
        let lowest = Height(*heights.start());
        RecentBlocks { told: blocks(heights, 0).into(), lowest, ahead: VecDeque::new(), unsure: None }
    }

    fn connected(recent: &mut RecentBlocks, height: u32) -> Vec<BlockId> {
        std::iter::from_fn(|| recent.connect_next(Height(height))).collect()
    }

    #[test]
    fn what_is_above_the_tip_is_ahead_and_told_up_to_a_height_at_a_time() {
        let mut recent = told(5..=10);
        assert_eq!(recent.align(Some(Height(10)), blocks(11..=13, 0)), Some(vec![]));
        assert_eq!(connected(&mut recent, 10), []);
        assert_eq!(connected(&mut recent, 12), blocks(11..=12, 0));
        assert_eq!(connected(&mut recent, 99), blocks(13..=13, 0));
    }

    #[test]
    fn blocks_in_common_above_what_is_covered_are_neither_left_nor_told_again() {
        let mut recent = told(5..=10);
        let other = [blocks(7..=8, 0), blocks(9..=11, 1)].concat();
        assert_eq!(recent.align(Some(Height(6)), other), Some(vec![block(10, 0), block(9, 0)]));
        assert_eq!(connected(&mut recent, 99), blocks(9..=11, 1));
    }

    #[test]
    fn a_chain_that_only_lost_blocks_has_none_ahead() {
        let mut recent = told(5..=10);
        assert_eq!(recent.align(Some(Height(8)), vec![]), Some(vec![block(10, 0), block(9, 0)]));
        assert_eq!(connected(&mut recent, 99), []);
    }

    #[test]
    fn all_that_is_remembered_may_be_left_and_no_more() {
        assert_eq!(told(5..=6).align(Some(Height(4)), blocks(5..=9, 1)), Some(vec![block(6, 0), block(5, 0)]));
        let mut recent = told(5..=6);
        assert_eq!(recent.align(Some(Height(3)), blocks(4..=9, 1)), None);
        assert_eq!(recent.align(Some(Height(3)), blocks(4..=7, 0)), Some(vec![]), "it was as before");
    }

    #[test]
    fn where_nothing_is_covered_a_block_in_common_shows_where_the_chains_part() {
        let mut recent = told(5..=10);
        assert_eq!(recent.leave_above(Height(8)), [block(10, 0), block(9, 0)]);
        assert_eq!((recent.begin_to_align(None), recent.tip()), (Height(5), Some(block(8, 0))));
        let other = [blocks(5..=6, 0), blocks(7..=9, 1)].concat();
        assert_eq!(recent.align(None, other), Some(vec![block(8, 0), block(7, 0)]));
        assert_eq!(connected(&mut recent, 99), blocks(7..=9, 1));
        assert_eq!(recent.align(None, blocks(5..=12, 2)), None, "nothing says what was left below");
    }

    #[test]
    fn a_fall_in_steps_is_named_as_far_as_is_remembered_and_no_further() {
        let mut recent = told(5..=6);
        assert_eq!(recent.align(Some(Height(4)), vec![]), Some(vec![block(6, 0), block(5, 0)]));
        assert_eq!(recent.align(Some(Height(3)), vec![]), None, "block 4 was told too");
        assert_eq!(recent.align(Some(Height(4)), blocks(5..=6, 1)), Some(vec![]));
        assert_eq!(connected(&mut recent, 99), blocks(5..=6, 1));
    }

    #[test]
    fn what_could_not_be_taken_in_is_part_of_what_comes_next_however_far_is_covered_by_then() {
        let mut recent = told(5..=10);
        assert_eq!(recent.begin_to_align(Some(Height(8))), Height(9));
        // Nobody says which blocks those are, and a mark covers two more.
        assert_eq!(recent.begin_to_align(Some(Height(11))), Height(9));
        assert_eq!(recent.align(Some(Height(11)), blocks(9..=12, 1)), Some(vec![block(10, 0), block(9, 0)]));
        assert_eq!(connected(&mut recent, 99), blocks(9..=12, 1));
        assert_eq!(recent.begin_to_align(Some(Height(12))), Height(13));
    }

    #[test]
    fn no_more_is_remembered_than_can_be_taken_back() {
        let mut recent = told(0..=0);
        recent.align(Some(Height(0)), blocks(1..=1_000, 0)).expect("nothing is left");
        connected(&mut recent, 1_000);
        assert_eq!(recent.told.len(), 288);
    }
}
