//! The tables of a finished scan.

use std::time::Duration;

use rescan_client::Deliver;
use rescan_client::coins::Coin;
use rescan_client::report::{BlockReport, KeychainUse, Outcome, Summary, TransactionReport};
use rescan_compare::units;

use super::{lines, table};
use crate::wallets::{Label, Labels, Owner, Wallet, WalletResult};

/// Coins are listed up to this many; `--json` lists those of a larger wallet.
const COINS_LISTED_MAX: usize = 25;

/// One wallet's part of a scan.
#[derive(Clone, Copy)]
pub(crate) struct Section<'a> {
    pub(crate) wallet: &'a Wallet,
    pub(crate) result: &'a WalletResult,
    /// The wallet's own.
    pub(crate) summary: &'a Summary,
}

/// A finished scan: the section of each wallet, then the cost of the whole. `summary` is that of the whole.
pub(crate) fn scan<'a>(
    sections: impl IntoIterator<Item = Section<'a>>,
    deliver: Deliver,
    summary: &Summary,
    bytes_received: u64,
) -> String {
    let sections: String = sections.into_iter().map(|section| section.text(deliver)).collect();
    format!("{sections}{}", cost(summary, bytes_received))
}

impl Section<'_> {
    fn text(self, deliver: Deliver) -> String {
        let Self { wallet, result, summary } = self;
        let mut tables = Vec::new();
        if !result.reports.is_empty() {
            tables.push(transactions(&result.reports));
        }
        let ledger = result.ledger();
        match deliver {
            // The request was for coins, so all are listed.
            Deliver::Coins if !result.coins.is_empty() => tables.push(coin_list(result.coins.iter(), &wallet.labels)),
            Deliver::History if (1..=COINS_LISTED_MAX).contains(&ledger.count()) => {
                tables.push(coin_list(ledger.sorted().into_iter(), &wallet.labels));
            }
            _ => {}
        }
        if !summary.keychains.is_empty() {
            tables.push(keychains(summary, &wallet.labels));
        }
        tables.push(totals(summary, deliver));
        let heading = wallet.name.as_ref().map_or_else(String::new, |name| format!("wallet {name}\n\n"));
        let gap = if wallet.name.is_some() { "\n" } else { "" };
        format!("{heading}{}{gap}", tables.join("\n"))
    }
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

pub(in crate::output) fn received(transaction: &TransactionReport) -> String {
    let total = transaction.received.iter().map(|received| i128::from(received.value.to_sat())).sum();
    if transaction.received.is_empty() { String::new() } else { units::bitcoin(total) }
}

pub(in crate::output) fn spent(transaction: &TransactionReport) -> String {
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

fn cost(summary: &Summary, bytes_received: u64) -> String {
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

pub(in crate::output) fn outcome(outcome: &Outcome) -> String {
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
