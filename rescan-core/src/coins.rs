//! The coins of a history: the outputs created and not spent.
//!
//! A ledger takes block reports in chain order and keeps one entry for each live coin; a spent coin
//! is removed. It trusts the reports: proof is done elsewhere. It does not know coins from before
//! the range, so their spends change nothing.
//!
//! Invariant: after any sequence of reports, [`CoinLedger::total_sat`] is the sum of the coins'
//! values.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf};

use crate::position::Height;
use crate::report::{BlockReport, Origin, Received, TransactionReport};
use crate::watching::matching::can_be_coin;

/// An output created in the range and not spent in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coin {
    /// The height of the block that created it.
    pub height: Height,
    /// The hash of that block.
    pub block_hash: BlockHash,
    /// The index in the block of the transaction that created it; 0 is the coinbase.
    pub tx_index: u32,
    /// Its outpoint.
    pub outpoint: OutPoint,
    /// Its value.
    pub value: Amount,
    /// The script it pays.
    pub script_pubkey: ScriptBuf,
    /// The entries of the watch set that its script belongs to.
    pub origins: Vec<Origin>,
}

impl Coin {
    /// The coin that an output of a transaction creates. The script is not checked to be spendable.
    #[must_use]
    pub fn created(report: &BlockReport, transaction: &TransactionReport, received: &Received) -> Self {
        Self {
            height: report.height,
            block_hash: report.hash,
            tx_index: transaction.tx_index,
            outpoint: OutPoint { txid: transaction.txid, vout: received.vout },
            value: received.value,
            script_pubkey: received.script_pubkey.clone(),
            origins: received.origins.clone(),
        }
    }

    /// Whether a coinbase created it. Such a coin is spendable only 100 blocks later.
    #[must_use]
    pub fn is_coinbase(&self) -> bool {
        self.tx_index == 0
    }
}

/// The live coins of a history.
#[derive(Clone, Debug, Default)]
pub struct CoinLedger {
    coins: HashMap<OutPoint, Coin>,
    total_sat: u128,
}

