//! What the server counts: scans, blocks, connections, refusals, failures, and where its chain stands.
//!
//! Whoever makes something happen counts it, in one line; `info` and the metrics tell the same [`Figures`]. Atomics,
//! each a figure for itself, so that counting costs the RPC thread nothing and reading them holds nobody up.
//!
//! Invariant: a scan that began is under way until it is counted in exactly one of the ways to end.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use rescan_core::position::Height;
use rescan_core::report::{BlockId, Ending, Failure, FailureKind, Outcome, Refusal, RefusalReason, Summary};
use rescan_core::server_info::{Figures, NodeHeight};

use crate::scan::ScanProgress;

/// Stands for no height, where heights are 32 bits.
const NO_HEIGHT: i64 = -1;
/// Stands for a node that does not answer.
const NO_ANSWER: i64 = -2;

/// The figures of a running server.
#[derive(Debug)]
pub struct LiveFigures {
    scans_begun: AtomicU64,
    scans_complete: AtomicU64,
    scans_cancelled: AtomicU64,
    scans_pruned: AtomicU64,
    scans_reorganised: AtomicU64,
    scans_refused: AtomicU64,
    scans_failed: AtomicU64,
    scans_abandoned: AtomicU64,
    block_matches: AtomicU64,
    blocks_walked: AtomicU64,
    bytes_walked: AtomicU64,
    last_scan_bytes_per_second: AtomicU64,
    transactions_reported: AtomicU64,
    connections_now: AtomicU32,
    connections_accepted: AtomicU64,
    connections_turned_away: AtomicU64,
    connections_of_other_users: AtomicU64,
    connections_broken: AtomicU64,
    /// In the order of [`RefusalReason::KNOWN`].
    refusals: [AtomicU64; RefusalReason::KNOWN.len()],
    /// In the order of [`FailureKind::KNOWN`].
    failures: [AtomicU64; FailureKind::KNOWN.len()],
    chain_height: AtomicI64,
    node_tip: AtomicI64,
}

impl Default for LiveFigures {
    fn default() -> Self {
        Self {
            scans_begun: AtomicU64::default(),
            scans_complete: AtomicU64::default(),
            scans_cancelled: AtomicU64::default(),
            scans_pruned: AtomicU64::default(),
            scans_reorganised: AtomicU64::default(),
            scans_refused: AtomicU64::default(),
            scans_failed: AtomicU64::default(),
            scans_abandoned: AtomicU64::default(),
            block_matches: AtomicU64::default(),
            blocks_walked: AtomicU64::default(),
            bytes_walked: AtomicU64::default(),
            last_scan_bytes_per_second: AtomicU64::default(),
            transactions_reported: AtomicU64::default(),
            connections_now: AtomicU32::default(),
            connections_accepted: AtomicU64::default(),
            connections_turned_away: AtomicU64::default(),
            connections_of_other_users: AtomicU64::default(),
            connections_broken: AtomicU64::default(),
            refusals: Default::default(),
            failures: Default::default(),
            chain_height: AtomicI64::new(NO_HEIGHT),
            node_tip: AtomicI64::new(NO_HEIGHT),
        }
    }
}

impl LiveFigures {
    /// All of them as they are now.
    #[must_use]
    pub fn now(&self) -> Figures {
        // The ends before the begins, so that no scan seems to have ended that never began.
        let (scans_complete, scans_cancelled) = (read(&self.scans_complete), read(&self.scans_cancelled));
        let (scans_pruned, scans_reorganised) = (read(&self.scans_pruned), read(&self.scans_reorganised));
        let (scans_refused, scans_failed) = (read(&self.scans_refused), read(&self.scans_failed));
        let scans_abandoned = read(&self.scans_abandoned);
        Figures {
            scans_begun: read(&self.scans_begun),
            scans_complete,
            scans_cancelled,
            scans_pruned,
            scans_reorganised,
            scans_refused,
            scans_failed,
            scans_abandoned,
            block_matches: read(&self.block_matches),
            blocks_walked: read(&self.blocks_walked),
            bytes_walked: read(&self.bytes_walked),
            last_scan_bytes_per_second: read(&self.last_scan_bytes_per_second),
            transactions_reported: read(&self.transactions_reported),
            connections_now: self.connections_now.load(Ordering::Relaxed),
            connections_accepted: read(&self.connections_accepted),
            connections_turned_away: read(&self.connections_turned_away),
            connections_of_other_users: read(&self.connections_of_other_users),
            connections_broken: read(&self.connections_broken),
            refusals: happened(&RefusalReason::KNOWN, &self.refusals),
            failures: happened(&FailureKind::KNOWN, &self.failures),
            node_tip: match self.node_tip.load(Ordering::Relaxed) {
                NO_ANSWER => NodeHeight::Unreachable,
                height => {
                    u32::try_from(height).map_or(NodeHeight::NotAsked, |height| NodeHeight::Height(Height(height)))
                }
            },
        }
    }

