//! One pass over a range or single blocks of it: for one watch set, in chain order, against coins
//! shared by all passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rescan_core::position::HeightRange;
use rescan_core::report::{BlockReport, Failure};
use rescan_core::request::{Extras, Verify};
use rescan_core::watching::watch_set::WatchSet;

use super::found_coins::FoundCoins;
use super::ordered::{Done, Ordered};
use super::pinned_chain::PinnedChain;
use super::pool::WorkerPool;
use super::segment::{WalkedSegment, rematch_segment, walk_segment};
use super::segments::Segments;

/// Settled segments without a new coin after which workers stop logging spends: a quiet wallet does
/// not pay for the log, a busy one hardly ever walks a block twice.
const QUIET_SEGMENTS: u32 = 16;

/// Memory of a scan's unordered reports, in bytes. The reports of a single block come on top for
/// each segment in flight, and a segment that is matched again may take its part once more.
const REPORTS_BYTES_MAX: usize = 2 << 20;

/// The configuration that all passes of a scan share.
#[derive(Clone, Debug)]
pub(super) struct PassConfig {
    pub(super) pinned: PinnedChain,
    pub(super) verify: Verify,
    pub(super) extras: Extras,
}

/// The state that the workers of a pass share.
#[derive(Debug)]
pub(super) struct PassShared {
    pub(super) config: PassConfig,
    pub(super) watch: Arc<WatchSet>,
    pub(super) coins: Arc<FoundCoins>,
    logs_spends: AtomicBool,
}

impl PassShared {
    fn new(config: PassConfig, watch: Arc<WatchSet>, coins: Arc<FoundCoins>) -> Arc<Self> {
        Arc::new(Self { config, watch, coins, logs_spends: AtomicBool::new(false) })
    }

    pub(super) fn logs_spends(&self) -> bool {
        self.logs_spends.load(Ordering::Relaxed) // a hint: either answer is right
    }
}

/// A running pass.
#[derive(Debug)]
pub(super) struct Pass {
    shared: Arc<PassShared>,
    pub(super) ordered: Ordered<WalkedSegment>,
    reports_bytes_max: usize,
    quiet_segments: u32,
    /// The number of segments that other passes had committed to the coins.
    foreign_commits: u64,
}

impl Pass {
    pub(super) fn new(
        pool: &WorkerPool,
        config: PassConfig,
        watch: Arc<WatchSet>,
        coins: Arc<FoundCoins>,
        segments: Segments,
    ) -> Self {
        let in_flight_max = pool.jobs_in_flight_max();
        let reports_bytes_max = REPORTS_BYTES_MAX / in_flight_max;
        let foreign_commits = coins.committed();
        let shared = PassShared::new(config.clone(), watch, coins);
        let walking = Arc::clone(&shared);
        let work = move |heights| walk_segment(&walking, heights, reports_bytes_max);
        let ordered = Ordered::new(pool, config.pinned, segments, in_flight_max, work);
        Self { shared, ordered, reports_bytes_max, quiet_segments: 0, foreign_commits }
    }

    /// Resumes behind the last settled segment with `watch`, after other passes have scanned the
    /// settled part.
    pub(super) fn resume_with(&mut self, watch: Arc<WatchSet>) {
        let before = &self.shared;
        self.foreign_commits = before.coins.committed().saturating_sub(self.ordered.settled_count());
        self.shared = PassShared::new(before.config.clone(), watch, Arc::clone(&before.coins));
        let (walking, reports_bytes_max) = (Arc::clone(&self.shared), self.reports_bytes_max);
        self.ordered.resume_with(move |heights| walk_segment(&walking, heights, reports_bytes_max));
    }

    pub(super) fn watch(&self) -> &Arc<WatchSet> {
        &self.shared.watch
    }

    /// Settles the next segment: commits its coins and returns its reports; `None` once the pass
    /// has an outcome.
    ///
    /// # Errors
    /// [`Failure`] if every copy of a block is bad, or a worker panicked. Earlier reports remain
    /// true.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<BlockReport>>, Failure> {
        let Some((heights, walked)) = self.ordered.next().await? else { return Ok(None) };
        let Some((heights, walked)) = self.with_fresh_coins(heights, walked).await? else { return Ok(None) };
        let known_to_all = self.ordered.settled_before_all().saturating_add(self.foreign_commits);
        let made = self.shared.coins.commit(&walked.reports, &walked.found, known_to_all);
        self.quiet_segments = if made == 0 { self.quiet_segments.saturating_add(1) } else { 0 };
        self.shared.logs_spends.store(made > 0 || self.keeps_logging(), Ordering::Relaxed);
        self.ordered.settle(heights);
        assert!(
            walked.reports.is_sorted_by(|one, next| one.height < next.height),
            "reports must leave in height order, each height once"
        );
        Ok(Some(walked.reports))
    }

    /// Whether to keep logging spends.
    fn keeps_logging(&self) -> bool {
        self.shared.logs_spends() && self.quiet_segments < QUIET_SEGMENTS
    }

    /// The segment, or its first blocks, with spends of coins that earlier segments found while it
    /// was walked; `None` if a fault ended the scan.
    async fn with_fresh_coins(
        &mut self,
        mut heights: HeightRange,
        mut walked: WalkedSegment,
    ) -> Result<Option<(HeightRange, WalkedSegment)>, Failure> {
        let mut tries = 0;
        loop {
            let fresh = self.shared.coins.since(walked.known);
            if fresh.is_empty() {
                return Ok(Some((heights, walked)));
            }
            let (shared, max) = (Arc::clone(&self.shared), self.reports_bytes_max);
            let fault = match self.ordered.run(move || rematch_segment(&shared, heights, walked, &fresh, max)).await? {
                Ok(Done { value, last }) => return Ok(Some((self.ordered.take_up_rest(heights, last), value))),
                Err(fault) => fault,
            };
            if !self.ordered.is_worth_a_retry(fault, tries).await? {
                return Ok(None);
            }
            tries += 1;
            // Walk it anew: every earlier coin is known by now, so that none is fresh after this
            // walk.
            let shared = Arc::clone(&self.shared);
            walked = match self.ordered.run(move || walk_segment(&shared, heights, max)).await? {
                Ok(again) => {
                    heights = self.ordered.take_up_rest(heights, again.last);
                    again.value
                }
                Err(fault) => {
                    self.ordered.fail(fault).await?;
                    return Ok(None);
                }
            };
        }
    }
}
