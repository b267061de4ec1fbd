//! The number of reported transactions, each counted once even if late reports repeat it.

use std::collections::HashSet;

use rescan_core::position::Height;

/// Transactions by height and index in block: 8 bytes for each that was reported in order.
#[derive(Debug, Default)]
pub(super) struct TransactionCounter {
    /// Ascending.
    in_order: Vec<u64>,
    late: HashSet<u64>,
}

impl TransactionCounter {
    /// Adds a transaction that comes after all others in the chain.
    pub(super) fn add_next(&mut self, height: Height, tx_index: u32) {
        self.in_order.push(key(height, tx_index));
    }

    /// Adds any transaction.
    pub(super) fn add_late(&mut self, height: Height, tx_index: u32) {
        let key = key(height, tx_index);
        if self.in_order.binary_search(&key).is_err() {
            self.late.insert(key);
        }
    }

    pub(super) fn count(&self) -> u64 {
        // One that was late before it came in order is in both: a resumed scan may pass its own
        // blocks again.
        let twice = self.late.iter().filter(|key| self.in_order.binary_search(key).is_ok()).count();
        (self.in_order.len() + self.late.len() - twice) as u64 // usize has at most 64 bits
    }
}

fn key(height: Height, tx_index: u32) -> u64 {
    u64::from(height.0) << 32 | u64::from(tx_index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_counts_once_however_often_and_in_any_order_it_comes() {
        let mut counter = TransactionCounter::default();
        counter.add_late(Height(9), 2);
        counter.add_next(Height(4), 1);
        counter.add_next(Height(9), 2);
        counter.add_late(Height(4), 1);
        counter.add_late(Height(4), 0);
        counter.add_late(Height(4), 0);
        assert_eq!(counter.count(), 3);
    }
}