    /// The height of the chain's tip as it was last seen; none while no block is known.
    #[must_use]
    pub fn chain_height(&self) -> Option<Height> {
        u32::try_from(self.chain_height.load(Ordering::Relaxed)).ok().map(Height)
    }

    /// The chain was looked at, and this is its tip.
    pub fn chain_seen(&self, tip: Option<BlockId>) {
        self.chain_height.store(tip.map_or(NO_HEIGHT, |tip| tip.height.0.into()), Ordering::Relaxed);
    }

    /// What is known of the node's tip from here on.
    pub fn node_link(&self, tip: NodeHeight) {
        let value = match tip {
            NodeHeight::NotAsked => NO_HEIGHT,
            NodeHeight::Unreachable => NO_ANSWER,
            NodeHeight::Height(height) => height.0.into(),
        };
        self.node_tip.store(value, Ordering::Relaxed);
    }

    /// A connection is let in; it counts as open until what this gives is dropped.
    pub(crate) fn connected(self: &Arc<Self>) -> Connected {
        self.connections_now.fetch_add(1, Ordering::Relaxed);
        add(&self.connections_accepted, 1);
        Connected(Arc::clone(self))
    }

    /// A connection is turned away because there are too many.
    pub(crate) fn turned_away(&self) {
        add(&self.connections_turned_away, 1);
    }

    /// A connection of another user is closed.
    pub(crate) fn of_other_user(&self) {
        add(&self.connections_of_other_users, 1);
    }

    /// A peer broke the protocol.
    pub(crate) fn broken(&self) {
        add(&self.connections_broken, 1);
    }

    /// A call about one block came.
    pub(crate) fn block_match(&self) {
        add(&self.block_matches, 1);
    }

