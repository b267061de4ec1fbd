//! The tables and sentences of the demo.

use rescan_client::Deliver;
use rescan_client::coins::Coin;
use rescan_client::report::{BlockReport, TransactionReport};
use rescan_compare::units;

use super::core_result::CoreResult;
use super::rescan::{Rescanned, WholeBlocks};
use crate::output::tables::{self, Section, lines, table};

/// The whole history of one wallet.
pub(super) fn history(rescanned: &Rescanned) -> String {
    let Rescanned { wallet, found, bytes_received, .. } = rescanned;
    let section = Section { wallet, result: &found.result, summary: &found.summary };
    tables::scan([section], Deliver::History, &found.summary, *bytes_received)
}

/// One line per wallet.
pub(super) fn totals(wallets: &[Rescanned]) -> String {
    let header = ["wallet", "transactions", "in blocks", "from", "to", "coins", "total BTC", "received", "equals Core"];
    let mut rows = table(&header, &[1, 2, 3, 4, 5, 6, 7]);
    for wallet in wallets {
        let found = &wallet.found;
        let height = |report: Option<&BlockReport>| report.map_or_else(String::new, |it| it.height.to_string());
        rows.add_row([
            wallet.name.clone(),
            units::grouped(found.summary.transactions),
            found.result.reports.len().to_string(),
            height(found.result.reports.first()),
            height(found.result.reports.last()),
            found.coins.count().to_string(),
            units::bitcoin(i128::try_from(found.coins.total_sat()).unwrap_or(i128::MAX)),
            units::bytes(wallet.bytes_received),
            if wallet.differences.is_empty() {
                "yes".to_owned()
            } else {
                format!("NO: {}", wallet.differences.join(", "))
            },
        ]);
    }
    lines(&rows)
}

/// Transactions shown of each wallet, if all wallets are.
const LATEST: usize = 2;

/// The last transactions of each wallet.
pub(super) fn latest(wallets: &[Rescanned]) -> String {
    let mut rows = table(&["the last of", "height", "transaction", "change BTC", "unspent of it"], &[1, 3, 4]);
    for wallet in wallets {
        let found = &wallet.found;
        let transactions =
            found.result.reports.iter().flat_map(|report| report.transactions.iter().map(move |tx| (report, tx)));
        let transactions: Vec<_> = transactions.collect();
        for (report, transaction) in transactions.iter().rev().take(LATEST).rev() {
            let is_left = |coin: &&Coin| coin.outpoint.txid == transaction.txid;
            rows.add_row([
                wallet.name.clone(),
                report.height.to_string(),
                transaction.txid.to_string(),
                units::bitcoin(change_sat(transaction)),
                units::counted(found.coins.sorted().into_iter().filter(is_left).count() as u64, "coin"),
            ]);
        }
    }
    lines(&rows)
}

/// A transaction's change of the balance, in satoshi. A demo wallet spends only coins that it received, whose values are known.
fn change_sat(transaction: &TransactionReport) -> i128 {
    let received: i128 = transaction.received.iter().map(|output| i128::from(output.value.to_sat())).sum();
    let spent: i128 = transaction.spent.iter().filter_map(|input| input.value).map(|it| i128::from(it.to_sat())).sum();
    received - spent
}

pub(super) fn verdict(wallets: &[Rescanned], core: &CoreResult) -> String {
    let differ: Vec<String> = wallets
        .iter()
        .filter(|wallet| !wallet.differences.is_empty())
        .map(|wallet| format!("{} ({})", wallet.name, wallet.differences.join(", ")))
        .collect();
    let version = core.version();
    if differ.is_empty() {
        let equal = match wallets {
            [only] => format!("{} equals", only.name),
            all => format!("All {} wallets equal", all.len()),
        };
        format!(
            "\n{equal} the result of Bitcoin Core {version}: each transaction with its block and index, each coin.\n"
        )
    } else {
        format!("\nDifferent from the result of Bitcoin Core {version}: {}.\n", differ.join("; "))
    }
}

pub(super) fn cost(wallets: &[Rescanned], whole: &WholeBlocks) -> String {
    let summaries: u64 = wallets.iter().map(|wallet| wallet.bytes_received).sum();
    let rescans = u64::try_from(wallets.len()).unwrap_or(u64::MAX);
    format!(
        "\nReceived over the socket: {} for {} by summaries, {} by {} whole ({} each time).\n\
         These wallets match in most blocks of a tiny chain; on a real chain summaries stay this size, and blocks grow.\n\
         rescan demo --wallet NAME prints the whole history of one of them.\n",
        units::bytes(summaries),
        units::counted(rescans, "rescan"),
        units::bytes(whole.bytes_received.saturating_mul(rescans)),
        units::counted(whole.blocks, "block"),
        units::bytes(whole.bytes_received),
    )
}
