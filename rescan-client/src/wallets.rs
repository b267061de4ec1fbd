//! Many wallets in one scan: one request with the entries of all of them, and its reports split by wallet.
//!
//! Blocks are walked once, however many wallets ask. A match that belongs to several wallets goes to each of them, and
//! each sees only its own: [`Origin`]s count that wallet's own keychains, scripts and outpoints, as if it had scanned alone.
//!
//! Invariant: a wallet's part of a shared scan equals a scan of its own entries alone. There is
//! one exception: where another wallet watches the coin that a spend consumes, its value may be known for both.
//!
//! ```
//! use rescan_client::ScanRequest;
//! use rescan_client::wallets::{Wallet, Wallets};
//!
//! # fn main() -> Result<(), rescan_client::wallets::DuplicateNameError> {
//! let mut wallets = Wallets::new();
//! wallets.add("savings", Wallet::new().keychain("wpkh(xpub.../0/*)"))?;
//! wallets.add("shop", Wallet::new().keychain("tr(xpub.../0/*)").keychain("tr(xpub.../1/*)"))?;
//! let request = wallets.watched_by(ScanRequest::new());
//! assert_eq!(request.keychains.len(), 3);
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use bitcoin::ScriptBuf;
use rescan_core::coins::Coin;
use rescan_core::report::{BlockReport, Origin, Received, Spent, TransactionReport};
use rescan_core::request::{GivenKeychain, GivenOutpoint};

use crate::request::{Owner, ScanRequest, watches_more};

/// The entries of one wallet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wallet {
    /// Its descriptors, one path each.
    pub keychains: Vec<GivenKeychain>,
    /// Bare scripts.
    pub scripts: Vec<ScriptBuf>,
    /// Coins from before the range whose spends are wanted.
    pub outpoints: Vec<GivenOutpoint>,
}

impl Wallet {
    /// A wallet that watches nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    watches_more!();
}

/// Named wallets, to be scanned for together. Each has a number: its position in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Wallets {
    /// Names in use.
    taken: HashSet<String>,
    wallets: Vec<Placed>,
    all: Wallet,
    keychains: Vec<Place>,
    scripts: Vec<Place>,
    outpoints: Vec<Place>,
}

#[derive(Clone, Debug)]
struct Placed {
    owner: Owner,
    /// Where its keychains are among all.
    keychains: Range<usize>,
}

/// Whose an entry of the watch set is.
#[derive(Clone, Copy, Debug)]
struct Place {
    wallet: usize,
    /// Its number among that wallet's own.
    number: u32,
}

/// Two wallets of one name could not be told apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wallets number {earlier} and {later} (counted from 0) have the same name: give each its own")]
pub struct DuplicateNameError {
    /// The number of the one that has the name.
    pub earlier: usize,
    /// The number that the other one would have had.
    pub later: usize,
}

impl Wallets {
    /// No wallets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a wallet, and gives its number.
    ///
    /// # Errors
    ///
    /// [`DuplicateNameError`] if there is one of that name already; nothing was added then.
    pub fn add(&mut self, name: impl Into<String>, wallet: Wallet) -> Result<usize, DuplicateNameError> {
        let (name, number) = (name.into(), self.wallets.len());
        if !self.taken.insert(name.clone()) {
            let earlier = self.wallets.iter().position(|placed| placed.owner.name == name).unwrap_or_default();
            return Err(DuplicateNameError { earlier, later: number });
        }
        let first = self.keychains.len();
        let places = |count: usize| (0..).take(count).map(move |own| Place { wallet: number, number: own });
        self.keychains.extend(places(wallet.keychains.len()));
        self.scripts.extend(places(wallet.scripts.len()));
        self.outpoints.extend(places(wallet.outpoints.len()));
        let (keychains, scripts) = (wallet.keychains.len(), wallet.scripts.len());
        let owner = Owner { name, keychains, scripts, outpoints: wallet.outpoints.len() };
        self.wallets.push(Placed { owner, keychains: first..self.keychains.len() });
        self.all.keychains.extend(wallet.keychains);
        self.all.scripts.extend(wallet.scripts);
        self.all.outpoints.extend(wallet.outpoints);
        Ok(number)
    }

