//! How a range is cut into segments: small at first, so that the first match leaves soon, then ever larger up to where
//! handing out work costs nothing against doing it.

use rescan_core::chain_snapshot::ChainSnapshot;
use rescan_core::position::{Height, HeightRange};

/// Sizes of segments.
#[derive(Clone, Copy, Debug)]
pub struct SegmentSize {
    /// Block data of the first segment, in bytes; each later one has twice that of the one before.
    pub first_bytes: u64,
    /// Block data of the largest segment, in bytes. A segment has at least one block, however large.
    pub bytes_max: u64,
    /// Blocks of the largest segment: early blocks are so small that counting bytes alone would make long lists.
    pub blocks_max: u32,
}

impl Default for SegmentSize {
    /// Half a millisecond of walking for a segment: a hundred times what handing it out costs.
    fn default() -> Self {
        Self { first_bytes: 128 << 10, bytes_max: 4 << 20, blocks_max: 1_024 }
    }
}

/// The segments of a range, in chain order.
#[derive(Debug)]
pub(super) struct Segments {
    range: HeightRange,
    /// The next height; none behind the end.
    next: Option<Height>,
    bytes: u64,
    size: SegmentSize,
}

impl Segments {
    pub(super) fn new(range: HeightRange, size: SegmentSize) -> Self {
        Self { range, next: Some(range.first()), bytes: size.first_bytes.min(size.bytes_max), size }
    }

    pub(super) fn range(&self) -> HeightRange {
        self.range
    }

    pub(super) fn next(&mut self, chain: &ChainSnapshot) -> Option<HeightRange> {
        let first = self.next?;
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

fn block_bytes(chain: &ChainSnapshot, height: Height) -> u64 {
    chain.block(height).map_or(0, |block| u64::from(block.span.size))
}
