//! The coins that a scan has found and not yet seen spent, shared by its workers.
//!
//! Workers run ahead of the order of the chain, so a worker may miss a coin that an earlier segment found meanwhile. To
//! mend that afterwards, coins are committed segment by segment in chain order, each worker notes how many segments were
//! committed when it began, and what came after that can be asked for. A spent coin is forgotten.
//!
//! Invariant: the filter denies no committed coin, no given outpoint, and no coin of the worker that asks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bitcoin::{Amount, OutPoint};
use indexmap::IndexMap;
use rescan_core::position::Height;
use rescan_core::report::BlockReport;
use rescan_core::watching::filter::OutpointFilter;
use rescan_core::watching::matching::{Coins, FoundCoin, can_be_coin};
use rescan_core::watching::watch_set::{ScriptId, WatchSet};

/// Found coins that the first filter is laid out for; it is made anew for twice as many whenever it is full.
const FIRST_CAPACITY: usize = 1_024;

/// The coins of one scan.
#[derive(Debug)]
pub(super) struct FoundCoins {
    /// For its given outpoints, which are in every filter.
    watch: Arc<WatchSet>,
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Entries lie close together, and the table beside them holds positions: half the memory of a table of entries, and
    /// nothing to move when it grows.
    coins: IndexMap<OutPoint, Kept>,
    /// What the coins carry together. Wide, since with unproven blocks any eight bytes may be an amount.
    total_sat: u128,
    filter: Arc<OutpointFilter>,
    /// How many words the filter is laid out for, and how many were inserted.
    capacity: usize,
    inserted: usize,
    /// The coins of the latest commits, as far back as a worker may have missed them; the last one at the back.
    log: VecDeque<Vec<OutPoint>>,
    /// How many segments were committed.
    committed: u64,
}

/// A coin with the place where it was made. An amount is kept as bytes so that a coin takes no padding.
#[derive(Clone, Copy, Debug)]
struct Kept {
    value_sat: [u8; 8],
    script: ScriptId,
    height: Height,
    tx_index: u32,
}

/// A coin that is left, and where it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeftCoin {
    pub(super) height: Height,
    pub(super) tx_index: u32,
    pub(super) outpoint: OutPoint,
    pub(super) coin: FoundCoin,
}

impl Kept {
    fn new(coin: FoundCoin, height: Height, tx_index: u32) -> Self {
        Self { value_sat: coin.value.to_sat().to_le_bytes(), script: coin.script, height, tx_index }
    }

    fn coin(self) -> FoundCoin {
        FoundCoin { value: Amount::from_sat(u64::from_le_bytes(self.value_sat)), script: self.script }
    }
}

/// What a scan's coins come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoinTotals {
    /// How many there are.
    pub count: u64,
    /// What they carry together, in satoshi.
    pub total_sat: u64,
}

impl FoundCoins {
    /// No coins yet, and the given outpoints of `watch` in the filter.
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

