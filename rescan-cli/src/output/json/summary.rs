//! The summary of a scan.

use rescan_client::report::{KeychainUse, Outcome, Summary};
use serde::Serialize;

use super::Line;
use crate::wallets::{Label, Wallet};

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

/// The summary line of one wallet, whose own counts `summary` has.
pub(crate) fn summary(summary: &Summary, wallet: &Wallet, bytes_received: u64) -> Line {
    let (outcome, outcome_height) = match summary.outcome {
        Outcome::Complete => ("complete", None),
        Outcome::Cancelled => ("cancelled", None),
        Outcome::PrunedBelow(height) => ("pruned", Some(height.0)),
        Outcome::ReorganisedFrom(height) => ("reorganised", Some(height.0)),
    };
    let keychains = wallet.labels.iter().zip(&summary.keychains);
    let keychains = keychains.map(|(label, used)| keychain_field(label, *used)).collect();
    Line::Summary(SummaryLine {
        wallet: wallet.name.clone(),
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
        // A descriptor that is not ranged has no index; its transactions show its use.
        KeychainUse::Unused | KeychainUse::UsedSingle => None,
        KeychainUse::LastUsed(index) => Some(index),
    };
    KeychainField { descriptor: label.descriptor, branch: label.branch, last_used_index }
}
