//! The metrics of a server: counts since it started, and a few present values.

use super::NodeHeight;
use crate::report::{FailureKind, RefusalReason};

/// Applies a macro to every counter: its documentation, its name, and its accessors on the wire. The server counts with
/// the same list.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_counter {
    ($apply:ident) => {
        $apply! {
            /// Scans that clients called for, block shipments included.
            scans_begun, get_scans_begun, set_scans_begun;
            /// Scans that reached the end of their range.
            scans_complete, get_scans_complete, set_scans_complete;
            /// Scans that were cancelled, or whose wallet took nothing.
            scans_cancelled, get_scans_cancelled, set_scans_cancelled;
            /// Scans whose range has pruned blocks.
            scans_pruned, get_scans_pruned, set_scans_pruned;
            /// Scans whose chain was reorganised.
            scans_reorganised, get_scans_reorganised, set_scans_reorganised;
            /// Scans that were never started because the request was invalid.
            scans_refused, get_scans_refused, set_scans_refused;
            /// Scans that failed.
            scans_failed, get_scans_failed, set_scans_failed;
            /// Scans whose wallet left, or dropped them.
            scans_abandoned, get_scans_abandoned, set_scans_abandoned;
            /// Calls about one block.
            block_matches, get_block_matches, set_block_matches;
            /// Blocks that scans have walked.
            blocks_walked, get_blocks_walked, set_blocks_walked;
            /// The size of those blocks, in bytes.
            bytes_walked, get_bytes_walked, set_bytes_walked;
            /// The speed of the scan that ended last, in bytes per second; 0 before the first.
            last_scan_bytes_per_second, get_last_scan_bytes_per_second, set_last_scan_bytes_per_second;
            /// Transactions reported by scans that reached an outcome.
            transactions_reported, get_transactions_reported, set_transactions_reported;
            /// Connections that were accepted.
            connections_accepted, get_connections_accepted, set_connections_accepted;
            /// Connections turned away at the limit of connections.
            connections_turned_away, get_connections_turned_away, set_connections_turned_away;
            /// Connections closed at once because they came from another user.
            connections_of_other_users, get_connections_of_other_users, set_connections_of_other_users;
            /// Connections that ended because the peer broke the protocol.
            connections_broken, get_connections_broken, set_connections_broken;
        }
    };
}

macro_rules! define_metrics {
    ($($(#[$doc:meta])* $name:ident, $get:ident, $set:ident;)*) => {
        /// Counts since a server started, and a few present values.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Metrics {
            $($(#[$doc])* pub $name: u64,)*
            /// Connections at the moment.
            pub connections_now: u32,
            /// Refused watch sets, scans and calls about one block, by reason. Reasons without a refusal are not listed.
            pub refusals: Vec<(RefusalReason, u64)>,
            /// Failed scans, calls about one block and refreshes of the chain, by kind. Kinds without a failure are not
            /// listed.
            pub failures: Vec<(FailureKind, u64)>,
            /// The height of the node's tip.
            pub node_tip: NodeHeight,
        }
    };
}

for_each_counter!(define_metrics);

impl Metrics {
    /// Scans that have not ended.
    #[must_use]
    pub fn scans_under_way(&self) -> u64 {
        let ended = [
            self.scans_complete,
            self.scans_cancelled,
            self.scans_pruned,
            self.scans_reorganised,
            self.scans_refused,
            self.scans_failed,
            self.scans_abandoned,
        ];
        ended.iter().fold(self.scans_begun, |left, ended| left.saturating_sub(*ended))
    }
}

/// The order of the fields is part of the JSON contract of `rescan info`.
#[cfg(feature = "serde")]
impl serde::Serialize for Metrics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use std::collections::BTreeMap;

        use serde::ser::SerializeMap;

        let refusals: BTreeMap<_, _> = self.refusals.iter().map(|(reason, count)| (reason.name(), count)).collect();
        let failures: BTreeMap<_, _> = self.failures.iter().map(|(kind, count)| (kind.name(), count)).collect();
        let (node_link, node_height) = match self.node_tip {
            NodeHeight::NotAsked => (None, None),
            NodeHeight::Unreachable => (Some(false), None),
            NodeHeight::Height(height) => (Some(true), Some(height.0)),
        };
        let mut fields = serializer.serialize_map(None)?;
        macro_rules! serialize_counters {
            ($($(#[$doc:meta])* $name:ident, $get:ident, $set:ident;)*) => {
                $(
                    match stringify!($name) {
                        "scans_complete" => fields.serialize_entry("scans_under_way", &self.scans_under_way())?,
                        "connections_accepted" => fields.serialize_entry("connections_now", &self.connections_now)?,
                        _ => {}
                    }
                    fields.serialize_entry(stringify!($name), &self.$name)?;
                )*
            };
        }
        for_each_counter!(serialize_counters);
        fields.serialize_entry("refusals", &refusals)?;
        fields.serialize_entry("failures", &failures)?;
        fields.serialize_entry("node_link", &node_link)?;
        fields.serialize_entry("node_height", &node_height)?;
        fields.end()
    }
}
