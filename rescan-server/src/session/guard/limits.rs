//! What a client may use, and the counting that keeps it to that.
//!
//! The server trusts its clients with the wallet's privacy, not with its memory: each limit has a name, a reason, and
//! is told to clients. Going over one is a refusal or an `overloaded` exception, never a crash. A connection is ended,
//! with the reason where it can be told, only for what nothing else helps against: a message that is too large, calls
//! that are never finished, messages that half arrive, a client that reads nothing.
//!
//! # What the server may hold in memory
//!
//! Of its own (`RssAnon`), files that are mapped left out, at the most:
//!
//! ```text
//!    64 MiB                      the program, its threads (8 MiB more for each worker above two), what the allocator keeps
//! +  64 B   * blocks             of all chains in the block files
//! +   4 MiB * scans              under way, at most 256: the window to the wallet, and what workers have ready
//! + 100 B   * coins              that each scan has found and not seen spent
//! + 100 B   * scripts            watched; 200 B for an outpoint, 2 kB for a descriptor; at most 8,000,000 of them and
//!                                10,000 for each connection
//! +  64 KiB * connections        at most 256
//! +   2 KiB * calls              that are open, at most 1,024 for each connection
//! + messages                     half arrived or not answered: at most 128 MiB, and 1 MiB for each connection
//! + answers                      not read yet: at most 64 MiB for a connection, for at most 150 s
//! ```
//!
//! The load tests (`rescan-tests`) hold a server to that.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use capnp::message::ReaderOptions;
use rescan_core::server_info::Limits;

/// The largest message that is read, in bytes. What a message announces is allocated before it arrives, so this is also
/// what a silent peer can reserve; 65,536 scripts of the usual kinds fit into half of it.
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Connections at a time. With a descriptor each, and one a block file in hand, they stay well below the usual limit of
/// 1,024 open files.
pub const CONNECTIONS_MAX: u32 = 256;

/// Scans at a time on one connection. A wallet needs one; a service that scans for several wallets takes turns or puts
/// them into one watch set. Above it, one client would hold up all workers with segments in flight.
pub const SCANS_PER_CONNECTION_MAX: u32 = 8;

/// Watch sets alive at a time on one connection: the memory of each is the client's to ask for.
pub const WATCH_SETS_PER_CONNECTION_MAX: u32 = 16;

/// Scripts of one watch set, given and derived. About 100 bytes each: 200 MB for one that is full.
pub const SCRIPTS_PER_WATCH_SET_MAX: u64 = 2_000_000;

/// Given outpoints of one watch set. About 200 bytes each.
pub const OUTPOINTS_PER_WATCH_SET_MAX: u64 = 1_000_000;

/// Bytes of what was given to one watch set: scripts, and the text of descriptors. A script of the usual kinds has 22
/// to 34 bytes; without this, a million of the longest would be 10 GB.
pub const ENTRY_BYTES_PER_WATCH_SET_MAX: u64 = 256 << 20;

/// Calls of one connection that may wait at a time for something to happen on the server.
pub const CALLS_WAITING_MAX: u32 = 64;

/// Calls of one connection that are open: not yet answered, or answered and not yet finished by the client. What the
/// transport keeps of one is about 2 KiB. A client library finishes a call as soon as it has the answer; a wallet has a
/// dozen open at the most.
pub const CALLS_OPEN_MAX: u32 = 1_024;

/// Capabilities that came with calls of one connection which are not yet answered. A scan brings two; the transport
/// keeps some 500 bytes of each.
pub const CAPABILITIES_MAX: u32 = 1_024;

/// Bytes of messages that one connection may have on the server: half arrived, or of calls that wait for their answer.
/// A few of the largest.
pub const UNANSWERED_BYTES_MAX: u64 = 32 << 20;

/// The part of that which every connection has for itself. Wallets upload in messages of a quarter of it.
pub const MESSAGE_BYTES_SHARE: u64 = 1 << 20;

/// What all connections together may have of it beyond their own parts.
pub const UNANSWERED_BYTES_POOL: u64 = 128 << 20;

/// Scripts and outpoints that all watch sets and scans of one connection watch together: two full watch sets.
pub const WATCHED_PER_CONNECTION_MAX: u64 = 4_000_000;

