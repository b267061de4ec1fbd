//! The coins that a scan has found and not yet seen spent, shared by its workers.
//!
//! Workers run ahead of chain order, so that one may miss a coin that an earlier segment finds
//! meanwhile. Therefore coins are committed segment by segment in chain order, and each worker
//! records the number of commits at its start. [`FoundCoins::since`] returns the coins of later
//! commits. A spent coin is forgotten.
//!
//! Invariant: the filter passes every committed coin, every given outpoint, and every coin of the
//! worker that asks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bitcoin::{Amount, OutPoint};
use indexmap::IndexMap;
use rescan_core::position::Height;
use rescan_core::report::BlockReport;
use rescan_core::watching::filter::OutpointFilter;
use rescan_core::watching::matching::{Coins, FoundCoin, can_be_coin};
use rescan_core::watching::watch_set::{ScriptId, WatchSet};

/// The number of found coins for which the first filter is sized; a full one is replaced by one for
/// twice as many.
const FIRST_CAPACITY: usize = 1_024;

/// The coins of one scan.
#[derive(Debug)]
pub(super) struct FoundCoins {
    /// Every filter holds its given outpoints.
    watch: Arc<WatchSet>,
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Entries are contiguous, and the table beside them holds positions: half the memory of a
    /// table of entries, which has to move none of them when it grows.
    coins: IndexMap<OutPoint, StoredCoin>,
    /// The sum of the coins. Wide, since in unproven blocks any eight bytes may be an amount.
    total_sat: u128,
    filter: Arc<OutpointFilter>,
    /// The number of words for which the filter is sized, and of those inserted.
    capacity: usize,
    inserted: usize,
    /// The coins of the latest commits, as far back as a worker may have missed them; the newest at
    /// the back.
    log: VecDeque<Vec<OutPoint>>,
    /// The number of committed segments.
    committed: u64,
}

/// A coin with its position in the chain. Its amount is stored as bytes, which avoids padding.
#[derive(Clone, Copy, Debug)]
struct StoredCoin {
    value_sat: [u8; 8],
    script: ScriptId,
    height: Height,
    tx_index: u32,
}

/// A coin that was not seen spent, with its position in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnspentCoin {
    pub(super) height: Height,
    pub(super) tx_index: u32,
    pub(super) outpoint: OutPoint,
    pub(super) coin: FoundCoin,
}

impl StoredCoin {
    fn new(coin: FoundCoin, height: Height, tx_index: u32) -> Self {
        Self { value_sat: coin.value.to_sat().to_le_bytes(), script: coin.script, height, tx_index }
    }

    fn coin(self) -> FoundCoin {
        FoundCoin { value: Amount::from_sat(u64::from_le_bytes(self.value_sat)), script: self.script }
    }
}

/// The totals of a scan's coins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoinTotals {
    /// Their number.
    pub count: u64,
    /// Their sum, in satoshi.
    pub total_sat: u64,
}

impl FoundCoins {
    /// No coins; the filter holds the given outpoints of `watch`.
    pub(super) fn new(watch: Arc<WatchSet>) -> Self {
        let capacity = FIRST_CAPACITY.saturating_add(watch.outpoint_count());
        let inner = Inner {
            coins: IndexMap::new(),
            total_sat: 0,
            filter: Arc::new(filter_of(capacity, &watch, &IndexMap::new())),
            capacity,
            inserted: watch.outpoint_count(),
            log: VecDeque::new(),
            committed: 0,
        };
        Self { watch, inner: RwLock::new(inner) }
    }

