//! The only line of `rescan info`: the server's version, chain, limits and counters.

use rescan_client::server_info::{ChainSource, ChainState, Feature, Limits, NodeLink, NodeLinkState, ServerInfo};
use serde::Serialize;

use super::figures::FiguresField;
use super::{Line, network_name};

/// A server's version, chain, limits and counters.
#[derive(Debug, Serialize)]
pub(crate) struct InfoLine {
    software: String,
    protocol_version: u32,
    network: &'static str,
    features: Vec<&'static str>,
    chain_state: &'static str,
    chain_source: &'static str,
    genesis_hash: String,
    tip_height: Option<u32>,
    tip_hash: Option<String>,
    tip_time: Option<u32>,
    lowest_height: u32,
    reading_bytes_done: u64,
    reading_bytes_total: u64,
    limits: LimitsField,
    node: NodeField,
    figures: FiguresField,
}

#[derive(Debug, Serialize)]
struct NodeField {
    state: &'static str,
    since: u64,
    tip_height: Option<u32>,
    tip_hash: Option<String>,
    reason: String,
}

#[derive(Debug, Serialize)]
struct LimitsField {
    message_bytes_max: u64,
    connections_max: u32,
    scans_per_connection_max: u32,
    watch_sets_per_connection_max: u32,
    scripts_per_watch_set_max: u64,
    outpoints_per_watch_set_max: u64,
    entry_bytes_per_watch_set_max: u64,
    watched_per_connection_max: u64,
    watched_pool: u64,
    scans_max: u32,
    calls_open_max: u32,
    calls_waiting_max: u32,
    capabilities_max: u32,
    unanswered_bytes_max: u64,
    unanswered_bytes_pool: u64,
    stalled_after_millis: u32,
    unread_after_millis: u32,
    message_after_millis: u32,
}

/// The only line of `rescan info`.
pub(crate) fn info(info: &ServerInfo) -> Line {
    let tip = info.chain.tip.as_ref();
    Line::Info(Box::new(InfoLine {
        software: info.software.clone(),
        protocol_version: info.protocol_version,
        network: network_name(info.network),
        features: info.features.iter().filter_map(|feature| feature_name(*feature)).collect(),
        chain_state: match info.chain.state {
            ChainState::Reading => "reading",
            ChainState::Ready => "ready",
            ChainState::Failed => "failed",
            _ => "unknown",
        },
        chain_source: match info.chain.source {
            ChainSource::Files => "files",
            ChainSource::Node => "node",
            _ => "unknown",
        },
        genesis_hash: info.chain.genesis.to_string(),
        tip_height: tip.map(|tip| tip.height.0),
        tip_hash: tip.map(|tip| tip.hash.to_string()),
        tip_time: tip.map(|tip| tip.time),
        lowest_height: info.chain.lowest_height.0,
        reading_bytes_done: info.chain.reading.bytes_done,
        reading_bytes_total: info.chain.reading.bytes_total,
        limits: limits_field(&info.limits),
        node: node_field(&info.node),
        figures: FiguresField::new(info),
    }))
}

fn node_field(node: &NodeLink) -> NodeField {
    NodeField {
        state: match node.state {
            NodeLinkState::Off => "off",
            NodeLinkState::Absent => "absent",
            NodeLinkState::Connecting => "connecting",
            NodeLinkState::Connected => "connected",
            NodeLinkState::Lost => "lost",
            NodeLinkState::Refused => "refused",
            _ => "unknown",
        },
        since: node.since,
        tip_height: node.tip.map(|tip| tip.height.0),
        tip_hash: node.tip.map(|tip| tip.hash.to_string()),
        reason: node.reason.clone(),
    }
}

fn limits_field(limits: &Limits) -> LimitsField {
    LimitsField {
        message_bytes_max: limits.message_bytes_max,
        connections_max: limits.connections_max,
        scans_per_connection_max: limits.scans_per_connection_max,
        watch_sets_per_connection_max: limits.watch_sets_per_connection_max,
        scripts_per_watch_set_max: limits.scripts_per_watch_set_max,
        outpoints_per_watch_set_max: limits.outpoints_per_watch_set_max,
        entry_bytes_per_watch_set_max: limits.entry_bytes_per_watch_set_max,
        watched_per_connection_max: limits.watched_per_connection_max,
        watched_pool: limits.watched_pool,
        scans_max: limits.scans_max,
        calls_open_max: limits.calls_open_max,
        calls_waiting_max: limits.calls_waiting_max,
        capabilities_max: limits.capabilities_max,
        unanswered_bytes_max: limits.unanswered_bytes_max,
        unanswered_bytes_pool: limits.unanswered_bytes_pool,
        stalled_after_millis: limits.stalled_after_millis,
        unread_after_millis: limits.unread_after_millis,
        message_after_millis: limits.message_after_millis,
    }
}

/// Features newer than this program have no name here.
fn feature_name(feature: Feature) -> Option<&'static str> {
    match feature {
        Feature::Scan => Some("scan"),
        Feature::Blocks => Some("blocks"),
        Feature::Birthday => Some("birthday"),
        Feature::GapRule => Some("gap_rule"),
        Feature::Coins => Some("coins"),
        Feature::Proofs => Some("proofs"),
        Feature::Locator => Some("locator"),
        Feature::MatchBlock => Some("match_block"),
        Feature::WaitTip => Some("wait_tip"),
        _ => None,
    }
}
