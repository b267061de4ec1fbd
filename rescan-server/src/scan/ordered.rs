//! Restores order: workers finish segments in any order, and [`Ordered::next`] returns them in
//! chain order.
//!
//! Jobs go to the pool by credit: the number of segments in flight is limited, and a new one starts
//! only once the first of them has been taken. A slow consumer slows the work and blocks no worker.
//! This also decides the outcome of work on a pinned chain: complete, cancelled, pruned,
//! reorganised, or failed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use rescan_core::causes::with_causes;
use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{Failure, FailureKind, Outcome};

use super::pinned_chain::{PinnedChain, SegmentFault, missing};
use super::pool::{Job, WorkerPanicked, WorkerPool};
use super::progress::ScanProgress;
use super::segments::Segments;
use crate::chain::ChainError;

/// Retries of a segment after the chain has changed beneath it.
pub(crate) const RETRIES_MAX: u32 = 2;

/// The work on one segment.
type Work<T> = Arc<dyn Fn(HeightRange) -> Result<Done<T>, SegmentFault> + Send + Sync>;

/// The result of work on a segment or its first blocks: a worker may stop early to limit its
/// memory.
#[derive(Debug)]
pub(super) struct Done<T> {
    pub(super) value: T,
    /// The last finished height.
    pub(super) last: Height,
}

/// A segment in the pool.
struct InFlight<T> {
    heights: HeightRange,
    /// The number of settled segments when it was started.
    settled_before: u64,
    job: Job<Result<Done<T>, SegmentFault>>,
}

/// Work on consecutive segments of a pinned chain.
pub(super) struct Ordered<T> {
    pool: WorkerPool,
    pinned: PinnedChain,
    range: HeightRange,
    /// The lowest height of the work; `None` if there is no segment.
    first: Option<Height>,
    work: Work<T>,
    segments: Segments,
    in_flight_max: usize,
    in_flight: VecDeque<InFlight<T>>,
    /// The newest snapshot that the pinned one was compared with.
    compared: Arc<ActiveChain>,
    /// The last settled height, and the number of settled segments.
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

impl<T: Send + 'static> Ordered<T> {
    /// Works on the segments of a range of the pinned chain, all of whose heights are on disk, and
    /// on at most `in_flight_max` of them at once.
    pub(super) fn new(
        pool: &WorkerPool,
        pinned: PinnedChain,
        segments: Segments,
        in_flight_max: usize,
        work: impl Fn(HeightRange) -> Result<Done<T>, SegmentFault> + Send + Sync + 'static,
    ) -> Self {
        let range = segments.range();
        let first = segments.has_next().then(|| range.first());
        let progress = Arc::new(ScanProgress::new(if first.is_some() { range.count() } else { 0 }));
        if first.is_some() {
            let (adding, snapshot) = (Arc::clone(&progress), Arc::clone(&pinned.snapshot));
            // A million heights take milliseconds, too long for the caller's thread; nobody waits
            // for the sum.
            drop(pool.run(move || adding.set_bytes_total(snapshot.data_bytes(range))));
        }
        Self {
            in_flight_max,
            pool: pool.clone(),
            compared: Arc::clone(&pinned.snapshot),
            pinned,
            range,
            first,
            work: Arc::new(work),
            segments,
            in_flight: VecDeque::new(),
            settled: None,
            settled_count: 0,
            outcome: None,
            progress,
        }
    }

    /// The next segment in chain order and its result; `None` once the work has an outcome.
    ///
    /// # Errors
    /// [`Failure`] if every copy of a block is bad, or a worker panicked. The work is over then.
    pub(super) async fn next(&mut self) -> Result<Option<(HeightRange, T)>, Failure> {
        if self.outcome.is_some() {
            return Ok(None);
        }
        self.start_segments();
        let Some(InFlight { heights, job, .. }) = self.in_flight.pop_front() else {
            self.outcome = Some(self.final_outcome().await?);
            return Ok(None);
        };
        let mut done = job.await?;
        let mut retries = 0;
        loop {
            if self.pinned.cancel.is_cancelled() {
                done = Err(SegmentFault::Cancelled);
            }
            match done {
                Ok(finished) => match self.reorganised() {
                    None => return Ok(Some((self.take_up_rest(heights, finished.last), finished.value))),
                    reorganised => self.outcome = reorganised,
                },
                Err(fault) => self.outcome = self.outcome_of(fault, retries).await?,
            }
            if self.outcome.is_some() {
                self.in_flight.clear();
                return Ok(None);
            }
            retries += 1;
            let work = Arc::clone(&self.work);
            done = self.pool.run(move || work(heights)).await?;
        }
    }