    /// The coins against which a worker matches a segment: those committed so far, and its own.
    pub(super) fn view(&self) -> CoinView<'_> {
        let inner = self.read();
        CoinView { filter: Arc::clone(&inner.filter), known: inner.committed, shared: self, found: HashMap::new() }
    }

    /// The unspent coins of all commits after the first `known`.
    pub(super) fn since(&self, known: u64) -> Vec<OutPoint> {
        let inner = self.read();
        let commits = usize::try_from(inner.committed.saturating_sub(known)).unwrap_or(usize::MAX);
        assert!(commits <= inner.log.len(), "a segment is {commits} commits behind, {} are kept", inner.log.len());
        let skip = inner.log.len().saturating_sub(commits);
        let coins = inner.log.iter().skip(skip).flatten();
        coins.filter(|outpoint| inner.coins.contains_key(*outpoint)).copied().collect()
    }

    /// Commits the settled reports of the next segment in chain order, and forgets which coins came
    /// with the first `known_to_all` commits. Returns the number of coins that the segment made.
    pub(super) fn commit(
        &self,
        reports: &[BlockReport],
        found: &HashMap<OutPoint, FoundCoin>,
        known_to_all: u64,
    ) -> usize {
        let mut inner = self.write();
        let mut made = Vec::new();
        for report in reports {
            for transaction in &report.transactions {
                for spent in &transaction.spent {
                    inner.remove(&spent.prevout);
                }
                if report.height == Height::GENESIS {
                    continue; // its output never entered the UTXO set
                }
                for received in
                    transaction.received.iter().filter(|output| can_be_coin(output.script_pubkey.as_bytes()))
                {
                    let outpoint = OutPoint { txid: transaction.txid, vout: received.vout };
                    if let Some(coin) = found.get(&outpoint) {
                        inner.insert(outpoint, StoredCoin::new(*coin, report.height, transaction.tx_index));
                        made.push(outpoint);
                    }
                }
            }
        }
        let count = made.len();
        inner.grow_filter(&self.watch);
        inner.committed += 1; // a chain has fewer segments than blocks
        inner.log.push_back(made);
        let kept = usize::try_from(inner.committed.saturating_sub(known_to_all)).unwrap_or(usize::MAX);
        let forgotten = inner.log.len().saturating_sub(kept);
        inner.log.drain(..forgotten);
        count
    }

    /// The number of committed segments.
    pub(super) fn committed(&self) -> u64 {
        self.read().committed
    }

    /// The totals of unspent coins.
    pub(super) fn totals(&self) -> CoinTotals {
        let inner = self.read();
        CoinTotals { count: inner.coins.len() as u64, total_sat: u64::try_from(inner.total_sat).unwrap_or(u64::MAX) }
    }

    /// The totals of unspent coins that pay a script for which `counts` holds.
    pub(super) fn totals_of(&self, counts: impl Fn(ScriptId) -> bool) -> CoinTotals {
        let inner = self.read();
        let counted = inner.coins.values().filter(|stored| counts(stored.script));
        let (count, total) = counted.fold((0, 0_u128), |(count, total), stored| {
            (count + 1, total.saturating_add(u128::from(stored.coin().value.to_sat())))
        });
        CoinTotals { count, total_sat: u64::try_from(total).unwrap_or(u64::MAX) }
    }

    /// The slots of unspent coins, by height, index in block and output. Valid until the next
    /// commit.
    pub(super) fn sorted(&self) -> Vec<usize> {
        let inner = self.read();
        let mut slots: Vec<usize> = (0..inner.coins.len()).collect();
        slots.sort_unstable_by_key(|slot| {
            inner.coins.get_index(*slot).map(|(outpoint, stored)| (stored.height, stored.tx_index, outpoint.vout))
        });
        slots
    }

    /// The coin in a slot.
    pub(super) fn unspent(&self, slot: usize) -> Option<UnspentCoin> {
        self.read().coins.get_index(slot).map(|(outpoint, stored)| UnspentCoin {
            height: stored.height,
            tx_index: stored.tx_index,
            outpoint: *outpoint,
            coin: stored.coin(),
        })
    }

    // A worker's panic ends its scan, so that the state of its coins no longer matters.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn insert(&mut self, outpoint: OutPoint, stored: StoredCoin) {
        // Of two transactions with one id (BIP30) only the later's output is a coin.
        self.remove(&outpoint);
        self.filter.insert(&outpoint);
        self.inserted = self.inserted.saturating_add(1);
        self.total_sat = self.total_sat.saturating_add(u128::from(stored.coin().value.to_sat()));
        self.coins.insert(outpoint, stored);
    }

    fn remove(&mut self, outpoint: &OutPoint) {
        if let Some(stored) = self.coins.swap_remove(outpoint) {
            self.total_sat = self.total_sat.saturating_sub(u128::from(stored.coin().value.to_sat()));
        }
    }

    /// Replaces a full filter, without the spent coins.
    fn grow_filter(&mut self, watch: &WatchSet) {
        if self.inserted <= self.capacity {
            return;
        }
        self.inserted = self.coins.len().saturating_add(watch.outpoint_count());
        self.capacity = self.inserted.saturating_mul(2);
        self.filter = Arc::new(filter_of(self.capacity, watch, &self.coins));
    }
}

/// One worker's view of the coins while it walks a segment.
#[derive(Debug)]
pub(super) struct CoinView<'a> {
    filter: Arc<OutpointFilter>,
    known: u64,
    shared: &'a FoundCoins,
    found: HashMap<OutPoint, FoundCoin>,
}

impl CoinView<'_> {
    /// Adds coins that an earlier walk of the segment found.
    pub(super) fn with_found(mut self, found: HashMap<OutPoint, FoundCoin>) -> Self {
        found.keys().for_each(|outpoint| self.filter.insert(outpoint));
        self.found = found;
        self
    }

    /// The number of committed segments when the view was made.
    pub(super) fn known(&self) -> u64 {
        self.known
    }

    /// The coins found through this view.
    pub(super) fn into_found(self) -> HashMap<OutPoint, FoundCoin> {
        self.found
    }
}

impl Coins for CoinView<'_> {
    #[inline(always)]
    fn may_hold(&self, txid_word: u64, vout: u32) -> bool {
        self.filter.may_contain(txid_word, vout)
    }

    fn coin(&self, outpoint: &OutPoint) -> Option<FoundCoin> {
        let found = self.found.get(outpoint).copied();
        found.or_else(|| self.shared.read().coins.get(outpoint).map(|stored| stored.coin()))
    }

    fn add(&mut self, outpoint: OutPoint, coin: FoundCoin) {
        self.filter.insert(&outpoint);
        self.found.insert(outpoint, coin);
    }
}

fn filter_of(capacity: usize, watch: &WatchSet, coins: &IndexMap<OutPoint, StoredCoin>) -> OutpointFilter {
    let filter = OutpointFilter::with_capacity(capacity);
    watch.outpoints().chain(coins.keys()).for_each(|outpoint| filter.insert(outpoint));
    filter
}
