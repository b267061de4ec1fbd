//! The state of a history: its live coins, its keychain uses, and the undo data of its last blocks.
//!
//! Reports may come late (for a block that was passed before) and more than once; a coin may even come after its spend.
//! So a spend is remembered for as long as its coin may still be reported: in the undo of its block, or, once that is
//! dropped, among the buried until all indexes that its coin belongs to are watched over everything that is settled.
//!
//! Invariant: the state equals that of each report applied once, in chain order. Order and repetition do not matter.

use std::collections::{BTreeMap, HashMap};

use bitcoin::{BlockHash, OutPoint, Txid};
use rescan_core::coins::Coin;
use rescan_core::position::Height;
use rescan_core::report::{BlockReport, Origin, Spent, TransactionReport, merge_origins};
use rescan_core::watching::matching::can_be_coin;

/// How many of the last blocks can be reverted: two days of them. Bitcoin Core keeps as many undisturbed by pruning
/// (`MIN_BLOCKS_TO_KEEP`, `src/validation.h`).
pub(super) const UNDO_BLOCKS: u32 = rescan_core::protocol::REORG_BLOCKS_MAX;

/// A block that had reports.
pub(super) type BlockKey = (Height, BlockHash);

/// The highest index of a keychain that received something; none within, where it is not ranged.
pub(super) type Uses = BTreeMap<u32, Option<u32>>;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    pub(super) coins: BTreeMap<OutPoint, Coin>,
    pub(super) undo: BTreeMap<BlockKey, BlockUndo>,
    /// The lowest height whose reports are kept in the undo.
    pub(super) undo_from: Height,
    /// The highest block with reports that the undo no longer has.
    pub(super) dropped: Option<Height>,
    /// Uses in blocks that the undo no longer has.
    pub(super) dropped_uses: Uses,
    /// Spends in blocks that the undo no longer has, of coins that may still be reported.
    pub(super) buried: BTreeMap<OutPoint, Buried>,
    /// The highest index of each keychain that was watched over all settled blocks.
    pub(super) watched_through: Vec<Option<u32>>,
    /// Where in the undo a coin is spent; follows from `undo`.
    spent_in: HashMap<OutPoint, BlockKey>,
}

/// The undo data of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BlockUndo {
    /// By index in the block.
    pub(super) transactions: BTreeMap<u32, Reported>,
    pub(super) spent: BTreeMap<OutPoint, SpentCoin>,
    pub(super) uses: Uses,
}

/// A transaction that was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reported {
    pub(super) txid: Txid,
    /// The entries of the watch set that it touched, ascending. None are known from a file of an earlier version.
    pub(super) origins: Vec<Origin>,
}

/// A coin that a block spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SpentCoin {
    /// It was alive.
    Known(Coin),
    /// It was given, or is still to be reported; its origins.
    Unknown(Vec<Origin>),
}

/// A spend whose block the undo no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Buried {
    pub(super) height: Height,
    pub(super) origins: Vec<Origin>,
}

impl Ledger {
    /// A ledger as it was stored.
    pub(super) fn indexed(mut self) -> Self {
        for (key, undo) in &self.undo {
            self.spent_in.extend(undo.spent.keys().map(|outpoint| (*outpoint, *key)));
        }
        self
    }

    /// Applies the report of one block. A repeated one changes nothing.
    pub(super) fn apply(&mut self, report: &BlockReport) {
        let at = (report.height, report.hash);
        if report.height < self.undo_from {
            self.dropped = self.dropped.max(Some(report.height));
        }
        for transaction in &report.transactions {
            if let Some(undo) = self.undo_of(at) {
                let reported = Reported { txid: transaction.txid, origins: Vec::new() };
                let known = undo.transactions.entry(transaction.tx_index).or_insert(reported);
                merge_origins(&mut known.origins, touched(transaction));
            }
            for spent in &transaction.spent {
                self.spend(at, spent);
            }
            for received in &transaction.received {
                let uses = if at.0 < self.undo_from {
                    &mut self.dropped_uses
                } else {
                    &mut self.undo.entry(at).or_default().uses
                };
                received.origins.iter().for_each(|origin| note_use(uses, *origin));
                if report.height != Height::GENESIS && can_be_coin(received.script_pubkey.as_bytes()) {
                    self.create(at, Coin::created(report, transaction, received));
                }
            }
        }
    }

