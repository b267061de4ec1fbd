//! The lines that people read of a following, one for each thing that happens. No contract: scripts use `--json`.

use rescan_client::checkpoint::Reverted;
use rescan_client::report::{BlockId, BlockReport, Summary, TransactionReport};

use super::{human, units};

/// The transactions of a block, a line each.
pub(crate) fn transactions(report: &BlockReport) -> String {
    report.transactions.iter().map(|it| transaction(report, it)).collect()
}

fn transaction(report: &BlockReport, transaction: &TransactionReport) -> String {
    let part = |name: &str, value: String| if value.is_empty() { value } else { format!("  {name} {value}") };
    let received = part("received", human::received(transaction));
    let spent = part("spent", human::spent(transaction));
    format!("transaction   {:>9}  {}{received}{spent}\n", report.height, transaction.txid)
}

pub(crate) fn withdrawn(withdrawn: &Reverted) -> String {
    format!("withdrawn     {:>9}  {}\n", withdrawn.height, withdrawn.txid)
}

pub(crate) fn restarted() -> String {
    "restarted: the chain changed deeper than can be taken back; everything above is void\n".to_owned()
}

pub(crate) fn connected(block: &BlockId) -> String {
    format!("connected     {:>9}  {}  {}\n", block.height, block.hash, units::utc(block.time))
}

pub(crate) fn disconnected(block: &BlockId) -> String {
    format!("disconnected  {:>9}  {}\n", block.height, block.hash)
}

pub(crate) fn caught_up(summary: &Summary) -> String {
    let coins = units::counted(summary.unspent_count, "coin");
    let value = units::bitcoin(i128::from(summary.unspent.to_sat()));
    format!("caught up     {:>9}  {}  {coins} unspent, {value} BTC\n", summary.tip.height, summary.tip.hash)
}

/// How a following ended that was not ended from here.
pub(crate) fn stopped(summary: &Summary) -> String {
    format!("{}\n", human::outcome(&summary.outcome))
}
