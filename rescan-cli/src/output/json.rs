//! The JSON Lines that `--json` prints: a contract. One struct a line type; field names, their order and their types are
//! what scripts rely on, and the tests hold them to it byte by byte.
//!
//! It only shapes; what is printed when is decided elsewhere.

mod figures;
mod info;

use rescan_client::bitcoin::{Amount, Network};
use rescan_client::checkpoint::Reverted;
use rescan_client::coins::Coin;
use rescan_client::report::{BlockId, BlockReport, KeychainUse, Outcome, Received, Spent, Summary, TransactionReport};
use serde::Serialize;

use self::info::InfoLine;
pub(crate) use self::info::info;
use crate::labels::{Label, Labels, Owner};
use crate::parties::Party;

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Line {
    Transaction(TransactionLine),
    Coin(CoinLine),
    Withdrawn(WithdrawnLine),
    Restarted,
    Connected(BlockLine),
    Disconnected(BlockLine),
    Summary(SummaryLine),
    Info(Box<InfoLine>),
}

/// A transaction that touches the watch set.
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
    /// Only where it is true, which it is only in a stream.
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

/// A transaction that was printed before, in a block that the chain has left.
#[derive(Debug, Serialize)]
pub(crate) struct WithdrawnLine {
    height: u32,
    block_hash: String,
    txid: String,
}

/// A block that the chain gained or left.
#[derive(Debug, Serialize)]
pub(crate) struct BlockLine {
    height: u32,
    block_hash: String,
}

/// How a scan ended.
#[derive(Debug, Serialize)]
pub(crate) struct SummaryLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet: Option<String>,
    outcome: &'static str,
    from_height: u32,
    to_height: u32,
    tip_hash: String,
    transactions: u64,
    unspent_count: u64,
    unspent_sat: u64,
    keychains: Vec<KeychainField>,
    blocks_scanned: u64,
    bytes_scanned: u64,
    bytes_received: u64,
    prepare_ms: u64,
    elapsed_ms: u64,
    outcome_height: Option<u32>,
    locator: Vec<String>,
}

#[derive(Debug, Serialize)]
struct KeychainField {
    descriptor: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<u32>,
    last_used_index: Option<u32>,
}

/// What a party has of one block, a line a transaction.
pub(crate) fn transactions<'a>(report: &'a BlockReport, party: &'a Party) -> impl Iterator<Item = Line> + 'a {
    report.transactions.iter().map(|it| transaction(report, it, party))
}

/// A transaction of the report's.
pub(crate) fn transaction(report: &BlockReport, transaction: &TransactionReport, party: &Party) -> Line {
    let labels = &party.labels;
    Line::Transaction(TransactionLine {
        wallet: party.wallet.clone(),
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
pub(crate) fn coin(coin: &Coin, party: &Party) -> Line {
    Line::Coin(CoinLine {
        wallet: party.wallet.clone(),
        txid: coin.outpoint.txid.to_string(),
        vout: coin.outpoint.vout,
        value_sat: coin.value.to_sat(),
        script_pubkey: coin.script_pubkey.to_hex_string(),
        owner: owner_fields(party.labels.owner(&coin.origins)),
        height: coin.height.0,
        tx_index: coin.tx_index,
        block_hash: coin.block_hash.to_string(),
        coinbase: coin.is_coinbase(),
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
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

/// A transaction that is taken back.
pub(crate) fn withdrawn(reverted: &Reverted) -> Line {
    let Reverted { height, block_hash, txid } = reverted;
    let (block_hash, txid) = (block_hash.to_string(), txid.to_string());
    Line::Withdrawn(WithdrawnLine { height: height.0, block_hash, txid })
}

/// A block that the chain gained.
pub(crate) fn connected(block: &BlockId) -> Line {
    Line::Connected(block_line(block))
}

/// A block that the chain left.
pub(crate) fn disconnected(block: &BlockId) -> Line {
    Line::Disconnected(block_line(block))
}

fn block_line(block: &BlockId) -> BlockLine {
    BlockLine { height: block.height.0, block_hash: block.hash.to_string() }
}

/// The last line that a party has of a scan.
pub(crate) fn summary(summary: &Summary, party: &Party, bytes_received: u64) -> Line {
    let (outcome, outcome_height) = match summary.outcome {
        Outcome::Complete => ("complete", None),
        Outcome::Cancelled => ("cancelled", None),
        Outcome::PrunedBelow(height) => ("pruned", Some(height.0)),
        Outcome::ReorganisedFrom(height) => ("reorganised", Some(height.0)),
    };
    let keychains = party.labels.iter().zip(&summary.keychains);
    let keychains = keychains.map(|(label, used)| keychain_field(label, *used)).collect();
    Line::Summary(SummaryLine {
        wallet: party.wallet.clone(),
        outcome,
        from_height: summary.range.first().0,
        to_height: summary.range.last().0,
        tip_hash: summary.tip.hash.to_string(),
        transactions: summary.transactions,
        unspent_count: summary.unspent_count,
        unspent_sat: summary.unspent.to_sat(),
        keychains,
        blocks_scanned: summary.blocks_scanned,
        bytes_scanned: summary.bytes_scanned,
        bytes_received,
        prepare_ms: summary.prepare_micros / 1000,
        elapsed_ms: summary.elapsed_micros / 1000,
        outcome_height,
        locator: summary.locator.iter().map(ToString::to_string).collect(),
    })
}

fn keychain_field(label: Label, used: KeychainUse) -> KeychainField {
    let last_used_index = match used {
        // What is not ranged has no index to name; that it was used shows in the transactions.
        KeychainUse::Unused | KeychainUse::UsedSingle => None,
        KeychainUse::LastUsed(index) => Some(index),
    };
    KeychainField { descriptor: label.descriptor, branch: label.branch, last_used_index }
}

/// As the protocol names networks.
pub(crate) fn network_name(network: Network) -> &'static str {
    match network {
        Network::Bitcoin => "main",
        Network::Testnet => "testnet3",
        Network::Testnet4 => "testnet4",
        Network::Signet => "signet",
        Network::Regtest => "regtest",
    }
}

#[cfg(test)]
mod tests;