    /// Something was refused to a caller.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        count(&RefusalReason::KNOWN, &self.refusals, refusal.reason);
    }

    /// Something failed.
    pub(crate) fn failed(&self, failure: &Failure) {
        count(&FailureKind::KNOWN, &self.failures, failure.kind);
    }

    /// A scan was called for.
    pub(crate) fn scan_begun(self: &Arc<Self>) -> ScanCount {
        add(&self.scans_begun, 1);
        ScanCount { figures: Arc::clone(self), blocks: Cell::new(0), bytes: Cell::new(0), has_ended: Cell::new(false) }
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connected(Arc<LiveFigures>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections_now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A scan as it is counted. One that is dropped before its end was abandoned.
#[derive(Debug)]
pub(crate) struct ScanCount {
    figures: Arc<LiveFigures>,
    /// What was counted of it so far.
    blocks: Cell<u64>,
    bytes: Cell<u64>,
    has_ended: Cell<bool>,
}

impl ScanCount {
    /// Counts what it has settled since it was last asked.
    pub(crate) fn walked(&self, progress: &ScanProgress) {
        self.walked_in_all(progress.blocks_done(), progress.bytes_done());
    }

    /// How fast it walked.
    pub(crate) fn walk_ended(&self, progress: &ScanProgress) {
        let micros = progress.elapsed().as_micros().max(1);
        let rate = u128::from(progress.bytes_done()) * 1_000_000 / micros;
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        self.figures.last_scan_bytes_per_second.store(rate, Ordering::Relaxed);
    }

    /// It ended, and its wallet is told how.
    pub(crate) fn ended(&self, ending: &Ending) {
        match ending {
            Ending::Summary(summary) => self.came_to(summary),
            Ending::Refused(refusal) => {
                self.figures.refused(refusal);
                add(&self.figures.scans_refused, 1);
            }
            Ending::Failed(failure) => {
                self.figures.failed(failure);
                add(&self.figures.scans_failed, 1);
            }
        }
        self.has_ended.set(true);
    }

    fn came_to(&self, summary: &Summary) {
        // What was settled since it last delivered.
        self.walked_in_all(summary.blocks_scanned, summary.bytes_scanned);
        add(&self.figures.transactions_reported, summary.transactions);
        let outcome = match summary.outcome {
            Outcome::Complete => &self.figures.scans_complete,
            Outcome::Cancelled => &self.figures.scans_cancelled,
            Outcome::PrunedBelow(_) => &self.figures.scans_pruned,
            Outcome::ReorganisedFrom(_) => &self.figures.scans_reorganised,
        };
        add(outcome, 1);
    }

    fn walked_in_all(&self, blocks: u64, bytes: u64) {
        add(&self.figures.blocks_walked, blocks.saturating_sub(self.blocks.get()));
        add(&self.figures.bytes_walked, bytes.saturating_sub(self.bytes.get()));
        self.blocks.set(blocks.max(self.blocks.get()));
        self.bytes.set(bytes.max(self.bytes.get()));
    }
}

impl Drop for ScanCount {
    fn drop(&mut self) {
        if !self.has_ended.get() {
            add(&self.figures.scans_abandoned, 1);
        }
    }
}

fn read(figure: &AtomicU64) -> u64 {
    figure.load(Ordering::Relaxed)
}

fn add(figure: &AtomicU64, more: u64) {
    figure.fetch_add(more, Ordering::Relaxed);
}

/// What is not known by a name is never ours to count.
fn count<T: PartialEq + Copy>(known: &[T], counts: &[AtomicU64], what: T) {
    if let Some((_, figure)) = known.iter().zip(counts).find(|(known, _)| **known == what) {
        add(figure, 1);
    }
}

fn happened<T: Copy>(known: &[T], counts: &[AtomicU64]) -> Vec<(T, u64)> {
    let all = known.iter().zip(counts).map(|(what, figure)| (*what, read(figure)));
    all.filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(reason: RefusalReason) -> Refusal {
        Refusal { reason, position: 0, detail: String::new() }
    }

    #[test]
    fn a_scan_that_is_dropped_before_its_end_was_abandoned() {
        let figures = Arc::new(LiveFigures::default());
        let scan = figures.scan_begun();
        assert_eq!(figures.now().scans_under_way(), 1);
        drop(scan);
        let now = figures.now();
        assert_eq!((now.scans_begun, now.scans_abandoned, now.scans_under_way()), (1, 1, 0));
    }

    #[test]
    fn a_scan_that_ended_is_counted_once_with_its_reason() {
        let figures = Arc::new(LiveFigures::default());
        let scan = figures.scan_begun();
        scan.ended(&Ending::Refused(refusal(RefusalReason::BadRange)));
        drop(scan);
        let now = figures.now();
        assert_eq!((now.scans_refused, now.scans_abandoned, now.scans_under_way()), (1, 0, 0));
        assert_eq!(now.refusals, [(RefusalReason::BadRange, 1)]);
    }

    #[test]
    fn every_reason_and_kind_has_a_count_of_its_own() {
        let figures = LiveFigures::default();
        for reason in RefusalReason::KNOWN {
            figures.refused(&refusal(reason));
        }
        for kind in FailureKind::KNOWN {
            figures.failed(&Failure { kind, detail: String::new(), at: None });
        }
        let now = figures.now();
        assert_eq!(now.refusals, RefusalReason::KNOWN.map(|reason| (reason, 1)));
        assert_eq!(now.failures, FailureKind::KNOWN.map(|kind| (kind, 1)));
    }

    #[test]
    fn blocks_are_counted_as_they_are_walked_and_no_block_twice() {
        let figures = Arc::new(LiveFigures::default());
        let scan = figures.scan_begun();
        for (blocks, bytes) in [(1, 100), (1, 100), (3, 350)] {
            scan.walked_in_all(blocks, bytes);
        }
        let now = figures.now();
        assert_eq!((now.blocks_walked, now.bytes_walked), (3, 350));
    }

    #[test]
    fn what_the_node_says_is_told_as_it_said_it() {
        let figures = LiveFigures::default();
        for tip in [
            NodeHeight::Height(Height(0)),
            NodeHeight::Unreachable,
            NodeHeight::Height(Height(u32::MAX)),
            NodeHeight::NotAsked,
        ] {
            figures.node_link(tip);
            assert_eq!(figures.now().node_tip, tip);
        }
        assert_eq!(figures.chain_height(), None, "they are two chains");
    }
}
