//! The wallet compared with the scan: each transaction and coin of one that the other lacks, with
//! its reason.

use std::collections::HashMap;
use std::fmt;

use bitcoin::{BlockHash, OutPoint, Txid};
use rescan_core::coins::Coin;
use rescan_core::history::History;
use rescan_core::position::Height;
use rescan_core::report::{BlockReport, Origin, TransactionReport};

use crate::answers::Confirmation;
use crate::core_wallet::{WalletCoins, WalletTransactions};
use crate::found::MissingBlock;

/// A transaction or a coin that wallet and scan do not share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The transaction or coin.
    pub item: Item,
    /// The reason.
    pub reason: Reason,
}

impl Difference {
    /// Whether it is as it should be: the wallet's own unconfirmed transactions are no part of the
    /// chain.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        matches!(self.reason, Reason::SpentUnconfirmed(_) | Reason::ImmatureUnlisted)
    }
}

/// Subject of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A transaction.
    Transaction(Txid),
    /// A coin.
    Coin(OutPoint),
}

/// Reason of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The node lacks the block of the transaction.
    MissingBlock(u32),
    /// The wallet has the transaction in another block: the chain was reorganised.
    OtherBlock(BlockHash),
    /// The wallet does not watch the index that received it.
    BeyondRange {
        /// Position of the descriptor in `listdescriptors`, from 0.
        descriptor: u32,
        /// The index.
        index: u32,
    },
    /// The wallet lacks the transaction, although Core has rescanned its block.
    NotInWallet,
    /// The wallet has it, and the scan does not.
    NotInScan,
    /// The transaction of the coin is a difference itself.
    OfTransaction,
    /// An unconfirmed transaction of the wallet spends the coin.
    SpentUnconfirmed(Txid),
    /// The node is older than 25.0, which does not list immature coins.
    ImmatureUnlisted,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingBlock(height) => write!(f, "the node lacks its block, at height {height}"),
            Self::OtherBlock(hash) => write!(f, "the wallet has it in block {hash}: the chain was reorganised"),
            Self::BeyondRange { descriptor, index } => write!(
                f,
                "index {index} of descriptor number {descriptor} (counted from 0) is beyond the range that the wallet watches"
            ),
            Self::NotInWallet => f.write_str("the wallet lacks it, although Bitcoin Core has rescanned its block"),
            Self::NotInScan => f.write_str(
                "the wallet has it and the scan does not: it may concern a coin from before the scan's first block",
            ),
            Self::OfTransaction => f.write_str("its transaction differs"),
            Self::SpentUnconfirmed(txid) => write!(f, "unconfirmed transaction {txid} of the wallet spends it"),
            Self::ImmatureUnlisted => f.write_str("immature; this node does not list such coins"),
        }
    }
}

/// The history of the wallet in the blocks from one height to a tip.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) history: &'a History,
    pub(crate) coins: HashMap<OutPoint, &'a Coin>,
    pub(crate) first: Height,
    pub(crate) last: Height,
}

/// The wallet at the end of a fill.
#[derive(Debug, Default)]
pub(crate) struct WalletView {
    pub(crate) transactions: WalletTransactions,
    pub(crate) coins: WalletCoins,
    /// Coins that unconfirmed transactions of the wallet spend.
    pub(crate) spent_unconfirmed: HashMap<OutPoint, Txid>,
    /// The highest watched index of each descriptor; none if it is not ranged.
    pub(crate) range_ends: Vec<Option<u32>>,
}

/// All differences, transactions first, in chain order; the wallet's surplus behind the scan's.
pub(crate) fn differences(answer: &Answer<'_>, view: &WalletView, missing: &[MissingBlock]) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut found: HashMap<Txid, bool> = HashMap::new();
    for report in answer.history.reports() {
        for transaction in &report.transactions {
            let reason = transaction_reason(report, transaction, view, missing);
            found.insert(transaction.txid, reason.is_none());
            all.extend(reason.map(|reason| Difference { item: Item::Transaction(transaction.txid), reason }));
        }
    }
    let is_covered = |confirmation: &Confirmation| (answer.first.0..=answer.last.0).contains(&confirmation.height);
    let surplus = view.transactions.confirmed.iter().filter(|(txid, at)| is_covered(at) && !found.contains_key(*txid));
    let mut surplus: Vec<(u32, Txid)> = surplus.map(|(txid, at)| (at.height, *txid)).collect();
    surplus.sort_unstable();
    let not_in_scan = |item| Difference { item, reason: Reason::NotInScan };
    all.extend(surplus.into_iter().map(|(_, txid)| not_in_scan(Item::Transaction(txid))));
    let mut coins: Vec<_> = answer.coins.values().collect();
    coins.sort_unstable_by_key(|coin| (coin.height, coin.tx_index, coin.outpoint.vout));
    for coin in coins.into_iter().filter(|coin| !view.coins.outpoints.contains(&coin.outpoint)) {
        let depth = answer.last.0.saturating_sub(coin.height.0).saturating_add(1);
        let reason = if let Some(txid) = view.spent_unconfirmed.get(&coin.outpoint) {
            Reason::SpentUnconfirmed(*txid)
        } else if found.get(&coin.outpoint.txid) == Some(&false) {
            Reason::OfTransaction
        } else if coin.is_coinbase() && depth < COINBASE_MATURITY && !view.coins.has_immature {
            Reason::ImmatureUnlisted
        } else {
            Reason::NotInWallet
        };
        all.push(Difference { item: Item::Coin(coin.outpoint), reason });
    }
    let is_covered = |outpoint: &OutPoint| view.transactions.confirmed.get(&outpoint.txid).is_some_and(is_covered);
    let surplus = view.coins.outpoints.iter().filter(|outpoint| !answer.coins.contains_key(outpoint));
    let mut surplus: Vec<OutPoint> = surplus.filter(|outpoint| is_covered(outpoint)).copied().collect();
    surplus.sort_unstable();
    all.extend(surplus.into_iter().map(|outpoint| not_in_scan(Item::Coin(outpoint))));
    all
}

/// `COINBASE_MATURITY` (Bitcoin Core, `src/consensus/consensus.h`), plus the block itself.
const COINBASE_MATURITY: u32 = 101;

/// The reason for which the wallet lacks a transaction; none if it has it.
fn transaction_reason(
    report: &BlockReport,
    transaction: &TransactionReport,
    view: &WalletView,
    missing: &[MissingBlock],
) -> Option<Reason> {
    match view.transactions.confirmed.get(&transaction.txid) {
        Some(at) if at.hash == report.hash => None,
        Some(at) => Some(Reason::OtherBlock(at.hash)),
        None if missing.iter().any(|block| block.hash == report.hash) => Some(Reason::MissingBlock(report.height.0)),
        None => Some(beyond_range(transaction, view).unwrap_or(Reason::NotInWallet)),
    }
}

/// The index at fault, if every output of the transaction lies beyond the wallet's ranges.
fn beyond_range(transaction: &TransactionReport, view: &WalletView) -> Option<Reason> {
    let mut beyond = None;
    for origin in transaction.received.iter().flat_map(|received| &received.origins) {
        let Origin::Keychain { keychain, index: Some(index) } = *origin else { return None };
        let end = usize::try_from(keychain).ok().and_then(|number| *view.range_ends.get(number)?)?;
        if index <= end {
            return None;
        }
        beyond = beyond.or(Some(Reason::BeyondRange { descriptor: keychain, index }));
    }
    beyond
}