    /// How many wallets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wallets.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wallets.is_empty()
    }

    /// The names, by number.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.wallets.iter().map(|placed| placed.owner.name.as_str())
    }

    /// The name of a wallet; none where there is no such wallet.
    #[must_use]
    pub fn name(&self, wallet: usize) -> Option<&str> {
        self.wallets.get(wallet).map(|placed| placed.owner.name.as_str())
    }

    /// The request with the entries of all wallets and no others. Its checkpoint is bound to their names and order.
    #[must_use]
    pub fn watched_by(&self, mut request: ScanRequest) -> ScanRequest {
        let Wallet { keychains, scripts, outpoints } = self.all.clone();
        (request.keychains, request.scripts, request.outpoints) = (keychains, scripts, outpoints);
        request.owners = self.wallets.iter().map(|placed| placed.owner.clone()).collect();
        request
    }

    /// Splits a report by wallet, by ascending number. A transaction goes to those that it
    /// touches, with their own outputs and inputs alone.
    #[must_use]
    pub fn split_report(&self, report: &BlockReport) -> Vec<(usize, BlockReport)> {
        let mut split: BTreeMap<usize, BlockReport> = BTreeMap::new();
        for transaction in &report.transactions {
            for (wallet, own) in self.split_transaction(transaction) {
                let block = split.entry(wallet).or_insert_with(|| {
                    let BlockReport { height, hash, time, is_late, header, transactions: _ } = *report;
                    BlockReport { height, hash, time, is_late, header, transactions: Vec::new() }
                });
                block.transactions.push(own);
            }
        }
        split.into_iter().collect()
    }

    /// A coin as each wallet that it belongs to sees it, by ascending number.
    #[must_use]
    pub fn split_coin(&self, coin: &Coin) -> Vec<(usize, Coin)> {
        let split = self.split_origins(&coin.origins).into_iter();
        split.map(|(wallet, origins)| (wallet, Coin { origins, ..coin.clone() })).collect()
    }

    /// The wallets that these origins belong to, by ascending number.
    #[must_use]
    pub fn owners(&self, origins: &[Origin]) -> Vec<usize> {
        self.split_origins(origins).into_keys().collect()
    }

    /// Of a list with one item a keychain, as summaries and marks have them, those of one wallet; empty where there is no
    /// such wallet.
    #[must_use]
    pub fn keychains_of<'a, T>(&self, wallet: usize, all: &'a [T]) -> &'a [T] {
        self.wallets.get(wallet).and_then(|placed| all.get(placed.keychains.clone())).unwrap_or_default()
    }

    fn split_transaction(&self, transaction: &TransactionReport) -> BTreeMap<usize, TransactionReport> {
        let mut split = BTreeMap::new();
        let empty = || TransactionReport {
            tx_index: transaction.tx_index,
            txid: transaction.txid,
            received: Vec::new(),
            spent: Vec::new(),
            raw: transaction.raw.clone(),
            merkle_branch: transaction.merkle_branch.clone(),
        };
        for received in &transaction.received {
            for (wallet, origins) in self.split_origins(&received.origins) {
                let own: &mut TransactionReport = split.entry(wallet).or_insert_with(empty);
                own.received.push(Received { origins, ..received.clone() });
            }
        }
        for spent in &transaction.spent {
            for (wallet, origins) in self.split_origins(&spent.origins) {
                let own = split.entry(wallet).or_insert_with(empty);
                own.spent.push(Spent { origins, ..spent.clone() });
            }
        }
        split
    }

    /// Each wallet's own origins in its own numbers. They stay ascending: a wallet's entries follow each other.
    fn split_origins(&self, origins: &[Origin]) -> BTreeMap<usize, Vec<Origin>> {
        let mut split: BTreeMap<usize, Vec<Origin>> = BTreeMap::new();
        for origin in origins {
            // The stream gives no origin that was not sent.
            if let Some((wallet, own)) = self.own(*origin) {
                split.entry(wallet).or_default().push(own);
            }
        }
        split
    }

    fn own(&self, origin: Origin) -> Option<(usize, Origin)> {
        let at = |places: &[Place], number: u32| usize::try_from(number).ok().and_then(|at| places.get(at).copied());
        Some(match origin {
            Origin::Keychain { keychain, index } => {
                let place = at(&self.keychains, keychain)?;
                (place.wallet, Origin::Keychain { keychain: place.number, index })
            }
            Origin::Script(script) => {
                let place = at(&self.scripts, script)?;
                (place.wallet, Origin::Script(place.number))
            }
            Origin::Outpoint(outpoint) => {
                let place = at(&self.outpoints, outpoint)?;
                (place.wallet, Origin::Outpoint(place.number))
            }
        })
    }
}

#[cfg(test)]
mod tests;