impl CoinLedger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies the report of one block. Blocks must come in chain order.
    pub fn apply(&mut self, report: &BlockReport) {
        for transaction in &report.transactions {
            // Inputs first: a transaction cannot spend its own outputs.
            for spent in &transaction.spent {
                self.remove(&spent.prevout);
            }
            for received in &transaction.received {
                if report.height != Height::GENESIS && can_be_coin(received.script_pubkey.as_bytes()) {
                    self.insert(Coin::created(report, transaction, received));
                }
            }
        }
    }

    /// Number of live coins.
    #[must_use]
    pub fn count(&self) -> usize {
        self.coins.len()
    }

    /// Total value of the live coins, in satoshi. Wider than [`Amount`], since reports need not be
    /// of a valid chain.
    #[must_use]
    pub fn total_sat(&self) -> u128 {
        self.total_sat
    }

    /// The live coins by height, index in block and vout.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Coin> {
        let mut coins: Vec<&Coin> = self.coins.values().collect();
        coins.sort_unstable_by_key(|coin| (coin.height, coin.tx_index, coin.outpoint.vout));
        coins
    }

    fn insert(&mut self, coin: Coin) {
        let value = u128::from(coin.value.to_sat());
        match self.coins.entry(coin.outpoint) {
            // BIP30 twins: two coinbases with one txid. In Bitcoin Core's coin database, too, the
            // later one overwrote the earlier.
            Entry::Occupied(mut earlier) => {
                self.total_sat = self.total_sat.saturating_sub(u128::from(earlier.get().value.to_sat()));
                earlier.insert(coin);
            }
            Entry::Vacant(place) => {
                place.insert(coin);
            }
        }
        self.total_sat = self.total_sat.saturating_add(value);
    }

    fn remove(&mut self, outpoint: &OutPoint) {
        if let Some(coin) = self.coins.remove(outpoint) {
            self.total_sat = self.total_sat.saturating_sub(u128::from(coin.value.to_sat()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bitcoin::Txid;
    use bitcoin::hashes::Hash;
    use proptest::prelude::*;

    use super::*;
    use crate::report::Spent;
    use crate::watching::watch_set::SCRIPT_BYTES_MAX;

    fn outpoint(tx: u8, vout: u32) -> OutPoint {
        OutPoint { txid: Txid::from_byte_array([tx; 32]), vout }
    }

    fn receive(vout: u32, sat: u64, script: ScriptBuf) -> Received {
        Received { vout, value: Amount::from_sat(sat), script_pubkey: script, origins: vec![Origin::Script(0)] }
    }

    fn spend(prevout: OutPoint) -> Spent {
        Spent { vin: 0, prevout, value: None, origins: vec![Origin::Script(0)] }
    }

    fn block(height: u32, transactions: Vec<(u8, Vec<Received>, Vec<Spent>)>) -> BlockReport {
        let transactions = (0..)
            .zip(transactions)
            .map(|(tx_index, (tx, received, spent))| TransactionReport {
                tx_index,
                txid: Txid::from_byte_array([tx; 32]),
                received,
                spent,
                raw: None,
                merkle_branch: None,
            })
            .collect();
        BlockReport {
            height: Height(height),
            hash: BlockHash::all_zeros(),
            time: 0,
            is_late: false,
            header: None,
            transactions,
        }
    }

    fn script() -> ScriptBuf {
        ScriptBuf::from(vec![0x51])
    }

    #[test]
    fn a_coin_spent_later_in_its_own_block_is_gone() {
        let mut ledger = CoinLedger::new();
        ledger.apply(&block(
            5,
            vec![
                (1, vec![receive(0, 7, script())], vec![]),
                (2, vec![receive(3, 5, script())], vec![spend(outpoint(1, 0))]),
            ],
        ));
        assert_eq!(ledger.sorted().iter().map(|coin| coin.outpoint).collect::<Vec<_>>(), [outpoint(2, 3)]);
        assert_eq!(ledger.total_sat(), 5);
    }

    #[test]
    fn an_unspendable_output_is_no_coin() {
        let mut ledger = CoinLedger::new();
        let large = ScriptBuf::from(vec![0x51; SCRIPT_BYTES_MAX + 1]);
        let largest = ScriptBuf::from(vec![0x51; SCRIPT_BYTES_MAX]);
        ledger.apply(&block(0, vec![(1, vec![receive(0, 1, script())], vec![])]));
        ledger.apply(&block(
            1,
            vec![(
                2,
                vec![receive(0, 2, ScriptBuf::from(vec![0x6a])), receive(1, 4, large), receive(2, 8, largest)],
                vec![],
            )],
        ));
        assert_eq!((ledger.count(), ledger.total_sat()), (1, 8));
    }

    #[test]
    fn of_bip30_twins_only_the_later_is_a_coin() {
        let mut ledger = CoinLedger::new();
        ledger.apply(&block(1, vec![(9, vec![receive(0, 50, script())], vec![])]));
        ledger.apply(&block(2, vec![(9, vec![receive(0, 40, script())], vec![])]));
        assert_eq!((ledger.count(), ledger.total_sat()), (1, 40));
        assert_eq!(ledger.sorted()[0].height, Height(2));
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_the_coins_and_equals_a_replay_by_map(
            steps in prop::collection::vec((any::<bool>(), 0u8..6, 0u32..3, 0u64..1000), 0..80)
        ) {
            let mut ledger = CoinLedger::new();
            let mut plain = BTreeMap::new();
            for (height, (creates, tx, vout, sat)) in (1..).zip(steps) {
                let (received, spent) = if creates {
                    plain.insert(outpoint(tx, vout), sat);
                    (vec![receive(vout, sat, script())], vec![])
                } else {
                    plain.remove(&outpoint(tx, vout));
                    (vec![], vec![spend(outpoint(tx, vout))])
                };
                ledger.apply(&block(height, vec![(tx, received, spent)]));
            }
            let coins: BTreeMap<_, _> =
                ledger.sorted().into_iter().map(|coin| (coin.outpoint, coin.value.to_sat())).collect();
            prop_assert_eq!(ledger.total_sat(), plain.values().map(|sat| u128::from(*sat)).sum::<u128>());
            prop_assert_eq!(coins, plain);
        }
    }
}
