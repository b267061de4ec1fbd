//! The limits of a client.
//!
//! The server trusts its clients with the wallet's privacy, not with its memory. Each limit has a name, a reason, and is
//! announced to clients. Exceeding one is a refusal or an `overloaded` exception, never a crash. The server ends a
//! connection only where nothing else helps, and sends the reason if it can: a message that is too large, calls that are
//! never finished, incomplete messages, a client that reads nothing.
//!
//! # The server's memory at most
//!
//! Anonymous memory (`RssAnon`), without mapped files:
//!
//! ```text
//!    64 MiB                      the program, its threads (8 MiB more for each worker above two), the allocator's reserve
//! +  64 B   * blocks             of all chains in the block files
//! +   4 MiB * scans              under way, at most 256: the window to the wallet, and finished segments of workers
//! + 100 B   * coins              that each scan has found and not seen spent
//! + 100 B   * scripts            watched; 200 B for an outpoint, 2 kB for a descriptor; at most 8,000,000 of them and
//!                                10,000 for each connection
//! +  64 KiB * connections        at most 256
//! +   2 KiB * calls              that are open, at most 1,024 for each connection
//! + messages                     incomplete or unanswered: at most 128 MiB, and 1 MiB for each connection
//! + answers                      not read yet: at most 64 MiB for a connection, for at most 150 s
//! ```
//!
//! The load tests (`rescan-tests`) check this bound.

use std::time::Duration;

use capnp::message::ReaderOptions;
use rescan_core::server_info::Limits;

/// The largest message that is read, in bytes. A message is allocated when it is announced, so a silent peer can reserve
/// this much; 65,536 scripts of the usual kinds fit into half of it.
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Connections at a time. With one descriptor each, and one for each block file in use, they stay well below the usual
/// limit of 1,024 open files.
pub const CONNECTIONS_MAX: u32 = 256;

/// Scans at a time on one connection, block shipments included. A wallet needs one; a service for several wallets scans
/// in turn, or with one watch set. Above it, the segments of one client could occupy all workers.
pub const SCANS_PER_CONNECTION_MAX: u32 = 8;

/// Watch sets alive at a time on one connection: the client controls the memory of each.
pub const WATCH_SETS_PER_CONNECTION_MAX: u32 = 16;

/// Scripts of one watch set, given and derived. About 100 bytes each: 200 MB for a full one.
pub const SCRIPTS_PER_WATCH_SET_MAX: u64 = 2_000_000;

/// Given outpoints of one watch set. About 200 bytes each.
pub const OUTPOINTS_PER_WATCH_SET_MAX: u64 = 1_000_000;

/// Bytes of the entries of one watch set: scripts, and the text of descriptors. A script of the usual kinds has 22 to 34
/// bytes; without this limit, a million of the longest would be 10 GB.
pub const ENTRY_BYTES_PER_WATCH_SET_MAX: u64 = 256 << 20;

/// Calls of one connection that wait for an event on the server.
pub const CALLS_WAITING_MAX: u32 = 64;

/// Open calls of one connection: not yet answered, or not yet finished by the client. The transport keeps about 2 KiB of
/// each. A client library finishes a call as soon as it has the answer; a wallet has at most a dozen open.
pub const CALLS_OPEN_MAX: u32 = 1_024;

/// Capabilities in unanswered calls of one connection. A scan brings two; the transport keeps some 500 bytes of each.
pub const CAPABILITIES_MAX: u32 = 1_024;

/// Bytes of incomplete messages and unanswered calls of one connection. A few of the largest.
pub const UNANSWERED_BYTES_MAX: u64 = 32 << 20;

/// The part of [`UNANSWERED_BYTES_MAX`] that is guaranteed to every connection. Wallets upload in messages of a quarter
/// of it.
pub const MESSAGE_BYTES_SHARE: u64 = 1 << 20;

/// Bytes of such messages of all connections together, beyond their shares.
pub const UNANSWERED_BYTES_POOL: u64 = 128 << 20;

/// Scripts and outpoints in all watch sets and scans of one connection: two full watch sets.
pub const WATCHED_PER_CONNECTION_MAX: u64 = 4_000_000;

/// The part of [`WATCHED_PER_CONNECTION_MAX`] that is guaranteed to every connection: ten keychains with the usual gap
/// limit.
pub const WATCHED_SHARE: u64 = 10_000;

/// Scripts and outpoints that all connections watch together beyond their shares. 800 MB for scripts, twice that for
/// outpoints.
pub const WATCHED_POOL: u64 = 8_000_000;