    /// What a worker matches a segment against: everything committed so far, and what it finds itself.
    pub(super) fn view(&self) -> CoinView<'_> {
        let inner = self.read();
        CoinView { filter: Arc::clone(&inner.filter), known: inner.committed, shared: self, found: HashMap::new() }
    }

    /// The coins of the segments from number `known` on that are committed and not spent.
    pub(super) fn since(&self, known: u64) -> Vec<OutPoint> {
        let inner = self.read();
        let commits = usize::try_from(inner.committed.saturating_sub(known)).unwrap_or(usize::MAX);
        assert!(commits <= inner.log.len(), "a segment is {commits} commits behind, {} are kept", inner.log.len());
        let skip = inner.log.len().saturating_sub(commits);
        let coins = inner.log.iter().skip(skip).flatten();
        coins.filter(|outpoint| inner.coins.contains_key(*outpoint)).copied().collect()
    }

    /// Takes in the settled reports of the next segment in chain order, and forgets which coins came with the first
    /// `known_to_all` segments. Gives the number of coins that it made.
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
                    inner.forget(&spent.prevout);
                }
                if report.height == Height::GENESIS {
                    continue; // its output never entered the coin database
                }
                for received in
                    transaction.received.iter().filter(|output| can_be_coin(output.script_pubkey.as_bytes()))
                {
                    let outpoint = OutPoint { txid: transaction.txid, vout: received.vout };
                    if let Some(coin) = found.get(&outpoint) {
                        inner.remember(outpoint, Kept::new(*coin, report.height, transaction.tx_index));
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

    /// How many segments were committed.
    pub(super) fn committed(&self) -> u64 {
        self.read().committed
    }

    /// What is committed and not spent.
    pub(super) fn totals(&self) -> CoinTotals {
        let inner = self.read();
        CoinTotals { count: inner.coins.len() as u64, total_sat: u64::try_from(inner.total_sat).unwrap_or(u64::MAX) }
    }

    /// What is committed, not spent, and pays a script that `counts`.
    pub(super) fn totals_of(&self, counts: impl Fn(ScriptId) -> bool) -> CoinTotals {
        let inner = self.read();
        let counted = inner.coins.values().filter(|kept| counts(kept.script));
        let (count, total) = counted.fold((0, 0_u128), |(count, total), kept| {
            (count + 1, total.saturating_add(u128::from(kept.coin().value.to_sat())))
        });
        CoinTotals { count, total_sat: u64::try_from(total).unwrap_or(u64::MAX) }
    }

    /// The places of what is left, by height, index in block and output. They hold until something is committed.
    pub(super) fn sorted(&self) -> Vec<usize> {
        let inner = self.read();
        let mut places: Vec<usize> = (0..inner.coins.len()).collect();
        places.sort_unstable_by_key(|place| {
            inner.coins.get_index(*place).map(|(outpoint, kept)| (kept.height, kept.tx_index, outpoint.vout))
        });
        places
    }

    /// The coin at a place.
    pub(super) fn left(&self, place: usize) -> Option<LeftCoin> {
        self.read().coins.get_index(place).map(|(outpoint, kept)| LeftCoin {
            height: kept.height,
            tx_index: kept.tx_index,
            outpoint: *outpoint,
            coin: kept.coin(),
        })
    }

    // A worker that panicked ended its scan; what others do with the same coins is of no more consequence.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remember(&mut self, outpoint: OutPoint, kept: Kept) {
        // Of BIP30 twins only the later is a coin.
        self.forget(&outpoint);
        self.filter.insert(&outpoint);
        self.inserted = self.inserted.saturating_add(1);
        self.total_sat = self.total_sat.saturating_add(u128::from(kept.coin().value.to_sat()));
        self.coins.insert(outpoint, kept);
    }

    fn forget(&mut self, outpoint: &OutPoint) {
        if let Some(kept) = self.coins.swap_remove(outpoint) {
            self.total_sat = self.total_sat.saturating_sub(u128::from(kept.coin().value.to_sat()));
        }
    }

    /// Makes the filter anew when it is full; spent coins leave it then.
    fn grow_filter(&mut self, watch: &WatchSet) {
        if self.inserted <= self.capacity {
            return;
        }
        self.inserted = self.coins.len().saturating_add(watch.outpoint_count());
        self.capacity = self.inserted.saturating_mul(2);
        self.filter = Arc::new(filter_of(self.capacity, watch, &self.coins));
    }
}

/// The coins as one worker sees them while it walks one segment.
#[derive(Debug)]
pub(super) struct CoinView<'a> {
    filter: Arc<OutpointFilter>,
    known: u64,
    shared: &'a FoundCoins,
    found: HashMap<OutPoint, FoundCoin>,
}

impl CoinView<'_> {
    /// A view that holds `found` already.
    pub(super) fn with_found(mut self, found: HashMap<OutPoint, FoundCoin>) -> Self {
        found.keys().for_each(|outpoint| self.filter.insert(outpoint));
        self.found = found;
        self
    }

    /// How many segments were committed when the view was made.
    pub(super) fn known(&self) -> u64 {
        self.known
    }

    /// What was found through this view.
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
        found.or_else(|| self.shared.read().coins.get(outpoint).map(|kept| kept.coin()))
    }

    fn add(&mut self, outpoint: OutPoint, coin: FoundCoin) {
        self.filter.insert(&outpoint);
        self.found.insert(outpoint, coin);
    }
}

fn filter_of(capacity: usize, watch: &WatchSet, coins: &IndexMap<OutPoint, Kept>) -> OutpointFilter {
    let filter = OutpointFilter::with_capacity(capacity);
    watch.outpoints().chain(coins.keys()).for_each(|outpoint| filter.insert(outpoint));
    filter
}
