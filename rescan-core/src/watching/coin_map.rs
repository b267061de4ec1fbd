//! The coins of whoever matches blocks one after another on one thread: a wallet that filters whole blocks on its own side,
//! a bench, a test. The server's workers share theirs and have something larger.

use std::collections::HashMap;

use bitcoin::OutPoint;

use crate::watching::filter::OutpointFilter;
use crate::watching::matching::{Coins, FoundCoin};
use crate::watching::watch_set::WatchSet;

/// Coins that the filter is laid out for beside the given outpoints. With more it still denies no coin, and passes more
/// that are none.
const EXPECTED_COINS: usize = 10_000;

/// Found coins and the outpoints of one watch set. Coins are never forgotten: a spent one is not spent again.
#[derive(Debug)]
pub struct CoinMap {
    filter: OutpointFilter,
    coins: HashMap<OutPoint, FoundCoin>,
}

impl CoinMap {
    /// No coins yet, and the given outpoints of `watch`.
    #[must_use]
    pub fn new(watch: &WatchSet) -> Self {
        let filter = OutpointFilter::with_capacity(watch.outpoint_count().max(EXPECTED_COINS));
        watch.outpoints().for_each(|outpoint| filter.insert(outpoint));
        Self { filter, coins: HashMap::new() }
    }
}

impl Coins for CoinMap {
    #[inline(always)]
    fn may_hold(&self, txid_word: u64, vout: u32) -> bool {
        self.filter.may_contain(txid_word, vout)
    }

    fn coin(&self, outpoint: &OutPoint) -> Option<FoundCoin> {
        self.coins.get(outpoint).copied()
    }

    fn add(&mut self, outpoint: OutPoint, coin: FoundCoin) {
        self.filter.insert(&outpoint);
        self.coins.insert(outpoint, coin);
    }
}
