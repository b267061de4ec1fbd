//! Whole blocks of a range, in chain order and in the clear, for wallets that match on their own
//! side.

use std::sync::Arc;

use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{Failure, FullBlock, Outcome};

use super::found_coins::CoinTotals;
use super::ordered::{Done, Ordered};
use super::pinned_chain::{PinnedChain, SegmentBlocks, SegmentFault};
use super::plan::ScanTotals;
use super::pool::WorkerPool;
use super::progress::ScanProgress;
use super::segments::{SegmentSize, Segments};
use crate::cancel::Cancel;
use crate::chain::Chain;

/// Block data of one read. Small, since it stays in memory until the client has taken it.
const READ_SIZE: SegmentSize = SegmentSize { first_bytes: 1 << 20, bytes_max: 1 << 20, blocks_max: 1_024 };

/// Reads in flight: with the one that the client takes from, 4 MiB and four blocks for each client,
/// for any number of workers. One RPC thread ships no faster than a few workers read.
const READS_IN_FLIGHT_MAX: usize = 3;

/// Reads blocks in order while a client takes them.
#[derive(Debug)]
pub struct BlockReader {
    ordered: Ordered<Vec<FullBlock>>,
}

impl BlockReader {
    /// Starts to read the blocks of `range` in `snapshot`, all of which are on disk.
    #[must_use]
    pub fn start(
        pool: &WorkerPool,
        chain: Arc<Chain>,
        snapshot: Arc<ActiveChain>,
        range: HeightRange,
        cancel: Cancel,
    ) -> Self {
        let pinned = PinnedChain::new(chain, snapshot, cancel);
        let reading = pinned.clone();
        let work = move |heights| read_segment(&reading, heights);
        let segments = Segments::new(range, READ_SIZE);
        Self { ordered: Ordered::new(pool, pinned, segments, READS_IN_FLIGHT_MAX, work) }
    }

    /// The next blocks in chain order, at least one; `None` once the reader has an outcome.
    ///
    /// # Errors
    /// [`Failure`] if every copy of a block is bad, or a worker panicked.
    pub async fn next(&mut self) -> Result<Option<Vec<FullBlock>>, Failure> {
        let Some((heights, blocks)) = self.ordered.next().await? else { return Ok(None) };
        self.ordered.settle(heights);
        Ok(Some(blocks))
    }

    /// The counters of settled blocks, for readers on any thread.
    #[must_use]
    pub fn progress(&self) -> Arc<ScanProgress> {
        Arc::clone(self.ordered.progress())
    }

    /// The outcome; `None` while the reader runs.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.ordered.outcome()
    }

    /// The last settled height.
    #[must_use]
    pub fn settled(&self) -> Option<Height> {
        self.ordered.settled()
    }

    /// The totals so far; nothing is matched.
    #[must_use]
    pub fn totals(&self) -> ScanTotals {
        ScanTotals {
            transactions: 0,
            coins: CoinTotals::default(),
            keychains: Vec::new(),
            watched_through: Vec::new(),
            blocks_scanned: self.ordered.progress().blocks_done(),
            bytes_scanned: self.ordered.progress().bytes_done(),
            passes: 1,
        }
    }
}

fn read_segment(pinned: &PinnedChain, heights: HeightRange) -> Result<Done<Vec<FullBlock>>, SegmentFault> {
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
    Ok(Done { value: read?, last: heights.last() })
}
