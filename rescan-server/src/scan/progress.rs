//! The progress of a scan: counters that any thread may read while it runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Settled blocks and bytes of one scan. Relaxed atomics: no counter depends on another.
#[derive(Debug)]
pub struct ScanProgress {
    started: Instant,
    blocks_done: AtomicU64,
    blocks_total: u64,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
}

impl ScanProgress {
    pub(super) fn new(blocks_total: u64) -> Self {
        let zero = || AtomicU64::new(0);
        Self { started: Instant::now(), blocks_done: zero(), blocks_total, bytes_done: zero(), bytes_total: zero() }
    }

    pub(super) fn set_bytes_total(&self, bytes: u64) {
        self.bytes_total.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn settle(&self, blocks: u64, bytes: u64) {
        self.blocks_done.fetch_add(blocks, Ordering::Relaxed);
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Settled heights.
    #[must_use]
    pub fn blocks_done(&self) -> u64 {
        self.blocks_done.load(Ordering::Relaxed)
    }

    /// Heights of the range.
    #[must_use]
    pub fn blocks_total(&self) -> u64 {
        self.blocks_total
    }

    /// Settled block data, in bytes.
    #[must_use]
    pub fn bytes_done(&self) -> u64 {
        self.bytes_done.load(Ordering::Relaxed)
    }

    /// Block data of the range, in bytes; 0 until it is added up, soon after the start.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total.load(Ordering::Relaxed)
    }

    /// The time since the walk began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
