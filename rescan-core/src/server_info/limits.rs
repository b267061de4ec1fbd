//! The limits of a server.

/// Applies a macro to every limit: its documentation, its name, its type, and its accessors on the wire.
macro_rules! for_each_limit {
    ($apply:ident) => {
        $apply! {
            /// A larger message ends the connection; in bytes.
            message_bytes_max: u64, get_message_bytes_max, set_message_bytes_max;
            /// Connections at a time, of all clients together.
            connections_max: u32, get_connections_max, set_connections_max;
            /// Scans at a time on one connection, block shipments included.
            scans_per_connection_max: u32, get_scans_per_connection_max, set_scans_per_connection_max;
            /// Watch sets alive at a time on one connection.
            watch_sets_per_connection_max: u32, get_watch_sets_per_connection_max, set_watch_sets_per_connection_max;
            /// Scripts of one watch set, given and derived together.
            scripts_per_watch_set_max: u64, get_scripts_per_watch_set_max, set_scripts_per_watch_set_max;
            /// Given outpoints of one watch set.
            outpoints_per_watch_set_max: u64, get_outpoints_per_watch_set_max, set_outpoints_per_watch_set_max;
            /// Bytes of the descriptors and scripts given to one watch set. Zero from an older
            /// server, as are all limits below.
            entry_bytes_per_watch_set_max: u64, get_entry_bytes_per_watch_set_max, set_entry_bytes_per_watch_set_max;
            /// Scripts and outpoints in all watch sets and scans of one connection, derived ones
            /// included.
            watched_per_connection_max: u64, get_watched_per_connection_max, set_watched_per_connection_max;
            /// Scripts and outpoints that all connections may watch together, beyond the share of
            /// each.
            watched_pool: u64, get_watched_pool, set_watched_pool;
            /// Scans at a time of all connections together.
            scans_max: u32, get_scans_max, set_scans_max;
            /// Calls of one connection that are not yet answered, or not yet finished by the
            /// client.
            calls_open_max: u32, get_calls_open_max, set_calls_open_max;
            /// Calls of one connection that wait for an event on the server.
            calls_waiting_max: u32, get_calls_waiting_max, set_calls_waiting_max;
            /// Capabilities in unanswered calls of one connection.
            capabilities_max: u32, get_capabilities_max, set_capabilities_max;
            /// Bytes of incomplete messages and unanswered calls of one connection.
            unanswered_bytes_max: u64, get_unanswered_bytes_max, set_unanswered_bytes_max;
            /// Bytes of such messages of all connections together, beyond the share of each.
            unanswered_bytes_pool: u64, get_unanswered_bytes_pool, set_unanswered_bytes_pool;
            /// A scan is cancelled if its wallet takes nothing for this long; in milliseconds.
            stalled_after_millis: u32, get_stalled_after_millis, set_stalled_after_millis;
            /// A connection ends if its client reads nothing for this long; in milliseconds.
            unread_after_millis: u32, get_unread_after_millis, set_unread_after_millis;
            /// A connection ends if one message takes this long to arrive; in milliseconds.
            message_after_millis: u32, get_message_after_millis, set_message_after_millis;
        }
    };
}

pub(crate) use for_each_limit;

macro_rules! define_limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty, $get:ident, $set:ident;)*) => {
        /// The limits of a server for its clients.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize))]
        pub struct Limits {
            $($(#[$doc])* pub $name: $type,)*
        }
    };
}

for_each_limit!(define_limits);