/// The weight of a descriptor in scripts, in addition to its own: derivation needs about 2 KB for each.
pub const KEYCHAIN_WEIGHT: u64 = 20;

/// Threads for work that would block the RPC thread: reading headers, resolving ranges. Without a limit the runtime would
/// start one for each new scan, and the allocator would keep up to 8 MiB for each of them.
pub const BLOCKING_THREADS_MAX: usize = 4;

/// Scans at a time of all connections together. More would only wait for one another, at up to 4 MiB each.
pub const SCANS_MAX: u32 = 256;

/// The time for which a client may leave its answers unread before its connection ends. It is twice the patience of a
/// scan, so a wallet that returns in between learns how far its scan came.
pub const UNREAD_AFTER: Duration = Duration::from_secs(120);

/// The time that a message may take from its first byte to its last. The largest takes 10 ms between two processes that
/// are both awake.
pub const MESSAGE_AFTER: Duration = Duration::from_secs(60);

/// Refused scans of one connection whose refusal is not delivered yet.
pub const REFUSALS_WAITING_MAX: u32 = 16;

/// Bytes on their way to one sink before its scan waits. Measured over a Unix socket: larger windows gain nothing for
/// reports, and 2 MiB nearly doubled the time of shipping full blocks (`benches/README.md`). Each stalled wallet holds
/// this much memory.
pub const WINDOW_BYTES: usize = 512 << 10;

/// The time for which a wallet may take nothing before its scan is cancelled. Long enough for a wallet that writes to a
/// slow disk; short enough that a stuck wallet does not hold its window and its pinned chain for hours.
pub const STALLED_AFTER: Duration = Duration::from_secs(60);

/// The maximum age of the known chain for a call about one block, except for its tip. A refresh takes a hundredth of a
/// second with thousands of block files, ten times as long as matching a block.
pub const CHAIN_AGE_MAX: Duration = Duration::from_secs(1);

/// Nested structs and lists in a message. Ours have ten levels; the transport needs five.
pub const NESTING_MAX: i32 = 32;

macro_rules! session_limits {
    ($($name:ident: $type:ty = $default:ident;)*) => {
        /// The limits of a running server. By default they are the constants of this module; tests choose others.
        #[derive(Clone, Copy, Debug)]
        pub struct SessionLimits {
            $(
                #[doc = concat!("By default, and for the reasons there, [`", stringify!($default), "`].")]
                pub $name: $type,
            )*
        }

        impl Default for SessionLimits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }
    };
}

session_limits! {
    message_bytes_max: usize = MESSAGE_BYTES_MAX;
    connections_max: u32 = CONNECTIONS_MAX;
    scans_per_connection_max: u32 = SCANS_PER_CONNECTION_MAX;
    watch_sets_per_connection_max: u32 = WATCH_SETS_PER_CONNECTION_MAX;
    scripts_per_watch_set_max: u64 = SCRIPTS_PER_WATCH_SET_MAX;
    outpoints_per_watch_set_max: u64 = OUTPOINTS_PER_WATCH_SET_MAX;
    entry_bytes_per_watch_set_max: u64 = ENTRY_BYTES_PER_WATCH_SET_MAX;
    calls_waiting_max: u32 = CALLS_WAITING_MAX;
    calls_open_max: u32 = CALLS_OPEN_MAX;
    capabilities_max: u32 = CAPABILITIES_MAX;
    unanswered_bytes_max: u64 = UNANSWERED_BYTES_MAX;
    unanswered_bytes_pool: u64 = UNANSWERED_BYTES_POOL;
    watched_per_connection_max: u64 = WATCHED_PER_CONNECTION_MAX;
    watched_pool: u64 = WATCHED_POOL;
    scans_max: u32 = SCANS_MAX;
    stalled_after: Duration = STALLED_AFTER;
    unread_after: Duration = UNREAD_AFTER;
    message_after: Duration = MESSAGE_AFTER;
    chain_age_max: Duration = CHAIN_AGE_MAX;
}

impl SessionLimits {
    /// The options of the message reader.
    #[must_use]
    pub fn reader_options(&self) -> ReaderOptions {
        let mut options = ReaderOptions::new();
        options.traversal_limit_in_words(Some(self.message_bytes_max / size_of::<capnp::Word>()));
        options.nesting_limit(NESTING_MAX);
        options
    }

    /// The limits as clients see them.
    #[must_use]
    pub fn announced(&self) -> Limits {
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
