//! The tables that people read. No contract: scripts use `--json`.

use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, presets};
use rescan_client::Deliver;
use rescan_client::coins::Coin;
use rescan_client::report::{BlockReport, KeychainUse, Outcome, Summary, TransactionReport};
use rescan_client::server_info::{ChainSource, ChainState, Figures, NodeLink, NodeLinkState, ServerInfo};

use super::{json, units};
use crate::labels::{Label, Labels, Owner};
use crate::parties::Party;
use crate::settled::Part;

/// Coins are listed up to this many; a wallet of more is asked for with `--json`.
const COINS_LISTED_MAX: usize = 25;

/// A table with bare columns; those in `right` are numbers.
pub(crate) fn table(header: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(header);
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The table as lines without the blanks that pad the last column.
pub(crate) fn lines(table: &Table) -> String {
    table.lines().fold(String::new(), |mut text, line| {
        text.push_str(line.trim_end());
        text.push('\n');
        text
    })
}

/// A finished scan: each party's section, and then what it took.
pub(crate) fn scan(sections: &[String], summary: &Summary, bytes_received: u64) -> String {
    format!("{}{}", sections.concat(), summary_lines(summary, bytes_received))
}

/// What a party has of a scan: its tables and its totals. `summary` is its own.
pub(crate) fn section(party: &Party, part: &Part, deliver: Deliver, summary: &Summary) -> String {
    let mut tables = Vec::new();
    if !part.reports.is_empty() {
        tables.push(transactions(&part.reports));
    }
    let ledger = part.ledger();
    match deliver {
        // Asked for, and so all of them.
        Deliver::Coins if !part.coins.is_empty() => tables.push(coin_list(part.coins.iter(), &party.labels)),
        Deliver::History if (1..=COINS_LISTED_MAX).contains(&ledger.count()) => {
            tables.push(coin_list(ledger.sorted().into_iter(), &party.labels));
        }
        _ => {}
    }
    if !summary.keychains.is_empty() {
        tables.push(keychains(summary, &party.labels));
    }
    tables.push(totals(summary, deliver));
    let heading = party.wallet.as_ref().map_or_else(String::new, |name| format!("wallet {name}\n\n"));
    let gap = if party.wallet.is_some() { "\n" } else { "" };
    format!("{heading}{}{gap}", tables.join("\n"))
}

fn totals(summary: &Summary, deliver: Deliver) -> String {
    let coins = units::counted(summary.unspent_count, "coin");
    let value = units::bitcoin(i128::from(summary.unspent.to_sat()));
    match deliver {
        Deliver::History => {
            format!("{}, {coins} unspent, {value} BTC\n", units::counted(summary.transactions, "transaction"))
        }
        Deliver::Coins => format!("{coins} unspent, {value} BTC\n"),
    }
}

fn transactions(reports: &[BlockReport]) -> String {
    let mut table = table(&["height", "time (UTC)", "transaction", "received", "spent"], &[0, 3, 4]);
    for report in reports {
        for transaction in &report.transactions {
            table.add_row([
                report.height.to_string(),
                units::utc(report.time),
                transaction.txid.to_string(),
                received(transaction),
                spent(transaction),
            ]);
        }
    }
    lines(&table)
}

pub(super) fn received(transaction: &TransactionReport) -> String {
    let total = transaction.received.iter().map(|received| i128::from(received.value.to_sat())).sum();
    if transaction.received.is_empty() { String::new() } else { units::bitcoin(total) }
}

pub(super) fn spent(transaction: &TransactionReport) -> String {
    if transaction.spent.is_empty() {
        return String::new();
    }
    let values: Option<Vec<i128>> =
        transaction.spent.iter().map(|spent| spent.value.map(|value| i128::from(value.to_sat()))).collect();
    values.map_or_else(|| "unknown".to_owned(), |values| units::bitcoin(values.iter().sum()))
}

fn coin_list<'a>(coins: impl Iterator<Item = &'a Coin>, labels: &Labels) -> String {
    let mut table = table(&["height", "coin", "value", "of"], &[0, 2]);
    for coin in coins {
        table.add_row([
            coin.height.to_string(),
            coin.outpoint.to_string(),
            units::bitcoin(i128::from(coin.value.to_sat())),
            labels.owner(&coin.origins).map_or_else(String::new, owner_name),
        ]);
    }
    lines(&table)
}

fn owner_name(owner: Owner) -> String {
    let label = label_name(owner.label);
    owner.index.map_or_else(|| label.clone(), |index| format!("{label} index {index}"))
}

fn keychains(summary: &Summary, labels: &Labels) -> String {
    let mut text = String::new();
    for (label, used) in labels.iter().zip(&summary.keychains) {
        let used = match used {
            KeychainUse::Unused => "unused".to_owned(),
            KeychainUse::LastUsed(index) => format!("used up to index {index}"),
            KeychainUse::UsedSingle => "used".to_owned(),
        };
        text.push_str(&format!("{}: {used}\n", label_name(label)));
    }
    text
}

fn label_name(label: Label) -> String {
    match label.branch {
        Some(branch) => format!("descriptor {} branch {branch}", label.descriptor),
        None => format!("descriptor {}", label.descriptor),
    }
}

