//! The live counters of a server: scans, blocks, connections, refusals, failures, and the tips of both chains.
//!
//! The code that causes an event counts it, in one line. `info` and the exporter read the same [`Metrics`]. Each counter
//! is a separate atomic: counting costs the RPC thread nothing, and a reader blocks nobody.
//!
//! Invariant: a started scan is under way until it is counted under exactly one ending.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use rescan_core::for_each_counter;
use rescan_core::position::Height;
use rescan_core::report::{BlockId, Ending, Failure, FailureKind, Outcome, Refusal, RefusalReason, Summary};
use rescan_core::server_info::{Metrics, NodeHeight};

use crate::scan::ScanProgress;

/// Stands for no height; heights have 32 bits.
const NO_HEIGHT: i64 = -1;
/// Stands for a node that does not answer.
const NO_ANSWER: i64 = -2;

macro_rules! define_counters {
    ($($(#[$doc:meta])* $name:ident, $get:ident, $set:ident;)*) => {
        /// The counters of a running server. [`Metrics`] documents each.
        #[derive(Debug)]
        pub(crate) struct Counters {
            $($name: AtomicU64,)*
            connections_now: AtomicU32,
            /// In the order of [`RefusalReason::KNOWN`].
            refusals: [AtomicU64; RefusalReason::KNOWN.len()],
            /// In the order of [`FailureKind::KNOWN`].
            failures: [AtomicU64; FailureKind::KNOWN.len()],
            chain_height: AtomicI64,
            node_tip: AtomicI64,
        }

        impl Default for Counters {
            fn default() -> Self {
                Self {
                    $($name: AtomicU64::default(),)*
                    connections_now: AtomicU32::default(),
                    refusals: Default::default(),
                    failures: Default::default(),
                    chain_height: AtomicI64::new(NO_HEIGHT),
                    node_tip: AtomicI64::new(NO_HEIGHT),
                }
            }
        }

        impl Counters {
            /// The present values.
            pub(crate) fn snapshot(&self) -> Metrics {
                let mut metrics = Metrics {
                    $($name: read(&self.$name),)*
                    connections_now: self.connections_now.load(Ordering::Relaxed),
                    refusals: occurred(&RefusalReason::KNOWN, &self.refusals),
                    failures: occurred(&FailureKind::KNOWN, &self.failures),
                    node_tip: self.node_tip(),
                };
                // Read again after the endings: no scan may seem to have ended without a start.
                metrics.scans_begun = read(&self.scans_begun);
                metrics
            }
        }
    };
}

for_each_counter!(define_counters);

impl Counters {
    /// The height of the chain's tip at the last refresh; none while no block is known.
    pub(crate) fn chain_height(&self) -> Option<Height> {
        u32::try_from(self.chain_height.load(Ordering::Relaxed)).ok().map(Height)
    }

    /// Records the chain's tip after a refresh.
    pub(crate) fn set_chain_tip(&self, tip: Option<BlockId>) {
        self.chain_height.store(tip.map_or(NO_HEIGHT, |tip| tip.height.0.into()), Ordering::Relaxed);
    }

    /// Records the height of the node's tip.
    pub(crate) fn set_node_tip(&self, tip: NodeHeight) {
        let value = match tip {
            NodeHeight::NotAsked => NO_HEIGHT,
            NodeHeight::Unreachable => NO_ANSWER,
            NodeHeight::Height(height) => height.0.into(),
        };
        self.node_tip.store(value, Ordering::Relaxed);
    }

    /// Counts an accepted connection, which stays open until the result is dropped.
    pub(crate) fn connection_accepted(self: &Arc<Self>) -> OpenConnection {
        self.connections_now.fetch_add(1, Ordering::Relaxed);
        add(&self.connections_accepted, 1);
        OpenConnection(Arc::clone(self))
    }

    /// Counts a connection that was turned away at the limit of connections.
    pub(crate) fn connection_turned_away(&self) {
        add(&self.connections_turned_away, 1);
    }

    /// Counts a connection that was closed because it came from another user.
    pub(crate) fn connection_of_other_user(&self) {
        add(&self.connections_of_other_users, 1);
    }

    /// Counts a connection whose peer broke the protocol.
    pub(crate) fn connection_broken(&self) {
        add(&self.connections_broken, 1);
    }

    /// Counts a call about one block.
    pub(crate) fn block_match(&self) {
        add(&self.block_matches, 1);
    }

    /// Counts a refusal.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        count(&RefusalReason::KNOWN, &self.refusals, refusal.reason);
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, failure: &Failure) {
        count(&FailureKind::KNOWN, &self.failures, failure.kind);
    }

    /// Counts a scan that a client called for.
    pub(crate) fn scan_started(self: &Arc<Self>) -> ScanCount {
        add(&self.scans_begun, 1);
        ScanCount { counters: Arc::clone(self), blocks: Cell::new(0), bytes: Cell::new(0), has_ended: Cell::new(false) }
    }

    fn node_tip(&self) -> NodeHeight {
        match self.node_tip.load(Ordering::Relaxed) {
            NO_ANSWER => NodeHeight::Unreachable,
            height => u32::try_from(height).map_or(NodeHeight::NotAsked, |height| NodeHeight::Height(Height(height))),
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<Counters>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections_now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The counts of one scan. Dropped before its end, it counts as abandoned.
#[derive(Debug)]
pub(crate) struct ScanCount {
    counters: Arc<Counters>,
    /// Blocks and bytes of it that are already counted.
    blocks: Cell<u64>,
    bytes: Cell<u64>,
    has_ended: Cell<bool>,
}

impl ScanCount {
    /// Counts the blocks that were settled since the last call.
    pub(crate) fn walked(&self, progress: &ScanProgress) {
        self.walked_in_all(progress.blocks_done(), progress.bytes_done());
    }

    /// Records the speed of the walk.
    pub(crate) fn walk_ended(&self, progress: &ScanProgress) {
        let micros = progress.elapsed().as_micros().max(1);
        let rate = u128::from(progress.bytes_done()) * 1_000_000 / micros;
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        self.counters.last_scan_bytes_per_second.store(rate, Ordering::Relaxed);
    }

    /// Counts the ending, which is on its way to the wallet.
    pub(crate) fn ended(&self, ending: &Ending) {
        match ending {
            Ending::Summary(summary) => self.summarised(summary),
            Ending::Refused(refusal) => {
                self.counters.refused(refusal);
                add(&self.counters.scans_refused, 1);
            }
            Ending::Failed(failure) => {
                self.counters.failed(failure);
                add(&self.counters.scans_failed, 1);
            }
        }
        self.has_ended.set(true);
    }

    fn summarised(&self, summary: &Summary) {
        // Some blocks may have been settled since the last delivery.
        self.walked_in_all(summary.blocks_scanned, summary.bytes_scanned);
        add(&self.counters.transactions_reported, summary.transactions);
        let outcome = match summary.outcome {
            Outcome::Complete => &self.counters.scans_complete,
            Outcome::Cancelled => &self.counters.scans_cancelled,
            Outcome::PrunedBelow(_) => &self.counters.scans_pruned,
            Outcome::ReorganisedFrom(_) => &self.counters.scans_reorganised,
        };
        add(outcome, 1);
    }

    fn walked_in_all(&self, blocks: u64, bytes: u64) {
        add(&self.counters.blocks_walked, blocks.saturating_sub(self.blocks.get()));
        add(&self.counters.bytes_walked, bytes.saturating_sub(self.bytes.get()));
        self.blocks.set(blocks.max(self.blocks.get()));
        self.bytes.set(bytes.max(self.bytes.get()));
    }
}

impl Drop for ScanCount {
    fn drop(&mut self) {
        if !self.has_ended.get() {
            add(&self.counters.scans_abandoned, 1);
        }
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// The server itself never causes an unknown reason or kind.
fn count<T: PartialEq + Copy>(known: &[T], counts: &[AtomicU64], occurrence: T) {
    if let Some((_, counter)) = known.iter().zip(counts).find(|(known, _)| **known == occurrence) {
        add(counter, 1);
    }
}

fn occurred<T: Copy>(known: &[T], counts: &[AtomicU64]) -> Vec<(T, u64)> {
    let all = known.iter().zip(counts).map(|(known, counter)| (*known, read(counter)));
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
        let counters = Arc::new(Counters::default());
        let scan = counters.scan_started();
        assert_eq!(counters.snapshot().scans_under_way(), 1);
        drop(scan);
        let now = counters.snapshot();
        assert_eq!((now.scans_begun, now.scans_abandoned, now.scans_under_way()), (1, 1, 0));
    }

    #[test]
    fn a_scan_that_ended_is_counted_once_with_its_reason() {
        let counters = Arc::new(Counters::default());
        let scan = counters.scan_started();
        scan.ended(&Ending::Refused(refusal(RefusalReason::BadRange)));
        drop(scan);
        let now = counters.snapshot();
        assert_eq!((now.scans_refused, now.scans_abandoned, now.scans_under_way()), (1, 0, 0));
        assert_eq!(now.refusals, [(RefusalReason::BadRange, 1)]);
    }

    #[test]
    fn every_reason_and_kind_has_a_count_of_its_own() {
        let counters = Counters::default();
        for reason in RefusalReason::KNOWN {
            counters.refused(&refusal(reason));
        }
        for kind in FailureKind::KNOWN {
            counters.failed(&Failure { kind, detail: String::new(), at: None });
        }
        let now = counters.snapshot();
        assert_eq!(now.refusals, RefusalReason::KNOWN.map(|reason| (reason, 1)));
        assert_eq!(now.failures, FailureKind::KNOWN.map(|kind| (kind, 1)));
    }

    #[test]
    fn blocks_are_counted_as_they_are_walked_and_no_block_twice() {
        let counters = Arc::new(Counters::default());
        let scan = counters.scan_started();
        for (blocks, bytes) in [(1, 100), (1, 100), (3, 350)] {
            scan.walked_in_all(blocks, bytes);
        }
        let now = counters.snapshot();
        assert_eq!((now.blocks_walked, now.bytes_walked), (3, 350));
    }

    #[test]
    fn the_height_of_the_node_is_the_one_that_was_recorded() {
        let counters = Counters::default();
        for tip in [
            NodeHeight::Height(Height(0)),
            NodeHeight::Unreachable,
            NodeHeight::Height(Height(u32::MAX)),
            NodeHeight::NotAsked,
        ] {
            counters.set_node_tip(tip);
            assert_eq!(counters.snapshot().node_tip, tip);
        }
        assert_eq!(counters.chain_height(), None, "the chains are independent");
    }
}
