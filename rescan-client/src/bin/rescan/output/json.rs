//! The JSON Lines that `--json` prints: a contract. One struct a line type; field names, their order and their types are
//! what scripts rely on, and the tests hold them to it byte by byte.
//!
//! It only shapes; what is printed when is decided elsewhere.

mod figures;

use rescan_client::bitcoin::{Amount, Network};
use rescan_client::checkpoint::Withdrawn;
use rescan_client::coins::Coin;
use rescan_client::report::{BlockId, BlockReport, KeychainUse, Outcome, Received, Spent, Summary, TransactionReport};
use rescan_client::server_info::{ChainSource, ChainState, Feature, Limits, NodeLink, NodeLinkState, ServerInfo};
use serde::Serialize;

use self::figures::FiguresField;
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

/// What a server is and sees.
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
pub(crate) fn withdrawn(withdrawn: &Withdrawn) -> Line {
    let Withdrawn { height, block_hash, txid } = withdrawn;
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

#[cfg(test)]
mod tests;