fn summary_lines(summary: &Summary, bytes_received: u64) -> String {
    let elapsed = Duration::from_micros(summary.elapsed_micros);
    format!(
        "heights {} to {}: {} ({}) in {}, {}; {} received\n{}\n",
        summary.range.first(),
        summary.range.last(),
        units::counted(summary.blocks_scanned, "block"),
        units::bytes(summary.bytes_scanned),
        units::duration(elapsed),
        units::rate(summary.bytes_scanned, elapsed),
        units::bytes(bytes_received),
        outcome(&summary.outcome),
    )
}

pub(super) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Complete => "complete".to_owned(),
        Outcome::Cancelled => "cancelled: the range was not scanned to its end".to_owned(),
        Outcome::PrunedBelow(height) => {
            format!("pruned: of this range, only blocks from height {height} on are on disk")
        }
        Outcome::ReorganisedFrom(height) => {
            format!("reorganised: the chain changed from height {height} on; scan again from there")
        }
    }
}

/// What a server is and sees.
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
    // A server that is older says nothing of these.
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
            "patience",
            format!(
                "{} s for a scan nobody takes from; {} s for a client that does not read; {} s for a message",
                limits.stalled_after_millis / 1_000,
                limits.unread_after_millis / 1_000,
                limits.message_after_millis / 1_000,
            ),
        );
    }
    let figures = &info.figures;
    row("scans", scans(figures));
    row("connections", connections(figures));
    let troubles = troubles(figures);
    if !troubles.is_empty() {
        row("refused, failed", troubles);
    }
    lines(&table)
}

/// Since the server started, as the rest of the figures.
fn scans(figures: &Figures) -> String {
    let counts = [
        (figures.scans_under_way(), "under way"),
        (figures.scans_cancelled, "cancelled"),
        (figures.scans_pruned, "pruned"),
        (figures.scans_reorganised, "reorganised"),
        (figures.scans_refused, "refused"),
        (figures.scans_failed, "failed"),
        (figures.scans_abandoned, "abandoned"),
    ];
    let mut text = format!("{} complete", units::grouped(figures.scans_complete));
    for (count, how) in counts.into_iter().filter(|(count, _)| *count > 0) {
        text += &format!(", {} {how}", units::grouped(count));
    }
    text + &format!(
        "; {}, {} walked, the last scan at {}/s; {}",
        units::counted(figures.blocks_walked, "block"),
        units::bytes(figures.bytes_walked),
        units::bytes(figures.last_scan_bytes_per_second),
        units::counted(figures.transactions_reported, "transaction"),
    )
}

fn connections(figures: &Figures) -> String {
    format!(
        "{} now, {} in all; {} turned away, {} of other users, {} broken",
        figures.connections_now,
        units::grouped(figures.connections_accepted),
        units::grouped(figures.connections_turned_away),
        units::grouped(figures.connections_of_other_users),
        units::grouped(figures.connections_broken),
    )
}

fn troubles(figures: &Figures) -> String {
    let refused = figures.refusals.iter().map(|(reason, count)| (reason.name(), count));
    let failed = figures.failures.iter().map(|(kind, count)| (kind.name(), count));
    let all: Vec<String> =
        refused.chain(failed).map(|(name, count)| format!("{count} {}", name.replace('_', " "))).collect();
    all.join(", ")
}

/// How far the server's chain is behind the node's; none where that is not known.
fn lag(info: &ServerInfo) -> Option<String> {
    let lag = info.figures.node_tip.lag_blocks(info.chain.tip.map(|tip| tip.height))?;
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
        ChainState::Failed => "the block files could not be read; the server's log says why".to_owned(),
        _ => "unknown to this version".to_owned(),
    }
}

fn node(node: &NodeLink) -> String {
    let state = match node.state {
        NodeLinkState::Off => return "not asked".to_owned(),
        NodeLinkState::Absent => "absent",
        NodeLinkState::Connecting => "connecting",
        NodeLinkState::Connected => "connected",
        NodeLinkState::Lost => "lost",
        NodeLinkState::Refused => "refused",
        _ => "unknown to this version",
    };
    let mut told = state.to_owned();
    if let Ok(since) = u32::try_from(node.since) {
        told.push_str(&format!(" since {} UTC", units::utc(since)));
    }
    if let Some(tip) = &node.tip {
        told.push_str(&format!(", tip {} {}", tip.height, tip.hash));
    }
    if !node.reason.is_empty() {
        told.push_str(&format!(": {}", node.reason));
    }
    told
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
    fn of_the_ways_to_end_those_that_happened_are_named() {
        let figures = Figures { scans_begun: 1_004, scans_complete: 1_000, scans_failed: 1, ..Figures::default() };
        let text = scans(&figures);
        assert!(text.starts_with("1,000 complete, 3 under way, 1 failed; 0 blocks, "), "{text}");
        assert!(!text.contains("abandoned"), "{text}");
    }

    #[test]
    fn troubles_are_named_by_kind_and_left_out_where_there_are_none() {
        assert_eq!(troubles(&Figures::default()), "");
        let (refusals, failures) = (vec![(RefusalReason::BadRange, 2)], vec![(FailureKind::CorruptBlock, 1)]);
        assert_eq!(troubles(&Figures { refusals, failures, ..Figures::default() }), "2 bad range, 1 corrupt block");
    }
}
