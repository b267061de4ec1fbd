//! A history assembled from the reports of a scan.
//!
//! If the gap limit reaches scripts after blocks were scanned, the server reports those blocks
//! again, with the new matches alone. A history takes reports in any order and merges them: blocks
//! by height and hash, transactions by index and txid, outputs by vout, inputs by vin. It trusts
//! the reports, and removes blocks only on [`History::truncate`].
//!
//! Invariant: the same matches in other portions or in another order make the same history, and no
//! report in it is late. If two reports contradict each other, which those of one scan never do,
//! the first one is kept.

use std::collections::BTreeMap;

use bitcoin::BlockHash;

use crate::position::Height;
use crate::report::{BlockReport, Received, Spent, TransactionReport, merge_origins};

/// Reports in chain order, each block once and each transaction whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    blocks: BTreeMap<(Height, BlockHash), BlockReport>,
}

impl History {
    /// An empty history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Merges a report.
    pub fn add(&mut self, report: BlockReport) {
        let BlockReport { height, hash, time, is_late: _, header, transactions } = report;
        let empty = || BlockReport { height, hash, time, is_late: false, header: None, transactions: Vec::new() };
        let block = self.blocks.entry((height, hash)).or_insert_with(empty);
        block.header = block.header.or(header);
        for transaction in transactions {
            let known = entry(&mut block.transactions, transaction_key(&transaction), transaction_key, || {
                let TransactionReport { tx_index, txid, .. } = transaction;
                let (received, spent) = (Vec::new(), Vec::new());
                TransactionReport { tx_index, txid, received, spent, raw: None, merkle_branch: None }
            });
            join(known, transaction);
        }
    }

    /// Removes the blocks from a height upwards, after a reorganisation.
    pub fn truncate(&mut self, from: Height) {
        self.blocks.retain(|(height, _hash), _report| *height < from);
    }

    /// The reports in chain order; none of them is late.
    pub fn reports(&self) -> impl Iterator<Item = &BlockReport> {
        self.blocks.values()
    }

    /// The reports in chain order; none of them is late.
    pub fn into_reports(self) -> impl Iterator<Item = BlockReport> {
        self.blocks.into_values()
    }

    /// Whether there is no report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Number of transactions.
    #[must_use]
    pub fn transaction_count(&self) -> usize {
        self.blocks.values().map(|report| report.transactions.len()).sum()
    }
}

impl Extend<BlockReport> for History {
    fn extend<I: IntoIterator<Item = BlockReport>>(&mut self, reports: I) {
        reports.into_iter().for_each(|report| self.add(report));
    }
}

impl FromIterator<BlockReport> for History {
    fn from_iter<I: IntoIterator<Item = BlockReport>>(reports: I) -> Self {
        let mut history = Self::new();
        history.extend(reports);
        history
    }
}

fn transaction_key(transaction: &TransactionReport) -> (u32, bitcoin::Txid) {
    (transaction.tx_index, transaction.txid)
}

fn join(known: &mut TransactionReport, new: TransactionReport) {
    known.raw = known.raw.take().or(new.raw);
    known.merkle_branch = known.merkle_branch.take().or(new.merkle_branch);
    for Received { vout, value, script_pubkey, origins } in new.received {
        let empty = || Received { vout, value, script_pubkey, origins: Vec::new() };
        let output = entry(&mut known.received, vout, |received| received.vout, empty);
        merge_origins(&mut output.origins, origins);
    }
    for Spent { vin, prevout, value, origins } in new.spent {
        let empty = || Spent { vin, prevout, value: None, origins: Vec::new() };
        let input = entry(&mut known.spent, vin, |spent| spent.vin, empty);
        input.value = input.value.or(value);
        merge_origins(&mut input.origins, origins);
    }
}

/// The item with that key in a list sorted by key; inserted if it is missing.
fn entry<T, K: Ord + Copy>(items: &mut Vec<T>, key: K, key_of: impl Fn(&T) -> K, new: impl FnOnce() -> T) -> &mut T {
    let place = match items.binary_search_by(|item| key_of(item).cmp(&key)) {
        Ok(place) => place,
        Err(place) => {
            items.insert(place, new());
            place
        }
    };
    &mut items[place]
}

#[cfg(test)]
mod tests;
