//! Two queues of jobs that share the workers' time equally.
//!
//! While jobs of both kinds wait, the next one is of the kind that has used less time. A kind that
//! waits alone has all workers. Time that a kind did not ask for is lost: after an hour without
//! scans, a scan owes nothing and is owed nothing.
//!
//! It knows no clock and no thread: the caller measures the jobs.

use std::collections::VecDeque;
use std::time::Duration;

/// The kind of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It belongs to a running scan, or answers a call about a block.
    Scan,
    /// It belongs to a watch set that is compiled before its first scan.
    WatchSet,
}

/// The waiting jobs of both kinds. Each kind is served first in, first out: segments are needed in
/// the order in which they were queued, and watch sets take turns.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    scans: Share<T>,
    watch_sets: Share<T>,
}

/// The jobs of one kind.
#[derive(Debug)]
struct Share<T> {
    waiting: VecDeque<T>,
    /// The time that its jobs have used, or as much as the other kind's where it did not ask for
    /// its part.
    used: Duration,
}

impl<T> FairQueue<T> {
    pub(super) fn new() -> Self {
        let empty = || Share { waiting: VecDeque::new(), used: Duration::ZERO };
        Self { scans: empty(), watch_sets: empty() }
    }

    /// Adds a job behind those of its kind.
    pub(super) fn push(&mut self, kind: Kind, job: T) {
        let other = match kind {
            Kind::Scan => self.watch_sets.used,
            Kind::WatchSet => self.scans.used,
        };
        let share = self.share(kind);
        if share.waiting.is_empty() {
            share.used = share.used.max(other);
        }
        share.waiting.push_back(job);
    }

    /// Removes the next job. Scans come first where both kinds have used as much.
    pub(super) fn pop(&mut self) -> Option<(Kind, T)> {
        let is_turn_of_scans = self.scans.used <= self.watch_sets.used;
        let kind = match (self.scans.waiting.is_empty(), self.watch_sets.waiting.is_empty()) {
            (false, true) => Kind::Scan,
            (false, false) if is_turn_of_scans => Kind::Scan,
            _ => Kind::WatchSet,
        };
        Some((kind, self.share(kind).waiting.pop_front()?))
    }

    /// Records that a job of that kind took `time`.
    pub(super) fn record(&mut self, kind: Kind, time: Duration) {
        let share = self.share(kind);
        share.used = share.used.saturating_add(time);
    }

    fn share(&mut self, kind: Kind) -> &mut Share<T> {
        match kind {
            Kind::Scan => &mut self.scans,
            Kind::WatchSet => &mut self.watch_sets,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// Takes jobs until `span` has passed, and returns the time of each kind. A job is the
    /// milliseconds that it takes.
    fn run_for(queue: &mut FairQueue<u32>, span: Duration) -> (Duration, Duration) {
        let (mut scans, mut watch_sets) = (Duration::ZERO, Duration::ZERO);
        while scans + watch_sets < span {
            let (kind, millis) = queue.pop().unwrap();
            let time = MILLISECOND * millis;
            queue.record(kind, time);
            match kind {
                Kind::Scan => scans += time,
                Kind::WatchSet => watch_sets += time,
            }
        }
        (scans, watch_sets)
    }

    fn fill(queue: &mut FairQueue<u32>, kind: Kind, jobs: usize, millis: u32) {
        (0..jobs).for_each(|_| queue.push(kind, millis));
    }

    #[test]
    fn each_kind_is_served_in_the_order_of_its_arrival() {
        let mut queue = FairQueue::new();
        for number in 0..3 {
            queue.push(Kind::WatchSet, 10 + number);
            queue.push(Kind::Scan, number);
        }
        let popped: Vec<(Kind, u32)> = std::iter::from_fn(|| queue.pop()).collect();
        let of = |kind| popped.iter().filter(|job| job.0 == kind).map(|job| job.1).collect::<Vec<_>>();
        assert_eq!(of(Kind::Scan), [0, 1, 2]);
        assert_eq!(of(Kind::WatchSet), [10, 11, 12]);
    }

    #[test]
    fn a_thousand_waiting_derivations_are_no_more_in_a_scans_way_than_one() {
        let mut queue = FairQueue::new();
        fill(&mut queue, Kind::WatchSet, 1_000, 2);
        assert_eq!(queue.pop(), Some((Kind::WatchSet, 2)));
        queue.push(Kind::Scan, 1);
        queue.record(Kind::WatchSet, 2 * MILLISECOND);
        assert_eq!(queue.pop(), Some((Kind::Scan, 1)), "the next worker takes it");
    }

    #[test]
    fn both_kinds_have_half_of_the_time_however_long_their_jobs_are() {
        for (scan, watch_set) in [(1, 1), (1, 19), (20, 1)] {
            let mut queue = FairQueue::new();
            fill(&mut queue, Kind::WatchSet, 2_000, watch_set);
            fill(&mut queue, Kind::Scan, 2_000, scan);
            let (scans, watch_sets) = run_for(&mut queue, Duration::from_secs(1));
            let apart = scans.abs_diff(watch_sets);
            assert!(apart <= MILLISECOND * scan.max(watch_set), "{scans:?} and {watch_sets:?}");
        }
    }

    #[test]
    fn a_kind_that_waits_alone_has_all_of_the_time() {
        let mut queue = FairQueue::new();
        fill(&mut queue, Kind::WatchSet, 500, 2);
        assert_eq!(run_for(&mut queue, Duration::from_secs(1)), (Duration::ZERO, Duration::from_secs(1)));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn nobody_pays_for_the_time_that_the_other_kind_did_not_ask_for() {
        let mut queue = FairQueue::new();
        fill(&mut queue, Kind::WatchSet, 4_000, 1);
        run_for(&mut queue, Duration::from_secs(1));
        // A scan begins: from here on, halves.
        fill(&mut queue, Kind::Scan, 1_000, 1);
        let (scans, watch_sets) = run_for(&mut queue, Duration::from_secs(1));
        assert!(scans.abs_diff(watch_sets) <= MILLISECOND, "{scans:?} and {watch_sets:?}");
    }
}