    /// Records a segment as settled. Segments are settled in chain order and without a gap.
    pub(super) fn settle(&mut self, heights: HeightRange) {
        let expected = self.settled.map_or(Some(self.range.first()), Height::next);
        let in_order = if self.segments.is_dense() {
            Some(heights.first()) == expected
        } else {
            Some(heights.first()) >= expected
        };
        assert!(
            in_order,
            "segments must be settled in chain order, each once: {} after {:?}",
            heights.first(),
            self.settled
        );
        self.settled = Some(heights.last());
        self.settled_count += 1; // fewer than there are heights
        self.progress.settle(heights.count(), self.pinned.snapshot.data_bytes(heights));
    }

    /// The number of segments that were settled before the earliest one in flight was started:
    /// workers may have missed coins of later ones.
    pub(super) fn settled_before_all(&self) -> u64 {
        self.in_flight.iter().map(|started| started.settled_before).min().unwrap_or(self.settled_count)
    }

    /// Whether segments are left.
    pub(super) fn has_more(&self) -> bool {
        self.outcome.is_none() && (!self.in_flight.is_empty() || self.segments.has_next())
    }

    /// Resumes behind the last settled segment with other work.
    pub(super) fn resume_with(
        &mut self,
        work: impl Fn(HeightRange) -> Result<Done<T>, SegmentFault> + Send + Sync + 'static,
    ) {
        self.work = Arc::new(work);
        self.in_flight.clear();
        self.segments.go_to(self.settled.map_or(self.first, Height::next));
    }

    /// The number of settled segments.
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

    /// Runs a job on the segment that was taken, outside the credit.
    pub(super) async fn run<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> Result<R, Failure> {
        Ok(self.pool.run(job).await?)
    }

    /// Ends the work because of a fault outside of it.
    pub(super) async fn fail(&mut self, fault: SegmentFault) -> Result<(), Failure> {
        self.is_worth_a_retry(fault, RETRIES_MAX).await.map(drop)
    }

    /// Whether to retry after a fault outside of the work; if not, the work has an outcome.
    pub(super) async fn is_worth_a_retry(&mut self, fault: SegmentFault, tries: u32) -> Result<bool, Failure> {
        self.outcome = self.outcome_of(fault, tries).await?;
        if self.outcome.is_some() {
            self.in_flight.clear();
        }
        Ok(self.outcome.is_none())
    }

    fn start_segments(&mut self) {
        while self.in_flight.len() < self.in_flight_max
            && let Some(heights) = self.segments.next(&self.pinned.snapshot)
        {
            let started = self.start(heights);
            self.in_flight.push_back(started);
        }
    }

    /// Returns `heights` up to `last`, and starts work on the rest of them as the next segment.
    pub(super) fn take_up_rest(&mut self, heights: HeightRange, last: Height) -> HeightRange {
        if let Some(rest) = last.next().and_then(|next| HeightRange::new(next, heights.last())) {
            let started = self.start(rest);
            self.in_flight.push_front(started);
        }
        HeightRange::new(heights.first(), last).expect("a worker finishes at least the first height of a segment")
    }

    fn start(&self, heights: HeightRange) -> InFlight<T> {
        let work = Arc::clone(&self.work);
        InFlight { heights, settled_before: self.settled_count, job: self.pool.run(move || work(heights)) }
    }

    /// The outcome if the newest chain differs from the pinned one within the range.
    fn reorganised(&mut self) -> Option<Outcome> {
        let newest = self.pinned.chain.newest()?;
        if Arc::ptr_eq(&newest, &self.compared) {
            return None;
        }
        let fork = self.pinned.snapshot.fork_height(&newest);
        self.compared = newest;
        fork.filter(|height| *height <= self.range.last()).map(Outcome::ReorganisedFrom)
    }

    /// The outcome once all segments are settled: complete, unless the chain was reorganised
    /// meanwhile.
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

    /// The outcome of a fault, given the chain as it is now; `None` to retry the segment.
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

    /// Reads changes of the block files: on a thread that may block, as a worker may not. Returns
    /// early if cancelled.
    async fn refresh(&self) -> Result<(), Failure> {
        let (chain, cancel) = (Arc::clone(&self.pinned.chain), self.pinned.cancel.clone());
        match tokio::task::spawn_blocking(move || chain.refresh(&cancel)).await {
            Ok(Ok(_) | Err(ChainError::Cancelled)) => Ok(()),
            Ok(Err(error)) => Err(Failure {
                kind: FailureKind::Unreadable,
                detail: format!("cannot reread the block files: {}", with_causes(&error)),
                at: None,
            }),
            Err(_panicked) => Err(WorkerPanicked.into()),
        }
    }
}
