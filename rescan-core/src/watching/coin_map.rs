//! The coins of a single-threaded matcher: a wallet that filters whole blocks itself, a bench, or a
//! test. The server's workers share a larger structure.

use std::collections::HashMap;

use bitcoin::OutPoint;

use crate::watching::filter::OutpointFilter;
use crate::watching::matching::{Coins, FoundCoin};
use crate::watching::watch_set::WatchSet;

/// Coins that the filter is sized for, beside the given outpoints. With more, it passes more false
/// positives and still denies no coin.
const EXPECTED_COINS: usize = 10_000;

/// Found coins and the given outpoints of one watch set. Coins are never removed: a spent coin is
/// not spent again.
#[derive(Debug)]
pub struct CoinMap {
    filter: OutpointFilter,
    coins: HashMap<OutPoint, FoundCoin>,
}

impl CoinMap {
    /// A map without coins, for the given outpoints of `watch`.
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
