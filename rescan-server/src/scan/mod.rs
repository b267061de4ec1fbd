//! A scan: one watch set against a range of one pinned chain, walked in parallel, settled in chain order.
//!
//! Workers walk segments ahead of their turn (`segment`); order is restored in one place (`ordered`); when a
//! segment's turn has come, spends of coins that were found meanwhile are looked for in it, its coins are committed, and
//! its reports are final. So the answer is the same for any number of workers and any size of segments.

mod block_reader;
mod found_coins;
mod ordered;
mod pinned;
mod pool;
mod progress;
mod segment;
mod segments;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rescan_core::chain_snapshot::ChainSnapshot;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{BlockReport, Failure, KeychainUse, Origin, Outcome};
use rescan_core::request::Verify;
use rescan_core::watch::WatchSet;

pub use self::block_reader::BlockReader;
pub use self::found_coins::CoinTotals;
pub use self::pool::{Job, PoolError, WorkerPanicked, WorkerPool};
pub use self::progress::ScanProgress;
pub use self::segments::SegmentSize;

use self::found_coins::FoundCoins;
use self::ordered::{Ordered, segments_under_way_max};
use self::pinned::Pinned;
use self::segment::{WalkedSegment, rematch_segment, walk_segment};
use self::segments::Segments;
use crate::cancel::Cancel;
use crate::chain::Chain;

/// Settled segments without a new coin after which workers no longer log what blocks spend: a quiet wallet does not pay
/// for it, a busy one hardly ever walks a block twice.
const QUIET_SEGMENTS: u32 = 16;

/// Memory that the reports of one scan may take on their way to order, in bytes. What a single block yields is added to
/// it for each segment under way.
const REPORTS_BYTES_MAX: usize = 2 << 20;

/// What to scan.
#[derive(Clone, Debug)]
pub struct ScanPlan {
    /// The chain that the scan is pinned to.
    pub snapshot: Arc<ChainSnapshot>,
    /// The heights, every one of which is on disk.
    pub range: HeightRange,
    /// What to look for.
    pub watch: Arc<WatchSet>,
    /// How many keychains the watch set has.
    pub keychain_count: u32,
    /// Which blocks are proven.
    pub verify: Verify,
    /// How the range is cut. No size changes the answer.
    pub segment_size: SegmentSize,
}

/// What workers share.
#[derive(Debug)]
struct ScanShared {
    pinned: Pinned,
    watch: Arc<WatchSet>,
    verify: Verify,
    coins: FoundCoins,
    logs_spends: AtomicBool,
}

impl ScanShared {
    fn logs_spends(&self) -> bool {
        self.logs_spends.load(Ordering::Relaxed) // a hint: either answer is right
    }
}

/// What a scan comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanTotals {
    /// Transactions reported.
    pub transactions: u64,
    /// Coins found and not seen spent.
    pub coins: CoinTotals,
    /// One a keychain, in their order.
    pub keychains: Vec<KeychainUse>,
    /// Heights settled.
    pub blocks_scanned: u64,
    /// Block data settled, in bytes.
    pub bytes_scanned: u64,
}

/// A scan under way. Dropping it lets segments under way finish their block and no more begin.
#[derive(Debug)]
pub struct Scan {
    shared: Arc<ScanShared>,
    ordered: Ordered<WalkedSegment>,
    transactions: u64,
    keychains: Vec<KeychainUse>,
    quiet_segments: u32,
}

impl Scan {
    /// Begins a scan. `cancel` is what its workers read once a block; whoever drops the scan sets it.
    #[must_use]
    pub fn start(pool: &WorkerPool, chain: Arc<Chain>, plan: ScanPlan, cancel: Cancel) -> Self {
        let pinned = Pinned { chain, snapshot: plan.snapshot, cancel };
        let under_way_max = segments_under_way_max(pool);
        let shared = Arc::new(ScanShared {
            pinned: pinned.clone(),
            coins: FoundCoins::new(&plan.watch),
            watch: plan.watch,
            verify: plan.verify,
            logs_spends: AtomicBool::new(false),
        });
        let walking = Arc::clone(&shared);
        let reports_bytes_max = REPORTS_BYTES_MAX / under_way_max;
        let segments = Segments::new(plan.range, plan.segment_size);
        Self {
            ordered: Ordered::new(pool, pinned, segments, under_way_max, move |heights| {
                walk_segment(&walking, heights, reports_bytes_max)
            }),
            shared,
            transactions: 0,
            keychains: vec![KeychainUse::Unused; plan.keychain_count as usize], // 32 bits fit
            quiet_segments: 0,
        }
    }

