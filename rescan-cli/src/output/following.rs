//! Lines of text for the events of a chain that is followed. No contract: scripts use `--json`.

use rescan_client::Reverted;
use rescan_client::report::{BlockId, BlockReport, Summary, TransactionReport};
use rescan_compare::units;

use super::tables;
use crate::wallets::Wallet;

/// The transactions of a block, one line each.
pub(super) fn transactions(report: &BlockReport, wallet: &Wallet) -> String {
    report.transactions.iter().map(|it| transaction(report, it, wallet)).collect()
}

fn transaction(report: &BlockReport, transaction: &TransactionReport, wallet: &Wallet) -> String {
    let field = |name: &str, value: String| if value.is_empty() { value } else { format!("  {name} {value}") };
    let received = field("received", tables::received(transaction));
    let spent = field("spent", tables::spent(transaction));
    let name = field("wallet", wallet.name.clone().unwrap_or_default());
    format!("transaction   {:>9}  {}{received}{spent}{name}\n", report.height, transaction.txid)
}

pub(super) fn reverted(reverted: &Reverted) -> String {
    format!("withdrawn     {:>9}  {}\n", reverted.height, reverted.txid)
}

pub(super) fn restarted() -> String {
    "restarted: a reorganisation too deep to revert; all lines above are void\n".to_owned()
}

pub(super) fn connected(block: &BlockId) -> String {
    format!("connected     {:>9}  {}  {}\n", block.height, block.hash, units::utc(block.time))
}

pub(super) fn disconnected(block: &BlockId) -> String {
    format!("disconnected  {:>9}  {}\n", block.height, block.hash)
}

pub(super) fn caught_up(summary: &Summary) -> String {
    let coins = units::counted(summary.unspent_count, "coin");
    let value = units::bitcoin(i128::from(summary.unspent.to_sat()));
    format!("caught up     {:>9}  {}  {coins} unspent, {value} BTC\n", summary.tip.height, summary.tip.hash)
}

/// The outcome of a scan that the server ended early.
pub(super) fn stopped(summary: &Summary) -> String {
    format!("{}\n", tables::outcome(&summary.outcome))
}
