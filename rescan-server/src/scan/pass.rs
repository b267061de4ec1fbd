//! One pass over a range or over single blocks of it: for one watch set, in chain order, against coins that are shared.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rescan_core::position::HeightRange;
use rescan_core::report::{BlockReport, Failure};
use rescan_core::request::{Extras, Verify};
use rescan_core::watching::watch_set::WatchSet;

use super::found_coins::FoundCoins;
use super::ordered::{Ordered, Worked, segments_under_way_max};
use super::pinned::Pinned;
use super::pool::WorkerPool;
use super::segment::{WalkedSegment, rematch_segment, walk_segment};
use super::segments::Segments;

/// Settled segments without a new coin after which workers no longer log what blocks spend: a quiet wallet does not pay
/// for it, a busy one hardly ever walks a block twice.
const QUIET_SEGMENTS: u32 = 16;

/// Memory that the reports of one scan may take on their way to order, in bytes. What a single block yields is added to
/// it for each segment under way, and the one that is matched again may take its part once more.
const REPORTS_BYTES_MAX: usize = 2 << 20;

/// What all passes of a scan have in common.
#[derive(Clone, Debug)]
pub(super) struct PassConfig {
    pub(super) pinned: Pinned,
    pub(super) verify: Verify,
    pub(super) extras: Extras,
}

/// What workers share.
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

/// A pass under way.
#[derive(Debug)]
pub(super) struct Pass {
    shared: Arc<PassShared>,
    pub(super) ordered: Ordered<WalkedSegment>,
    reports_bytes_max: usize,
    quiet_segments: u32,
    /// How many segments had been committed to the coins that were none of this pass's.
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
        let under_way_max = segments_under_way_max(pool);
        let reports_bytes_max = REPORTS_BYTES_MAX / under_way_max;
        let foreign_commits = coins.committed();
        let shared = PassShared::new(config.clone(), watch, coins);
        let walking = Arc::clone(&shared);
        let work = move |heights| walk_segment(&walking, heights, reports_bytes_max);
        let ordered = Ordered::new(pool, config.pinned, segments, under_way_max, work);
        Self { shared, ordered, reports_bytes_max, quiet_segments: 0, foreign_commits }
    }

    /// Looks for `watch` in everything that is not settled, after other passes have been over what is.
    pub(super) fn go_on_with(&mut self, watch: Arc<WatchSet>) {
        let before = &self.shared;
        self.foreign_commits = before.coins.committed().saturating_sub(self.ordered.settled_count());
        self.shared = PassShared::new(before.config.clone(), watch, Arc::clone(&before.coins));
        let (walking, reports_bytes_max) = (Arc::clone(&self.shared), self.reports_bytes_max);
        self.ordered.go_on_with(move |heights| walk_segment(&walking, heights, reports_bytes_max));
    }

    pub(super) fn watch(&self) -> &Arc<WatchSet> {
        &self.shared.watch
    }

    /// The reports of the next segment, its coins committed; nothing when the pass has come to an outcome.
    ///
    /// # Errors
    /// [`Failure`] where a block is at fault in every copy, or a worker panicked. What was reported before is true.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<BlockReport>>, Failure> {
        let Some((heights, walked)) = self.ordered.next().await? else { return Ok(None) };
        let Some((heights, walked)) = self.with_fresh_coins(heights, walked).await? else { return Ok(None) };
        let known_to_all = self.ordered.settled_before_all().saturating_add(self.foreign_commits);
        let made = self.shared.coins.commit(&walked.reports, &walked.found, known_to_all);
        self.quiet_segments = if made == 0 { self.quiet_segments.saturating_add(1) } else { 0 };
        self.shared.logs_spends.store(made > 0 || self.logs_on(), Ordering::Relaxed);
        self.ordered.settle(heights);
        assert!(
            walked.reports.is_sorted_by(|one, next| one.height < next.height),
            "reports must leave in height order, each height once"
        );
        Ok(Some(walked.reports))
    }

    /// Whether spends go on being logged.
    fn logs_on(&self) -> bool {
        self.shared.logs_spends() && self.quiet_segments < QUIET_SEGMENTS
    }

    /// The segment, or its first blocks, with the spends of coins that earlier segments found while it was walked; none where
    /// a fault that was met on the way ended the scan.
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
                Ok(Worked { value, last }) => return Ok(Some((self.ordered.take_up_rest(heights, last), value))),
                Err(fault) => fault,
            };
            if !self.ordered.is_worth_another_try(fault, tries).await? {
                return Ok(None);
            }
            tries += 1;
            // From the beginning: every earlier coin is known by now, so that nothing is fresh after this walk.
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