    /// The reports of the next settled segment, by ascending height, none for most; nothing when the scan has come to its
    /// outcome.
    ///
    /// # Errors
    /// [`Failure`] where a block is at fault in every copy, or a worker panicked. What was reported before is true.
    pub async fn next(&mut self) -> Result<Option<Vec<BlockReport>>, Failure> {
        let Some((heights, walked)) = self.ordered.next().await? else { return Ok(None) };
        let Some(walked) = self.with_fresh_coins(heights, walked).await? else { return Ok(None) };
        let known_to_all = self.ordered.settled_before_all();
        let made = self.shared.coins.commit(&walked.reports, &walked.found, &self.shared.watch, known_to_all);
        self.quiet_segments = if made == 0 { self.quiet_segments.saturating_add(1) } else { 0 };
        self.shared.logs_spends.store(made > 0 || self.logs_on(), Ordering::Relaxed);
        self.count(&walked.reports);
        self.ordered.settle(heights);
        assert!(
            walked.reports.is_sorted_by(|one, next| one.height < next.height),
            "reports must leave in height order, each height once"
        );
        Ok(Some(walked.reports))
    }

    /// How far the scan is.
    #[must_use]
    pub fn progress(&self) -> Arc<ScanProgress> {
        Arc::clone(self.ordered.progress())
    }

    /// How it ended; none while it goes on.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.ordered.outcome()
    }

    /// The last height that was settled.
    #[must_use]
    pub fn settled(&self) -> Option<Height> {
        self.ordered.settled()
    }

    /// What it comes to so far.
    #[must_use]
    pub fn totals(&self) -> ScanTotals {
        ScanTotals {
            transactions: self.transactions,
            coins: self.shared.coins.totals(),
            keychains: self.keychains.clone(),
            blocks_scanned: self.ordered.progress().blocks_done(),
            bytes_scanned: self.ordered.progress().bytes_done(),
        }
    }

    /// Whether spends go on being logged.
    fn logs_on(&self) -> bool {
        self.shared.logs_spends() && self.quiet_segments < QUIET_SEGMENTS
    }

    /// The segment with the spends of coins that earlier segments found while it was walked; none where a fault that was
    /// met on the way ended the scan.
    async fn with_fresh_coins(
        &mut self,
        heights: HeightRange,
        mut walked: WalkedSegment,
    ) -> Result<Option<WalkedSegment>, Failure> {
        let mut tries = 0;
        loop {
            let fresh = self.shared.coins.since(walked.known);
            if fresh.is_empty() {
                return Ok(Some(walked));
            }
            let shared = Arc::clone(&self.shared);
            let fault = match self.ordered.run(move || rematch_segment(&shared, heights, walked, &fresh)).await? {
                Ok(walked) => return Ok(Some(walked)),
                Err(fault) => fault,
            };
            if !self.ordered.is_worth_another_try(fault, tries).await? {
                return Ok(None);
            }
            tries += 1;
            // From the beginning: every earlier coin is known by now, so that nothing is fresh after this walk.
            let shared = Arc::clone(&self.shared);
            walked = match self.ordered.run(move || walk_segment(&shared, heights, usize::MAX)).await? {
                Ok(again) => again.value,
                Err(fault) => {
                    self.ordered.fail(fault).await?;
                    return Ok(None);
                }
            };
        }
    }

    fn count(&mut self, reports: &[BlockReport]) {
        for transaction in reports.iter().flat_map(|report| &report.transactions) {
            self.transactions = self.transactions.saturating_add(1);
            for origin in transaction.received.iter().flat_map(|received| &received.origins) {
                let Origin::Keychain { keychain, index } = *origin else { continue };
                // A number that is not a keychain's cannot come out of the watch set it went into.
                let Some(used) = self.keychains.get_mut(keychain as usize) else { continue };
                *used = match (*used, index) {
                    (KeychainUse::LastUsed(last), Some(index)) => KeychainUse::LastUsed(last.max(index)),
                    (_, Some(index)) => KeychainUse::LastUsed(index),
                    (_, None) => KeychainUse::UsedSingle,
                };
            }
        }
    }
}
