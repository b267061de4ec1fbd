//! The steps of a fill.

use std::time::Duration;

use rescan_fill::{Difference, Found, Item, MissingBlock, Plan, Run};
use rescan_node::ListedDescriptor;
use serde::Serialize;

/// A step of `rescan fill`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum FillLine {
    Wallet { name: String, is_new: bool, descriptors: u64, private_keys: bool },
    Scanned { from_height: u32, to_height: u32, tip_hash: String, transactions: u64, coins: u64, total_sat: u64 },
    Plan { matched_blocks: u64, calls: u64, blocks_in_calls: u64, from_height: u32, to_height: u32 },
    Import { method: &'static str, descriptor: Option<String>, range_end: Option<u32>, keypool: Option<u32> },
    Call { method: &'static str, from_height: u32, to_height: u32, milliseconds: Option<u64> },
    MissingBlock { height: u32, block_hash: String },
    Fetching { height: u32, block_hash: String },
    Fetched { height: u32, block_hash: String },
    Reorganised { height: u32 },
    Difference { item: &'static str, txid: String, vout: Option<u32>, reason: String, expected: bool },
    Summary(FillSummary),
}

/// The end of a fill. Counts of the wallet are null if it was interrupted before the scan's end.
#[derive(Debug, Serialize)]
pub(crate) struct FillSummary {
    pub(crate) wallet: String,
    pub(crate) outcome: &'static str,
    pub(crate) from_height: Option<u32>,
    pub(crate) to_height: Option<u32>,
    pub(crate) transactions: Option<u64>,
    pub(crate) coins: Option<u64>,
    pub(crate) total_sat: Option<u64>,
    pub(crate) calls: u64,
    pub(crate) blocks_in_calls: u64,
    pub(crate) missing_blocks: u64,
    pub(crate) differences: u64,
    pub(crate) milliseconds: u64,
}

impl FillLine {
    pub(crate) fn scanned(found: &Found) -> Self {
        Self::Scanned {
            from_height: found.from.0,
            to_height: found.tip.height.0,
            tip_hash: found.tip.hash.to_string(),
            transactions: found.transactions,
            coins: found.coins,
            total_sat: found.unspent.to_sat(),
        }
    }

    pub(crate) fn plan(plan: &Plan, found: &Found) -> Self {
        Self::Plan {
            matched_blocks: plan.matches(),
            calls: u64::try_from(plan.runs.len()).unwrap_or(u64::MAX),
            blocks_in_calls: plan.blocks(),
            from_height: found.from.0,
            to_height: found.tip.height.0,
        }
    }

    pub(crate) fn import(descriptor: &ListedDescriptor) -> Self {
        Self::Import {
            method: "importdescriptors",
            descriptor: Some(descriptor.desc.clone()),
            range_end: descriptor.range.map(rescan_node::IndexRange::last),
            keypool: None,
        }
    }

    pub(crate) fn keypool(size: u32) -> Self {
        Self::Import { method: "keypoolrefill", descriptor: None, range_end: None, keypool: Some(size) }
    }

    pub(crate) fn call(run: &Run, took: Option<Duration>) -> Self {
        let (from_height, to_height) = (run.first, run.last);
        Self::Call { method: "rescanblockchain", from_height, to_height, milliseconds: took.map(milliseconds) }
    }

    pub(crate) fn missing(block: MissingBlock) -> Self {
        Self::MissingBlock { height: block.height.0, block_hash: block.hash.to_string() }
    }

    pub(crate) fn fetching(block: MissingBlock) -> Self {
        Self::Fetching { height: block.height.0, block_hash: block.hash.to_string() }
    }

    pub(crate) fn fetched(block: MissingBlock) -> Self {
        Self::Fetched { height: block.height.0, block_hash: block.hash.to_string() }
    }

    pub(crate) fn difference(difference: &Difference) -> Self {
        let (item, txid, vout) = match difference.item {
            Item::Transaction(txid) => ("transaction", txid, None),
            Item::Coin(outpoint) => ("coin", outpoint.txid, Some(outpoint.vout)),
        };
        let (reason, expected) = (difference.reason.to_string(), difference.is_expected());
        Self::Difference { item, txid: txid.to_string(), vout, reason, expected }
    }
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
