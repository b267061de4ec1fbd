//! Order restored: workers finish segments in any order, and this gives them back in the order of the chain.
//!
//! Jobs go to the pool by credit: no more segments are under way than the credit allows, and a new one starts only when
//! the one in front has been taken. Whoever takes slowly slows the work and holds no worker. Here, too, it is decided
//! how work on a pinned chain ends: complete, cancelled, pruned, reorganised, or failed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use rescan_core::causes::with_causes;
use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{Failure, FailureKind, Outcome};

use super::pinned::{Pinned, SegmentFault, missing};
use super::pool::{Job, WorkerPanicked, WorkerPool};
use super::progress::ScanProgress;
use super::segments::Segments;
use crate::chain::ChainError;

/// Segments under way for each worker: one that it works on, one that waits for it, so that it never does.
const SEGMENTS_PER_WORKER: usize = 2;

/// How often a segment is tried again after the chain was found to have changed beneath it.
pub(crate) const RETRIES_MAX: u32 = 2;

/// What a worker does with a segment.
type Work<T> = Arc<dyn Fn(HeightRange) -> Result<Worked<T>, SegmentFault> + Send + Sync>;

/// What a worker made of a segment, or of its first blocks: it may stop early to bound what it holds.
#[derive(Debug)]
pub(super) struct Worked<T> {
    pub(super) value: T,
    /// The last height that it worked on.
    pub(super) last: Height,
}

/// A segment that was handed to the pool.
struct UnderWay<T> {
    heights: HeightRange,
    /// How many segments were settled then.
    settled_before: u64,
    job: Job<Result<Worked<T>, SegmentFault>>,
}

/// Work on consecutive segments of a pinned chain.
pub(super) struct Ordered<T> {
    pool: WorkerPool,
    pinned: Pinned,
    range: HeightRange,
    /// The lowest height that is worked on; none where there is no segment.
    first: Option<Height>,
    work: Work<T>,
    segments: Segments,
    under_way_max: usize,
    under_way: VecDeque<UnderWay<T>>,
    /// The newest snapshot that the pin was compared with.
    compared: Arc<ActiveChain>,
    /// The last height that was settled, and how many segments were.
    settled: Option<Height>,
    settled_count: u64,
    outcome: Option<Outcome>,
    progress: Arc<ScanProgress>,
}

impl<T> fmt::Debug for Ordered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ordered").field("range", &self.range).field("settled", &self.settled).finish_non_exhaustive()
    }
}

/// How many segments a pool of that size has under way for one scan.
pub(super) fn segments_under_way_max(pool: &WorkerPool) -> usize {
    pool.workers().saturating_mul(SEGMENTS_PER_WORKER).saturating_add(1)
}