    /// Reverts every block above `fork`, and any other block at its height. Returns their contents, the last first. `None`,
    /// with nothing changed, if the undo data does not reach that deep.
    pub(super) fn rewind(&mut self, fork: BlockKey) -> Option<Vec<(BlockKey, Reported)>> {
        if !self.reaches(fork.0) {
            return None;
        }
        let gone: Vec<BlockKey> = self.undo.range((fork.0, lowest_hash())..).map(|(key, _)| *key).collect();
        let mut withdrawn = Vec::new();
        for key in gone.into_iter().rev().filter(|key| *key != fork) {
            let mut undo = self.undo.remove(&key).expect("it was just listed");
            let transactions = std::mem::take(&mut undo.transactions);
            withdrawn.extend(transactions.into_values().rev().map(|reported| (key, reported)));
            self.take_back(undo);
        }
        let stands = |coin: &Coin| coin.height < fork.0 || (coin.height, coin.block_hash) == fork;
        self.coins.retain(|_, coin| stands(coin));
        // Undo data above the fork is kept from there on.
        self.undo_from = self.undo_from.min(fork.0.next().unwrap_or(fork.0));
        Some(withdrawn)
    }

    /// Whether every report above a height can be reverted.
    pub(super) fn reaches(&self, height: Height) -> bool {
        self.dropped.is_none_or(|dropped| dropped <= height)
    }

    /// Records that all reports up to `height` came, with the keychains watched that far, and drops unneeded undo data.
    pub(super) fn settle(&mut self, height: Height, watched_through: &[Option<u32>]) {
        self.watched_through = watched_through.to_vec();
        self.undo_from = self.undo_from.max(Height(height.0.saturating_sub(UNDO_BLOCKS - 1)));
        let kept = self.undo.split_off(&(self.undo_from, lowest_hash()));
        for (key, undo) in std::mem::replace(&mut self.undo, kept) {
            self.dropped = self.dropped.max(Some(key.0));
            merge_uses(&mut self.dropped_uses, &undo.uses);
            for (outpoint, spent) in undo.spent {
                self.spent_in.remove(&outpoint);
                self.bury(outpoint, key.0, spent.into_origins());
            }
        }
        let watched = &self.watched_through;
        self.buried.retain(|_, buried| is_open(&buried.origins, watched));
    }

    /// How far each keychain was used.
    pub(super) fn uses(&self) -> Uses {
        let mut uses = self.dropped_uses.clone();
        self.undo.values().for_each(|undo| merge_uses(&mut uses, &undo.uses));
        uses
    }

    /// The undo of a block, where it is kept.
    fn undo_of(&mut self, key: BlockKey) -> Option<&mut BlockUndo> {
        (key.0 >= self.undo_from).then(|| self.undo.entry(key).or_default())
    }

    fn spend(&mut self, at: BlockKey, spent: &Spent) {
        // A coin from above is another one with the same txid (BIP30), and the spend has been here before.
        let is_here = self.coins.get(&spent.prevout).is_some_and(|coin| coin.height <= at.0);
        let coin = if is_here { self.coins.remove(&spent.prevout) } else { None };
        let Some(undo) = self.undo_of(at) else {
            let origins = coin.map_or_else(|| spent.origins.clone(), |coin| coin.origins);
            self.bury(spent.prevout, at.0, origins);
            return;
        };
        match coin {
            Some(coin) => {
                undo.spent.insert(spent.prevout, SpentCoin::Known(coin));
            }
            None => {
                undo.spent.entry(spent.prevout).or_insert_with(|| SpentCoin::Unknown(spent.origins.clone()));
            }
        }
        self.spent_in.insert(spent.prevout, at);
    }