/// The part of that which every connection has for itself: ten keychains with the usual gap limit.
pub const WATCHED_SHARE: u64 = 10_000;

/// What all connections together may watch beyond their own parts. 800 MB if they are scripts, twice that if outpoints.
pub const WATCHED_POOL: u64 = 8_000_000;

/// As how many scripts a descriptor counts beside its own: what it takes to derive from one is about 2 KB.
pub const KEYCHAIN_WEIGHT: u64 = 20;

/// Threads for what would hold up the RPC thread: reading headers, making ranges definite. Left to itself the runtime
/// would start one for each scan that begins, and the allocator would keep up to 8 MiB for each of them.
pub const BLOCKING_THREADS_MAX: usize = 4;

/// Scans at a time of all connections together. More of them only wait for one another, and each costs up to 4 MiB.
pub const SCANS_MAX: u32 = 256;

/// How long a client may read nothing of what there is to send to it before its connection is ended. Twice as long as a
/// scan waits for its wallet, so that a wallet which comes back in between learns how far its scan came.
pub const UNREAD_AFTER: Duration = Duration::from_secs(120);

/// How long a message may take from its first byte to its last. The largest takes 10 ms between two processes that are
/// both awake.
pub const MESSAGE_AFTER: Duration = Duration::from_secs(60);

/// Heights in one call for block ids, as the schema has it.
pub const BLOCK_IDS_PER_CALL_MAX: u32 = rescan_core::protocol::BLOCK_IDS_PER_CALL_MAX;

/// Refused scans of one connection whose refusal the client has not yet taken.
pub const REFUSALS_WAITING_MAX: u32 = 16;

/// Bytes that may be on their way to one sink before its scan waits. Measured over a Unix socket: larger windows gain
/// nothing for reports, and 2 MiB nearly doubled the time of shipping full blocks (`benches/README.md`); this is also
/// memory that each stalled wallet holds.
pub const WINDOW_BYTES: usize = 512 << 10;

/// How long a wallet may take nothing before its scan is cancelled. Long enough for a wallet that writes to a slow
/// disk, short enough that a stuck one does not hold its window and its pinned chain for hours.
pub const STALLED_AFTER: Duration = Duration::from_secs(60);

/// How old what was last seen of the chain may be for a call about one block, unless that block is its tip. To look anew
/// takes a hundredth of a second where there are thousands of block files, ten times as long as to match a block.
pub const CHAIN_AGE_MAX: Duration = Duration::from_secs(1);

/// How many levels of structs and lists a message may have. Ours have ten; the transport needs five.
pub const NESTING_MAX: i32 = 32;

/// The limits of a running server. The constants above are what it has unless it is told otherwise, as tests do.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// The largest message that is read, in bytes.
    pub message_bytes_max: usize,
    /// Connections at a time.
    pub connections_max: u32,
    /// Scans at a time on one connection, block shipments included.
    pub scans_per_connection_max: u32,
    /// Watch sets alive at a time on one connection.
    pub watch_sets_per_connection_max: u32,
    /// Scripts of one watch set, given and derived.
    pub scripts_per_watch_set_max: u64,
    /// Given outpoints of one watch set.
    pub outpoints_per_watch_set_max: u64,
    /// Bytes of what was given to one watch set.
    pub entry_bytes_per_watch_set_max: u64,
    /// Calls of one connection that may wait at a time.
    pub calls_waiting_max: u32,
    /// Calls of one connection that are open.
    pub calls_open_max: u32,
    /// Capabilities that came with calls of one connection which are not yet answered.
    pub capabilities_max: u32,
    /// Bytes of messages that one connection may have on the server.
    pub unanswered_bytes_max: u64,
    /// What all connections together may have of them beyond their own parts.
    pub unanswered_bytes_pool: u64,
    /// Scripts and outpoints that one connection watches.
    pub watched_per_connection_max: u64,
    /// What all connections together may watch beyond their own parts.
    pub watched_pool: u64,
    /// Scans at a time of all connections together.
    pub scans_max: u32,
    /// How long a wallet may take nothing before its scan is cancelled.
    pub stalled_after: Duration,
    /// How long a client may read nothing before its connection is ended.
    pub unread_after: Duration,
    /// How long a message may take to arrive.
    pub message_after: Duration,
    /// How old what was last seen of the chain may be for a call about one block.
    pub chain_age_max: Duration,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            message_bytes_max: MESSAGE_BYTES_MAX,
            connections_max: CONNECTIONS_MAX,
            scans_per_connection_max: SCANS_PER_CONNECTION_MAX,
            watch_sets_per_connection_max: WATCH_SETS_PER_CONNECTION_MAX,
            scripts_per_watch_set_max: SCRIPTS_PER_WATCH_SET_MAX,
            outpoints_per_watch_set_max: OUTPOINTS_PER_WATCH_SET_MAX,
            entry_bytes_per_watch_set_max: ENTRY_BYTES_PER_WATCH_SET_MAX,
            calls_waiting_max: CALLS_WAITING_MAX,
            calls_open_max: CALLS_OPEN_MAX,
            capabilities_max: CAPABILITIES_MAX,
            unanswered_bytes_max: UNANSWERED_BYTES_MAX,
            unanswered_bytes_pool: UNANSWERED_BYTES_POOL,
            watched_per_connection_max: WATCHED_PER_CONNECTION_MAX,
            watched_pool: WATCHED_POOL,
            scans_max: SCANS_MAX,
            stalled_after: STALLED_AFTER,
            unread_after: UNREAD_AFTER,
            message_after: MESSAGE_AFTER,
            chain_age_max: CHAIN_AGE_MAX,
        }
    }
}

