//! The division of a range into segments: small at first, for an early first report, then larger up
//! to a size at which the cost of handing out work is negligible.

use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::position::{Height, HeightRange};

/// Sizes of segments.
#[derive(Clone, Copy, Debug)]
pub struct SegmentSize {
    /// Block data of the first segment, in bytes; each later one has twice that of the one before.
    pub first_bytes: u64,
    /// Block data of the largest segment, in bytes. A segment has at least one block, however
    /// large.
    pub bytes_max: u64,
    /// Blocks of the largest segment: early blocks are so small that a limit of bytes alone would
    /// make long lists.
    pub blocks_max: u32,
}

impl Default for SegmentSize {
    /// Half a millisecond of walking for a segment: a hundred times the cost of handing it out.
    fn default() -> Self {
        Self { first_bytes: 128 << 10, bytes_max: 4 << 20, blocks_max: 1_024 }
    }
}

/// The segments of a range, in chain order.
#[derive(Debug)]
pub(super) struct Segments {
    range: HeightRange,
    /// The next height; `None` at the end.
    next: Option<Height>,
    bytes: u64,
    size: SegmentSize,
    /// The selected heights, ascending, unless all are: each is a segment.
    only: Option<Vec<Height>>,
}

impl Segments {
    pub(super) fn new(range: HeightRange, size: SegmentSize) -> Self {
        Self { range, next: Some(range.first()), bytes: size.first_bytes.min(size.bytes_max), size, only: None }
    }

    /// A segment for each of `heights`; `None` if there are none.
    pub(super) fn of_blocks(mut heights: Vec<Height>) -> Option<Self> {
        heights.sort_unstable();
        heights.dedup();
        let (first, last) = (*heights.first()?, *heights.last()?);
        let size = SegmentSize { first_bytes: 1, bytes_max: 1, blocks_max: 1 };
        Some(Self { only: Some(heights), ..Self::new(HeightRange::new(first, last)?, size) })
    }

    /// The segments of `range` above `scanned_through`, possibly none.
    pub(super) fn after(scanned_through: Option<Height>, range: HeightRange, size: SegmentSize) -> Self {
        let first = scanned_through.map_or(Some(range.first()), Height::next);
        if let Some(rest) = first.and_then(|first| HeightRange::new(first.max(range.first()), range.last())) {
            return Self::new(rest, size);
        }
        let end = HeightRange::new(range.last(), range.last()).unwrap_or(range);
        Self { next: None, ..Self::new(end, size) }
    }

    /// Whether all heights of the range are selected.
    pub(super) fn is_dense(&self) -> bool {
        self.only.is_none()
    }

    pub(super) fn has_next(&self) -> bool {
        self.next.is_some()
    }

    /// Continues from that height.
    pub(super) fn go_to(&mut self, height: Option<Height>) {
        self.next = height.filter(|height| *height <= self.range.last());
    }

    pub(super) fn range(&self) -> HeightRange {
        self.range
    }

    pub(super) fn next(&mut self, chain: &ActiveChain) -> Option<HeightRange> {
        let first = self.next?;
        if let Some(only) = &self.only {
            let at = only.partition_point(|height| *height <= first);
            self.next = only.get(at).copied();
            return HeightRange::new(first, first);
        }
        let mut last = first;
        let mut bytes = block_bytes(chain, first);
        let mut blocks = 1;
        while let Some(height) = last.next().filter(|height| *height <= self.range.last())
            && blocks < self.size.blocks_max
            && bytes.saturating_add(block_bytes(chain, height)) <= self.bytes
        {
            bytes = bytes.saturating_add(block_bytes(chain, height));
            last = height;
            blocks += 1;
        }
        self.bytes = self.bytes.saturating_mul(2).min(self.size.bytes_max);
        self.next = last.next().filter(|height| *height <= self.range.last());
        HeightRange::new(first, last)
    }
}

fn block_bytes(chain: &ActiveChain, height: Height) -> u64 {
    chain.block(height).map_or(0, |block| u64::from(block.span.size))
}
