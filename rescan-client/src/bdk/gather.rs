//! Collects the transactions of a scan and their confirmations, in BDK's types.
//!
//! A late report may name a transaction again: the same transaction in the same block, kept once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bdk_wallet::chain::{BlockId, ConfirmationBlockTime, TxUpdate};
use bitcoin::{BlockHash, Transaction, consensus};
use futures::StreamExt;
use rescan_core::report::{BlockReport, Progress, Summary, TransactionReport};

use super::error::BdkError;
use crate::{CallError, ScanEvent, ScanStream};

/// The results of a scan.
pub(super) struct Gathered {
    pub(super) tx_update: TxUpdate<ConfirmationBlockTime>,
    pub(super) summary: Summary,
}

impl Gathered {
    /// The blocks with a transaction in them, by height: those of one chain.
    pub(super) fn anchor_blocks(&self) -> BTreeMap<u32, BlockHash> {
        let block = |(anchor, _): &(ConfirmationBlockTime, _)| (anchor.block_id.height, anchor.block_id.hash);
        self.tx_update.anchors.iter().map(block).collect()
    }
}

/// Reads the stream up to its summary. At each mark, `inspect` is called.
pub(super) async fn gather(
    stream: &mut ScanStream,
    inspect: &mut Option<impl FnMut(&Progress) + Send>,
) -> Result<Gathered, BdkError> {
    let mut transactions = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    while let Some(event) = stream.next().await.transpose()? {
        match event {
            ScanEvent::Report(report) => {
                let anchor = anchor(&report);
                for transaction in &report.transactions {
                    anchors.insert((anchor, transaction.txid));
                    if let Entry::Vacant(place) = transactions.entry(transaction.txid) {
                        place.insert(Arc::new(decode(transaction)?));
                    }
                }
            }
            ScanEvent::Finished(summary) => {
                let mut tx_update = TxUpdate::default();
                tx_update.txs = transactions.into_values().collect();
                tx_update.anchors = anchors;
                return Ok(Gathered { tx_update, summary });
            }
            ScanEvent::Settled(_) => {
                // If the call fails, the stream has the reason.
                if let Some(inspect) = inspect
                    && let Ok(progress) = stream.progress().await
                {
                    inspect(&progress);
                }
            }
            ScanEvent::Coin(_) => {}
        }
    }
    Err(CallError::Ended.into())
}

fn anchor(report: &BlockReport) -> ConfirmationBlockTime {
    let block_id = BlockId { height: report.height.0, hash: report.hash };
    ConfirmationBlockTime { block_id, confirmation_time: u64::from(report.time) }
}

fn decode(report: &TransactionReport) -> Result<Transaction, BdkError> {
    let txid = report.txid;
    let raw = report.raw.as_ref().ok_or(BdkError::NoBytes { txid })?;
    consensus::deserialize(raw).map_err(|source| BdkError::BadBytes { txid, source })
}
