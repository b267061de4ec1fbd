//! The tables that people read. No contract: scripts use `--json`.

use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, presets};
use rescan_client::Deliver;
use rescan_client::coins::Coin;
use rescan_client::report::{BlockReport, KeychainUse, Outcome, Summary, TransactionReport};
use rescan_client::server_info::{ChainSource, ChainState, ServerInfo};

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
    lines(&table)
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

fn source(source: ChainSource) -> &'static str {
    match source {
        ChainSource::Files => "from files, not confirmed by a node",
        ChainSource::Node => "confirmed by the node",
        _ => "unknown to this version",
    }
}
