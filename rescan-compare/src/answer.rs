//! The matches of a run, in the form in which the answers of all methods are compared.
//!
//! It holds the facts that every method learns: transactions by height and id, their watched
//! outputs with values, and their inputs that spend watched coins.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::Txid;
use rescan_core::position::Height;
use rescan_core::report::TransactionReport;

use crate::error::CompareError;

/// The matches of one run. The order in which they were added does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    transactions: BTreeMap<(Height, Txid), Touched>,
}

/// The wallet's parts of a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Index and value in satoshi of each output that pays a watched script.
    received: BTreeMap<u32, u64>,
    /// Index of each input that spends a watched coin.
    spent: BTreeSet<u32>,
}

impl Answer {
    /// Adds a reported transaction.
    pub(crate) fn add(&mut self, height: Height, report: &TransactionReport) {
        for received in &report.received {
            self.received(height, report.txid, received.vout, received.value.to_sat());
        }
        report.spent.iter().for_each(|spent| self.spent(height, report.txid, spent.vin));
    }

    /// Adds an output that pays a watched script; its value is in satoshi.
    pub(crate) fn received(&mut self, height: Height, txid: Txid, vout: u32, value: u64) {
        self.touched(height, txid).received.insert(vout, value);
    }

    /// Adds an input that spends a watched coin.
    pub(crate) fn spent(&mut self, height: Height, txid: Txid, vin: u32) {
        self.touched(height, txid).spent.insert(vin);
    }

    fn touched(&mut self, height: Height, txid: Txid) -> &mut Touched {
        self.transactions.entry((height, txid)).or_default()
    }

    /// The number of transactions.
    pub(crate) fn transactions(&self) -> u64 {
        self.transactions.len() as u64 // usize is at most 64 bits
    }

    /// The number of blocks with a transaction.
    pub(crate) fn matching_blocks(&self) -> u64 {
        let mut last = None;
        self.transactions.keys().filter(|(height, _)| last.replace(*height) != Some(*height)).count() as u64 // as above
    }

    /// Compares it with the expected answer; `method` is the title of its method.
    ///
    /// # Errors
    /// [`CompareError::Differs`] with the first transaction, in chain order, that differs.
    pub(crate) fn agrees_with(&self, expected: &Self, method: &'static str) -> Result<(), CompareError> {
        let mut theirs = expected.transactions.iter().peekable();
        let mut ours = self.transactions.iter().peekable();
        let (place, difference) = loop {
            let missing = "is missing";
            let unexpected = "is there and should not be";
            match (ours.peek().copied(), theirs.peek().copied()) {
                (None, None) => return Ok(()),
                (Some((place, _)), None) => break (*place, unexpected),
                (None, Some((place, _))) => break (*place, missing),
                (Some((place, _)), Some((expected, _))) if place < expected => break (*place, unexpected),
                (Some((place, _)), Some((expected, _))) if place > expected => break (*expected, missing),
                (Some((place, touched)), Some((_, expected))) if touched != expected => {
                    let difference =
                        if touched.received == expected.received { "spends other coins" } else { "pays otherwise" };
                    break (*place, difference);
                }
                (Some(_), Some(_)) => drop((ours.next(), theirs.next())),
            }
        };
        let (height, txid) = place;
        Err(CompareError::Differs { method, height, txid, difference })
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash;
    use proptest::prelude::*;

    use super::*;

    /// A match: height, transaction, index, and a value if it is an output.
    type Part = (u32, u8, u32, Option<u64>);

    fn of(parts: &[Part]) -> Answer {
        let mut answer = Answer::default();
        for (height, transaction, index, value) in parts {
            let (height, txid) = (Height(*height), Txid::from_byte_array([*transaction; 32]));
            match value {
                Some(value) => answer.received(height, txid, *index, *value),
                None => answer.spent(height, txid, *index),
            }
        }
        answer
    }

    fn parts() -> impl Strategy<Value = Vec<Part>> {
        prop::collection::vec((0..4_u32, 0..3_u8, 0..3_u32, prop::option::of(0..2_u64)), 0..12)
    }

    proptest! {
        #[test]
        fn the_order_in_which_matches_come_does_not_matter(parts in parts(), seed in any::<u64>()) {
            // Two values of one output would contradict each other.
            let parts: BTreeMap<_, _> = parts.into_iter().map(|(h, t, i, v)| ((h, t, i, v.is_some()), v)).collect();
            let mut parts: Vec<Part> = parts.into_iter().map(|((h, t, i, _), v)| (h, t, i, v)).collect();
            let answer = of(&parts);
            let by = usize::try_from(seed % 12).expect("it is small") % parts.len().max(1);
            parts.rotate_left(by);
            parts.reverse();
            prop_assert!(of(&parts).agrees_with(&answer, "reversed").is_ok());
        }

        #[test]
        fn answers_agree_exactly_if_they_are_equal(one in parts(), other in parts()) {
            let (one, other) = (of(&one), of(&other));
            prop_assert_eq!(one.agrees_with(&other, "other").is_ok(), one == other);
        }

        #[test]
        fn the_first_difference_in_chain_order_is_named(one in parts(), other in parts()) {
            let (one, other) = (of(&one), of(&other));
            let all = one.transactions.keys().chain(other.transactions.keys());
            let first = all.filter(|place| one.transactions.get(place) != other.transactions.get(place)).min();
            match one.agrees_with(&other, "other") {
                Ok(()) => prop_assert_eq!(first, None),
                Err(CompareError::Differs { height, txid, .. }) => prop_assert_eq!(first, Some(&(height, txid))),
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }

    #[test]
    fn a_difference_is_described() {
        let answer = of(&[(1, 1, 0, Some(5)), (1, 1, 0, None)]);
        let said = |parts: &[Part]| of(parts).agrees_with(&answer, "it").expect_err("they differ").to_string();
        assert!(said(&[]).ends_with("at height 1 is missing"));
        assert!(said(&[(1, 1, 0, Some(6)), (1, 1, 0, None)]).ends_with("pays otherwise"));
        assert!(said(&[(1, 1, 0, Some(5))]).ends_with("spends other coins"));
        assert!(said(&[(0, 1, 0, None)]).contains("at height 0 is there and should not be"));
    }

    #[test]
    fn blocks_and_transactions_are_counted_once() {
        let answer = of(&[(1, 1, 0, Some(5)), (1, 1, 1, None), (1, 2, 0, None), (3, 1, 0, None)]);
        assert_eq!((answer.transactions(), answer.matching_blocks()), (3, 2));
    }
}
