//! Whole blocks of a range, in chain order, in the clear: for wallets that match on their own side.

use std::sync::Arc;

use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{Failure, FullBlock, Outcome};

use super::ordered::{Ordered, Worked};
use super::pinned::{Pinned, SegmentBlocks, SegmentFault};
use super::pool::WorkerPool;
use super::progress::ScanProgress;
use super::segments::{SegmentSize, Segments};
use crate::cancel::Cancel;
use crate::chain::Chain;

/// Block data that is read in one go. Small, since it is held in memory until the client has taken it.
const READ_SIZE: SegmentSize = SegmentSize { first_bytes: 1 << 20, bytes_max: 1 << 20, blocks_max: 1_024 };

/// Reads under way at once: with the one that the client takes from, 4 MiB and four blocks for a shipment, whatever the
/// number of workers. One RPC thread ships no faster than a few workers read.
const READS_UNDER_WAY_MAX: usize = 3;

/// Reads blocks in order while a client takes them.
#[derive(Debug)]
pub struct BlockReader {
    ordered: Ordered<Vec<FullBlock>>,
}

impl BlockReader {
    /// Begins with the blocks of `range` in `snapshot`, every one of which is on disk.
    #[must_use]
    pub fn start(
        pool: &WorkerPool,
        chain: Arc<Chain>,
        snapshot: Arc<ActiveChain>,
        range: HeightRange,
        cancel: Cancel,
    ) -> Self {
        let pinned = Pinned::new(chain, snapshot, cancel);
        let reading = pinned.clone();
        let work = move |heights| read_segment(&reading, heights);
        let segments = Segments::new(range, READ_SIZE);
        Self { ordered: Ordered::new(pool, pinned, segments, READS_UNDER_WAY_MAX, work) }
    }

    /// The next blocks in chain order, at least one; none when the reading has come to its outcome.
    ///
    /// # Errors
    /// [`Failure`] where a block is at fault in every copy, or a worker panicked.
    pub async fn next(&mut self) -> Result<Option<Vec<FullBlock>>, Failure> {
        let Some((heights, blocks)) = self.ordered.next().await? else { return Ok(None) };
        self.ordered.settle(heights);
        Ok(Some(blocks))
    }

    /// How far the reading is.
    #[must_use]
    pub fn progress(&self) -> Arc<ScanProgress> {
        Arc::clone(self.ordered.progress())
    }

    /// How it ended; none while it goes on.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.ordered.outcome()
    }

    /// The last height that was given out.
    #[must_use]
    pub fn settled(&self) -> Option<Height> {
        self.ordered.settled()
    }
}

fn read_segment(pinned: &Pinned, heights: HeightRange) -> Result<Worked<Vec<FullBlock>>, SegmentFault> {
    let blocks = SegmentBlocks::open(pinned, heights);
    let read: Result<Vec<FullBlock>, SegmentFault> = heights
        .iter()
        .map(|height| {
            let (block, data) = blocks.examine(height, |raw| {
                let mut data = Vec::with_capacity(raw.bytes().len());
                raw.copy_clear(&mut data);
                Ok(data)
            })?;
            Ok(FullBlock { height, hash: block.hash, data })
        })
        .collect();
    Ok(Worked { value: read?, last: heights.last() })
}
