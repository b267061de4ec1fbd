//! The server's counters, as a part of the line of `rescan info`.

use std::collections::BTreeMap;

use rescan_client::server_info::{NodeHeight, ServerInfo};
use serde::Serialize;

/// Counts since the server started, and its state at the time of the call.
#[derive(Debug, Serialize)]
pub(super) struct FiguresField {
    scans_begun: u64,
    scans_under_way: u64,
    scans_complete: u64,
    scans_cancelled: u64,
    scans_pruned: u64,
    scans_reorganised: u64,
    scans_refused: u64,
    scans_failed: u64,
    scans_abandoned: u64,
    block_matches: u64,
    blocks_walked: u64,
    bytes_walked: u64,
    last_scan_bytes_per_second: u64,
    transactions_reported: u64,
    connections_now: u32,
    connections_accepted: u64,
    connections_turned_away: u64,
    connections_of_other_users: u64,
    connections_broken: u64,
    /// By reason; without zeros.
    refusals: BTreeMap<&'static str, u64>,
    /// By kind; without zeros.
    failures: BTreeMap<&'static str, u64>,
    /// Whether the node answers; null if the server asks none.
    node_link: Option<bool>,
    node_height: Option<u32>,
    lag_blocks: Option<u32>,
}

impl FiguresField {
    pub(super) fn new(info: &ServerInfo) -> Self {
        let figures = &info.figures;
        let (node_link, node_height) = match figures.node_tip {
            NodeHeight::NotAsked => (None, None),
            NodeHeight::Unreachable => (Some(false), None),
            NodeHeight::Height(height) => (Some(true), Some(height.0)),
        };
        Self {
            scans_begun: figures.scans_begun,
            scans_under_way: figures.scans_under_way(),
            scans_complete: figures.scans_complete,
            scans_cancelled: figures.scans_cancelled,
            scans_pruned: figures.scans_pruned,
            scans_reorganised: figures.scans_reorganised,
            scans_refused: figures.scans_refused,
            scans_failed: figures.scans_failed,
            scans_abandoned: figures.scans_abandoned,
            block_matches: figures.block_matches,
            blocks_walked: figures.blocks_walked,
            bytes_walked: figures.bytes_walked,
            last_scan_bytes_per_second: figures.last_scan_bytes_per_second,
            transactions_reported: figures.transactions_reported,
            connections_now: figures.connections_now,
            connections_accepted: figures.connections_accepted,
            connections_turned_away: figures.connections_turned_away,
            connections_of_other_users: figures.connections_of_other_users,
            connections_broken: figures.connections_broken,
            refusals: figures.refusals.iter().map(|(reason, count)| (reason.name(), *count)).collect(),
            failures: figures.failures.iter().map(|(kind, count)| (kind.name(), *count)).collect(),
            node_link,
            node_height,
            lag_blocks: figures.node_tip.lag_blocks(info.chain.tip.map(|tip| tip.height)),
        }
    }
}