impl SessionLimits {
    /// How messages are read.
    #[must_use]
    pub fn reader_options(&self) -> ReaderOptions {
        let mut options = ReaderOptions::new();
        options.traversal_limit_in_words(Some(self.message_bytes_max / size_of::<capnp::Word>()));
        options.nesting_limit(NESTING_MAX);
        options
    }

    /// What clients are told.
    #[must_use]
    pub fn told(&self) -> Limits {
        Limits {
            message_bytes_max: self.message_bytes_max as u64, // usize has at most 64 bits
            connections_max: self.connections_max,
            scans_per_connection_max: self.scans_per_connection_max,
            watch_sets_per_connection_max: self.watch_sets_per_connection_max,
            scripts_per_watch_set_max: self.scripts_per_watch_set_max,
            outpoints_per_watch_set_max: self.outpoints_per_watch_set_max,
            entry_bytes_per_watch_set_max: self.entry_bytes_per_watch_set_max,
            watched_per_connection_max: self.watched_per_connection_max,
            watched_pool: self.watched_pool,
            scans_max: self.scans_max,
            calls_open_max: self.calls_open_max,
            calls_waiting_max: self.calls_waiting_max,
            capabilities_max: self.capabilities_max,
            unanswered_bytes_max: self.unanswered_bytes_max,
            unanswered_bytes_pool: self.unanswered_bytes_pool,
            stalled_after_millis: millis(self.stalled_after),
            unread_after_millis: millis(self.unread_after),
            message_after_millis: millis(self.message_after),
        }
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// So many of something at a time, on the RPC thread.
#[derive(Debug)]
pub(crate) struct Quota {
    taken: Cell<u32>,
    /// How often one was taken.
    takings: Cell<u64>,
    max: u32,
}

impl Quota {
    pub(crate) fn new(max: u32) -> Rc<Self> {
        Rc::new(Self { taken: Cell::new(0), takings: Cell::new(0), max })
    }

    /// One of them, until the slot is dropped; none if all are taken.
    pub(crate) fn take(self: &Rc<Self>) -> Option<Slot> {
        let taken = self.taken.get();
        (taken < self.max).then(|| {
            self.taken.set(taken + 1);
            self.takings.set(self.takings.get().wrapping_add(1));
            Slot(Rc::clone(self))
        })
    }

    /// Whether all of them are there.
    pub(crate) fn is_untaken(&self) -> bool {
        self.taken.get() == 0
    }

    /// How often one was taken.
    pub(crate) fn takings(&self) -> u64 {
        self.takings.get()
    }
}

/// One of a [`Quota`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot(Rc<Quota>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_is_dropped_can_be_taken_again() {
        let quota = Quota::new(2);
        let first = quota.take();
        let second = quota.take();
        assert!(first.is_some() && second.is_some());
        assert!(quota.take().is_none());
        drop(first);
        assert!(quota.take().is_some());
    }
}