    fn create(&mut self, at: BlockKey, coin: Coin) {
        let outpoint = coin.outpoint;
        if let Some(spender) = self.spent_in.get(&outpoint).copied().filter(|spender| spender.0 >= at.0) {
            let spent = self.undo.get_mut(&spender).and_then(|undo| undo.spent.get_mut(&outpoint));
            spent.expect("the index follows the undo").learn(coin);
            return;
        }
        if self.buried.get(&outpoint).is_some_and(|buried| buried.height >= at.0) {
            return;
        }
        match self.coins.get_mut(&outpoint) {
            None => drop(self.coins.insert(outpoint, coin)),
            Some(same) if (same.height, same.block_hash) == at => merge_origins(&mut same.origins, coin.origins),
            Some(later) if later.height > at.0 => {}
            Some(_) => {
                // A BIP30 twin overwrites the earlier coin, which is as good as spending it.
                let twin = self.coins.insert(outpoint, coin).expect("it was just found");
                if let Some(undo) = self.undo_of(at) {
                    undo.spent.insert(outpoint, SpentCoin::Known(twin));
                }
            }
        }
    }

    fn bury(&mut self, outpoint: OutPoint, height: Height, origins: Vec<Origin>) {
        if is_open(&origins, &self.watched_through) {
            self.buried.insert(outpoint, Buried { height, origins });
        }
    }

    /// Restores the coins that a block spent, its own included. All blocks above it were reverted before.
    fn take_back(&mut self, undo: BlockUndo) {
        for (outpoint, spent) in undo.spent {
            self.spent_in.remove(&outpoint);
            if let SpentCoin::Known(coin) = spent {
                self.coins.insert(outpoint, coin);
            }
        }
    }
}

impl SpentCoin {
    fn into_origins(self) -> Vec<Origin> {
        match self {
            Self::Known(coin) => coin.origins,
            Self::Unknown(origins) => origins,
        }
    }

    /// The coin came after its spend, or once more.
    fn learn(&mut self, coin: Coin) {
        match self {
            Self::Known(known) => merge_origins(&mut known.origins, coin.origins),
            Self::Unknown(_) => *self = Self::Known(coin),
        }
    }
}

/// Whether a coin of these origins may still be reported for the first time: by an index that is not watched over all
/// that is settled. Given scripts and outpoints always are.
fn is_open(origins: &[Origin], watched_through: &[Option<u32>]) -> bool {
    origins.iter().any(|origin| match *origin {
        Origin::Keychain { keychain, index: Some(index) } => {
            let watched = usize::try_from(keychain).ok().and_then(|number| watched_through.get(number));
            watched.copied().flatten() < Some(index)
        }
        Origin::Keychain { index: None, .. } | Origin::Script(_) | Origin::Outpoint(_) => false,
    })
}

/// The entries that a transaction touches.
fn touched(transaction: &TransactionReport) -> Vec<Origin> {
    let received = transaction.received.iter().flat_map(|received| &received.origins);
    received.chain(transaction.spent.iter().flat_map(|spent| &spent.origins)).copied().collect()
}

fn note_use(uses: &mut Uses, origin: Origin) {
    if let Origin::Keychain { keychain, index } = origin {
        let highest = uses.entry(keychain).or_insert(index);
        *highest = index.max(*highest);
    }
}

fn merge_uses(into: &mut Uses, more: &Uses) {
    for (keychain, index) in more {
        note_use(into, Origin::Keychain { keychain: *keychain, index: *index });
    }
}

/// The first key of a height is one with this hash.
fn lowest_hash() -> BlockHash {
    use bitcoin::hashes::Hash;
    BlockHash::all_zeros()
}