impl<T: Send + 'static> Ordered<T> {
    /// Work on the segments of a range of the pinned chain, every height of which is on disk, on no more than
    /// `under_way_max` of them at once.
    pub(super) fn new(
        pool: &WorkerPool,
        pinned: Pinned,
        segments: Segments,
        under_way_max: usize,
        work: impl Fn(HeightRange) -> Result<Worked<T>, SegmentFault> + Send + Sync + 'static,
    ) -> Self {
        let range = segments.range();
        let first = segments.has_next().then(|| range.first());
        let progress = Arc::new(ScanProgress::new(if first.is_some() { range.count() } else { 0 }));
        if first.is_some() {
            let (adding, snapshot) = (Arc::clone(&progress), Arc::clone(&pinned.snapshot));
            // A million heights take milliseconds, which are not the caller's thread's; nobody waits for the sum.
            drop(pool.run(move || adding.set_bytes_total(snapshot.data_bytes(range))));
        }
        Self {
            under_way_max,
            pool: pool.clone(),
            compared: Arc::clone(&pinned.snapshot),
            pinned,
            range,
            first,
            work: Arc::new(work),
            segments,
            under_way: VecDeque::new(),
            settled: None,
            settled_count: 0,
            outcome: None,
            progress,
        }
    }

    /// The next segment in chain order with what its worker made of it; none when the work has come to its outcome.
    ///
    /// # Errors
    /// [`Failure`] where a block is at fault in every copy, or a worker panicked. The work is over then.
    pub(super) async fn next(&mut self) -> Result<Option<(HeightRange, T)>, Failure> {
        if self.outcome.is_some() {
            return Ok(None);
        }
        self.start_segments();
        let Some(UnderWay { heights, job, .. }) = self.under_way.pop_front() else {
            self.outcome = Some(self.final_outcome().await?);
            return Ok(None);
        };
        let mut done = job.await.map_err(|error| panicked(&error))?;
        let mut retries = 0;
        loop {
            if self.pinned.cancel.is_cancelled() {
                done = Err(SegmentFault::Cancelled);
            }
            match done {
                Ok(worked) => match self.reorganised() {
                    None => return Ok(Some((self.take_up_rest(heights, worked.last), worked.value))),
                    reorganised => self.outcome = reorganised,
                },
                Err(fault) => self.outcome = self.outcome_of(fault, retries).await?,
            }
            if self.outcome.is_some() {
                self.under_way.clear();
                return Ok(None);
            }
            retries += 1;
            let work = Arc::clone(&self.work);
            done = self.pool.run(move || work(heights)).await.map_err(|error| panicked(&error))?;
        }
    }

    /// Takes note that a segment is settled. Segments leave in chain order without a gap.
    pub(super) fn settle(&mut self, heights: HeightRange) {
        let expected = self.settled.map_or(Some(self.range.first()), Height::next);
        let in_order = if self.segments.is_dense() {
            Some(heights.first()) == expected
        } else {
            Some(heights.first()) >= expected
        };
        assert!(
            in_order,
            "segments must leave in chain order, each once: {} after {:?}",
            heights.first(),
            self.settled
        );
        self.settled = Some(heights.last());
        self.settled_count += 1; // fewer than there are heights
        self.progress.settle(heights.count(), self.pinned.snapshot.data_bytes(heights));
    }

    /// How many segments were settled before the earliest of those under way was handed out: what later ones found may
    /// have been missed by a worker.
    pub(super) fn settled_before_all(&self) -> u64 {
        self.under_way.iter().map(|begun| begun.settled_before).min().unwrap_or(self.settled_count)
    }

    /// Whether there is work left, whatever it may come to.
    pub(super) fn has_more(&self) -> bool {
        self.outcome.is_none() && (!self.under_way.is_empty() || self.segments.has_next())
    }

    /// Has everything that is not settled done by other work from now on.
    pub(super) fn go_on_with(
        &mut self,
        work: impl Fn(HeightRange) -> Result<Worked<T>, SegmentFault> + Send + Sync + 'static,
    ) {
        self.work = Arc::new(work);
        self.under_way.clear();
        self.segments.go_to(self.settled.map_or(self.first, Height::next));
    }

    /// How many segments were settled.
    pub(super) fn settled_count(&self) -> u64 {
        self.settled_count
    }

    pub(super) fn progress(&self) -> &Arc<ScanProgress> {
        &self.progress
    }

    pub(super) fn settled(&self) -> Option<Height> {
        self.settled
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Runs a job on the segment in hand, outside the credit.
    pub(super) async fn run<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> Result<R, Failure> {
        self.pool.run(job).await.map_err(|error| panicked(&error))
    }

    /// Ends the work on account of a fault that was met outside it.
    pub(super) async fn fail(&mut self, fault: SegmentFault) -> Result<(), Failure> {
        self.is_worth_another_try(fault, RETRIES_MAX).await.map(drop)
    }

    /// Whether a fault that was met outside the work is worth another try; if not, the work has come to its outcome.
    pub(super) async fn is_worth_another_try(&mut self, fault: SegmentFault, tries: u32) -> Result<bool, Failure> {
        self.outcome = self.outcome_of(fault, tries).await?;
        if self.outcome.is_some() {
            self.under_way.clear();
        }
        Ok(self.outcome.is_none())
    }

    fn start_segments(&mut self) {
        while self.under_way.len() < self.under_way_max
            && let Some(heights) = self.segments.next(&self.pinned.snapshot)
        {
            let begun = self.begin(heights);
            self.under_way.push_back(begun);
        }
    }

    /// Has the heights behind `last` worked on next, if `heights` reach further, and gives those up to it.
    pub(super) fn take_up_rest(&mut self, heights: HeightRange, last: Height) -> HeightRange {
        if let Some(rest) = last.next().and_then(|next| HeightRange::new(next, heights.last())) {
            let begun = self.begin(rest);
            self.under_way.push_front(begun);
        }
        HeightRange::new(heights.first(), last).expect("a worker works on at least the first height of a segment")
    }

    fn begin(&self, heights: HeightRange) -> UnderWay<T> {
        let work = Arc::clone(&self.work);
        UnderWay { heights, settled_before: self.settled_count, job: self.pool.run(move || work(heights)) }
    }

    /// Whether the newest chain has left the pinned one within the range, and from which height.
    fn reorganised(&mut self) -> Option<Outcome> {
        let newest = self.pinned.chain.newest()?;
        if Arc::ptr_eq(&newest, &self.compared) {
            return None;
        }
        let fork = self.pinned.snapshot.fork_height(&newest);
        self.compared = newest;
        fork.filter(|height| *height <= self.range.last()).map(Outcome::ReorganisedFrom)
    }

    /// All segments are settled: complete, unless the chain was left while they were.
    async fn final_outcome(&mut self) -> Result<Outcome, Failure> {
        if self.pinned.cancel.is_cancelled() {
            return Ok(Outcome::Cancelled);
        }
        self.refresh().await?;
        if self.pinned.cancel.is_cancelled() {
            return Ok(Outcome::Cancelled);
        }
        Ok(self.reorganised().unwrap_or(Outcome::Complete))
    }

    /// What a fault means, by the chain as it is now. None: the segment is worth another try.
    async fn outcome_of(&mut self, fault: SegmentFault, retries: u32) -> Result<Option<Outcome>, Failure> {
        let (height, failure) = match fault {
            SegmentFault::Cancelled => return Ok(Some(Outcome::Cancelled)),
            SegmentFault::Missing(height) => (height, missing(height)),
            SegmentFault::Block { height, span, cause } => (height, self.pinned.failure(height, span, &cause)),
        };
        self.refresh().await?;
        if self.pinned.cancel.is_cancelled() {
            return Ok(Some(Outcome::Cancelled));
        }
        if let Some(reorganised) = self.reorganised() {
            return Ok(Some(reorganised));
        }
        let newest = self.pinned.chain.newest();
        let lowest = newest.as_ref().and_then(|newest| newest.lowest_complete_to(self.range.last()));
        match lowest {
            Some(lowest) if lowest > height => Ok(Some(Outcome::PrunedBelow(lowest))),
            _ if retries < RETRIES_MAX => Ok(None),
            _ => Err(failure),
        }
    }

    /// Reads what changed in the block files. On a thread that may wait, which a worker may not; a scan that is
    /// cancelled meanwhile waits no longer.
    async fn refresh(&self) -> Result<(), Failure> {
        let (chain, cancel) = (Arc::clone(&self.pinned.chain), self.pinned.cancel.clone());
        match tokio::task::spawn_blocking(move || chain.refresh(&cancel)).await {
            Ok(Ok(_) | Err(ChainError::Cancelled)) => Ok(()),
            Ok(Err(error)) => Err(Failure {
                kind: FailureKind::Unreadable,
                detail: format!("cannot read the block files again: {}", with_causes(&error)),
                at: None,
            }),
            Err(_panicked) => Err(panicked(&WorkerPanicked)),
        }
    }
}

fn panicked(panicked: &WorkerPanicked) -> Failure {
    Failure { kind: FailureKind::Internal, detail: panicked.to_string(), at: None }
}
