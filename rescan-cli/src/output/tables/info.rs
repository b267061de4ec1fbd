//! The table of `rescan info`.

use comfy_table::{Cell, Table, presets};
use rescan_client::server_info::{ChainSource, ChainState, Metrics, NodeLink, NodeLinkState, ServerInfo};
use rescan_compare::units;

use super::lines;
use crate::output::json;

/// A server's version, chain, limits and counters.
pub(crate) fn info(info: &ServerInfo) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let mut row = |name: &str, value: String| {
        table.add_row([Cell::new(name), Cell::new(value)]);
    };
    row("server", format!("{}, protocol version {}", info.software, info.protocol_version));
    row("network", json::network_name(info.network).to_owned());
    row("chain", chain(info));
    row("source", source(info.chain.source).to_owned());
    if let Some(tip) = &info.chain.tip {
        row("tip", format!("{} {}, {} UTC", tip.height, tip.hash, units::utc(tip.time)));
    }
    row("node", node(&info.node));
    if let Some(lag) = lag(info) {
        row("lag", lag);
    }
    row("blocks on disk", format!("from height {}", info.chain.lowest_height));
    let limits = &info.limits;
    row(
        "limits",
        format!(
            "{} connections; {} scans and {} watch sets a connection; {} scripts and {} outpoints a watch set; {} a message",
            limits.connections_max,
            limits.scans_per_connection_max,
            limits.watch_sets_per_connection_max,
            units::grouped(limits.scripts_per_watch_set_max),
            units::grouped(limits.outpoints_per_watch_set_max),
            units::bytes(limits.message_bytes_max),
        ),
    );
    // An older server does not send these.
    if limits.calls_open_max > 0 {
        row(
            "",
            format!(
                "{} scripts and outpoints a connection, {} for all; {} scans for all; {} calls a connection, {} unanswered",
                units::grouped(limits.watched_per_connection_max),
                units::grouped(limits.watched_pool),
                limits.scans_max,
                limits.calls_open_max,
                units::bytes(limits.unanswered_bytes_max),
            ),
        );
        row(
            "timeouts",
            format!(
                "{} s for a stalled scan; {} s for a client that does not read; {} s for a message",
                limits.stalled_after_millis / 1_000,
                limits.unread_after_millis / 1_000,
                limits.message_after_millis / 1_000,
            ),
        );
    }
    let metrics = &info.metrics;
    row("scans", scans(metrics));
    row("connections", connections(metrics));
    let errors = errors(metrics);
    if !errors.is_empty() {
        row("refused, failed", errors);
    }
    lines(&table)
}

/// Counts since the server started.
fn scans(metrics: &Metrics) -> String {
    let counts = [
        (metrics.scans_under_way(), "under way"),
        (metrics.scans_cancelled, "cancelled"),
        (metrics.scans_pruned, "pruned"),
        (metrics.scans_reorganised, "reorganised"),
        (metrics.scans_refused, "refused"),
        (metrics.scans_failed, "failed"),
        (metrics.scans_abandoned, "abandoned"),
    ];
    let mut text = format!("{} complete", units::grouped(metrics.scans_complete));
    for (count, how) in counts.into_iter().filter(|(count, _)| *count > 0) {
        text += &format!(", {} {how}", units::grouped(count));
    }
    text + &format!(
        "; {}, {} walked, the last scan at {}/s; {}",
        units::counted(metrics.blocks_walked, "block"),
        units::bytes(metrics.bytes_walked),
        units::bytes(metrics.last_scan_bytes_per_second),
        units::counted(metrics.transactions_reported, "transaction"),
    )
}

fn connections(metrics: &Metrics) -> String {
    format!(
        "{} now, {} in all; {} turned away, {} of other users, {} broken",
        metrics.connections_now,
        units::grouped(metrics.connections_accepted),
        units::grouped(metrics.connections_turned_away),
        units::grouped(metrics.connections_of_other_users),
        units::grouped(metrics.connections_broken),
    )
}

fn errors(metrics: &Metrics) -> String {
    let refused = metrics.refusals.iter().map(|(reason, count)| (reason.name(), count));
    let failed = metrics.failures.iter().map(|(kind, count)| (kind.name(), count));
    let all: Vec<String> =
        refused.chain(failed).map(|(name, count)| format!("{count} {}", name.replace('_', " "))).collect();
    all.join(", ")
}

/// How far the server's chain is behind the node's; none if unknown.
fn lag(info: &ServerInfo) -> Option<String> {
    let lag = info.metrics.node_tip.lag_blocks(info.chain.tip.map(|tip| tip.height))?;
    Some(format!("{} behind the node", units::counted(lag.into(), "block")))
}

fn chain(info: &ServerInfo) -> String {
    let reading = info.chain.reading;
    match info.chain.state {
        ChainState::Ready => "ready".to_owned(),
        ChainState::Reading => format!(
            "reading block files, {} of {}",
            units::bytes(reading.bytes_done),
            units::bytes(reading.bytes_total)
        ),
        ChainState::Failed => "the block files could not be read; see the server's log".to_owned(),
        _ => "unknown to this version".to_owned(),
    }
}

fn node(node: &NodeLink) -> String {
    let state = match node.state {
        NodeLinkState::Off => return "not used".to_owned(),
        NodeLinkState::Absent => "absent",
        NodeLinkState::Connecting => "connecting",
        NodeLinkState::Connected => "connected",
        NodeLinkState::Lost => "lost",
        NodeLinkState::Refused => "refused",
        _ => "unknown to this version",
    };
    let mut text = state.to_owned();
    if let Ok(since) = u32::try_from(node.since) {
        text.push_str(&format!(" since {} UTC", units::utc(since)));
    }
    if let Some(tip) = &node.tip {
        text.push_str(&format!(", tip {} {}", tip.height, tip.hash));
    }
    if !node.reason.is_empty() {
        text.push_str(&format!(": {}", node.reason));
    }
    text
}

fn source(source: ChainSource) -> &'static str {
    match source {
        ChainSource::Files => "from files, not confirmed by a node",
        ChainSource::Node => "confirmed by the node",
        _ => "unknown to this version",
    }
}

#[cfg(test)]
mod tests {
    use rescan_client::report::{FailureKind, RefusalReason};

    use super::*;

    #[test]
    fn only_outcomes_that_happened_are_named() {
        let metrics = Metrics { scans_begun: 1_004, scans_complete: 1_000, scans_failed: 1, ..Metrics::default() };
        let text = scans(&metrics);
        assert!(text.starts_with("1,000 complete, 3 under way, 1 failed; 0 blocks, "), "{text}");
        assert!(!text.contains("abandoned"), "{text}");
    }

    #[test]
    fn errors_are_named_by_kind_and_left_out_if_there_are_none() {
        assert_eq!(errors(&Metrics::default()), "");
        let (refusals, failures) = (vec![(RefusalReason::BadRange, 2)], vec![(FailureKind::CorruptBlock, 1)]);
        assert_eq!(errors(&Metrics { refusals, failures, ..Metrics::default() }), "2 bad range, 1 corrupt block");
    }
}
