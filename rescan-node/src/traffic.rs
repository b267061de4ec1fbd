//! Counts of everything that crossed a client's connections.

use std::sync::atomic::{AtomicU64, Ordering};

/// Traffic of a client and its clones since it was made.
///
/// Bytes are those that passed through TCP sockets: request line, status line, headers and bodies.
/// The headers of TCP and IP are not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RpcTraffic {
    /// Bytes read.
    pub received_bytes: u64,
    /// Bytes written.
    pub sent_bytes: u64,
    /// Whole responses read.
    pub responses: u64,
    /// Requests begun.
    pub requests: u64,
}

/// The counters behind [`RpcTraffic`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    responses: AtomicU64,
    requests: AtomicU64,
}

// Relaxed throughout: the counts order nothing.
impl Counters {
    pub(crate) fn snapshot(&self) -> RpcTraffic {
        RpcTraffic {
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            responses: self.responses.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed); // usize has at most 64 bits
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed); // usize has at most 64 bits
    }

    pub(crate) fn response(&self) {
        self.responses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}
