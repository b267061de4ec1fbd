//! Transactions and coins.

use rescan_client::bitcoin::Amount;
use rescan_client::coins::Coin;
use rescan_client::report::{BlockReport, Received, Spent, TransactionReport};
use serde::Serialize;

use super::Line;
use crate::wallets::{Labels, Owner, Wallet, WalletResult};

/// A transaction with a match.
#[derive(Debug, Serialize)]
pub(crate) struct TransactionLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet: Option<String>,
    height: u32,
    block_hash: String,
    block_time: u32,
    txid: String,
    tx_index: u32,
    received: Vec<ReceivedField>,
    spent: Vec<SpentField>,
    /// Left out if false; true only in a stream.
    #[serde(skip_serializing_if = "is_false")]
    late: bool,
}

/// An output that is unspent at the end.
#[derive(Debug, Serialize)]
pub(crate) struct CoinLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet: Option<String>,
    txid: String,
    vout: u32,
    value_sat: u64,
    script_pubkey: String,
    #[serde(flatten)]
    owner: OwnerFields,
    height: u32,
    tx_index: u32,
    block_hash: String,
    coinbase: bool,
}

#[derive(Debug, Serialize)]
struct ReceivedField {
    vout: u32,
    value_sat: u64,
    script_pubkey: String,
    #[serde(flatten)]
    owner: OwnerFields,
}

#[derive(Debug, Serialize)]
struct SpentField {
    vin: u32,
    prevout: PrevoutField,
    value_sat: Option<u64>,
    #[serde(flatten)]
    owner: OwnerFields,
}

#[derive(Debug, Serialize)]
struct PrevoutField {
    txid: String,
    vout: u32,
}

/// `descriptor`, `branch` (of a multipath descriptor only) and `index`.
#[derive(Debug, Serialize)]
struct OwnerFields {
    descriptor: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<u32>,
    index: Option<u32>,
}

/// The transactions of a block, one line each.
pub(crate) fn transactions<'a>(report: &'a BlockReport, wallet: &'a Wallet) -> impl Iterator<Item = Line> + 'a {
    report.transactions.iter().map(|it| transaction(report, it, wallet))
}

/// A transaction of the report.
fn transaction(report: &BlockReport, transaction: &TransactionReport, wallet: &Wallet) -> Line {
    let labels = &wallet.labels;
    Line::Transaction(TransactionLine {
        wallet: wallet.name.clone(),
        height: report.height.0,
        block_hash: report.hash.to_string(),
        block_time: report.time,
        txid: transaction.txid.to_string(),
        tx_index: transaction.tx_index,
        received: transaction.received.iter().map(|received| received_field(received, labels)).collect(),
        spent: transaction.spent.iter().map(|spent| spent_field(spent, labels)).collect(),
        late: report.is_late,
    })
}

/// A coin.
pub(super) fn coin(coin: &Coin, wallet: &Wallet) -> Line {
    Line::Coin(CoinLine {
        wallet: wallet.name.clone(),
        txid: coin.outpoint.txid.to_string(),
        vout: coin.outpoint.vout,
        value_sat: coin.value.to_sat(),
        script_pubkey: coin.script_pubkey.to_hex_string(),
        owner: owner_fields(wallet.labels.owner(&coin.origins)),
        height: coin.height.0,
        tx_index: coin.tx_index,
        block_hash: coin.block_hash.to_string(),
        coinbase: coin.is_coinbase(),
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

fn received_field(received: &Received, labels: &Labels) -> ReceivedField {
    ReceivedField {
        vout: received.vout,
        value_sat: received.value.to_sat(),
        script_pubkey: received.script_pubkey.to_hex_string(),
        owner: owner_fields(labels.owner(&received.origins)),
    }
}

fn spent_field(spent: &Spent, labels: &Labels) -> SpentField {
    SpentField {
        vin: spent.vin,
        prevout: PrevoutField { txid: spent.prevout.txid.to_string(), vout: spent.prevout.vout },
        value_sat: spent.value.map(Amount::to_sat),
        owner: owner_fields(labels.owner(&spent.origins)),
    }
}

fn owner_fields(owner: Option<Owner>) -> OwnerFields {
    OwnerFields {
        descriptor: owner.map(|owner| owner.label.descriptor),
        branch: owner.and_then(|owner| owner.label.branch),
        index: owner.and_then(|owner| owner.index),
    }
}

/// The lines of all wallets' transactions in chain order, then of their coins.
pub(crate) fn results(wallets: &[Wallet], results: &[WalletResult]) -> Vec<Line> {
    let of_wallets = || wallets.iter().zip(results);
    let reports = of_wallets().flat_map(|(wallet, result)| result.reports.iter().map(move |report| (wallet, report)));
    let mut transactions: Vec<_> =
        reports.flat_map(|(wallet, report)| report.transactions.iter().map(move |it| (wallet, report, it))).collect();
    // Stable: within a transaction, wallets keep their order.
    transactions.sort_by_key(|(_wallet, report, transaction)| (report.height, transaction.tx_index));
    let coins = of_wallets().flat_map(|(wallet, result)| result.coins.iter().map(move |coin| (wallet, coin)));
    let mut coins: Vec<_> = coins.collect();
    coins.sort_by_key(|(_wallet, coin)| (coin.height, coin.tx_index, coin.outpoint.vout));
    let transactions = transactions.into_iter().map(|(wallet, report, it)| transaction(report, it, wallet));
    transactions.chain(coins.into_iter().map(|(wallet, it)| coin(it, wallet))).collect()
}
