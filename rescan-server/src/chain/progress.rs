//! The progress of a refresh, readable while the refresh runs.

use std::sync::atomic::{AtomicU64, Ordering};

/// The progress of a refresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefreshProgress {
    /// Bytes of block files walked.
    pub bytes_done: u64,
    /// Bytes of block files to walk.
    pub bytes_total: u64,
    /// Headers read and hashed since the chain was opened.
    pub headers_read: u64,
}

/// Counters behind [`RefreshProgress`]. All accesses are relaxed: the counters inform people and order nothing.
#[derive(Debug, Default)]
pub(super) struct ProgressCounters {
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    headers_read: AtomicU64,
}

impl ProgressCounters {
    pub(super) fn begin(&self, bytes_total: u64) {
        self.bytes_done.store(0, Ordering::Relaxed);
        self.bytes_total.store(bytes_total, Ordering::Relaxed);
    }

    pub(super) fn set_bytes_done(&self, bytes: u64) {
        self.bytes_done.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_headers_read(&self, headers: u64) {
        self.headers_read.fetch_add(headers, Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> RefreshProgress {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RefreshProgress {
            bytes_done: load(&self.bytes_done),
            bytes_total: load(&self.bytes_total),
            headers_read: load(&self.headers_read),
        }
    }
}
