//! The wallets of a scan: the one of the command line, or each of a `--wallets` file.
//!
//! The server knows a single watch set. Its reports are split here by wallet; the printer of a wallet's part does not
//! know whether there are others.

use std::borrow::Cow;

use rescan_client::bitcoin::Amount;
use rescan_client::coins::Coin;
use rescan_client::report::{BlockReport, Origin, Summary};
use rescan_client::wallets::Wallets;

use super::Labels;

/// One wallet.
#[derive(Clone, Debug)]
pub(crate) struct Wallet {
    /// None for the descriptors of the command line.
    pub(crate) name: Option<String>,
    /// The labels of its keychains.
    pub(crate) labels: Labels,
}

impl Wallet {
    /// The wallet of the command line.
    pub(crate) fn unnamed(labels: Labels) -> Self {
        Self { name: None, labels }
    }
}

/// Unspent coins: their number and value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Balance {
    count: u64,
    total_sat: u64,
}

impl Balance {
    fn add(&mut self, coin: &Coin) {
        self.count += 1;
        self.total_sat = self.total_sat.saturating_add(coin.value.to_sat());
    }

    /// Sets the counts of unspent coins.
    pub(crate) fn set(self, summary: &mut Summary) {
        summary.unspent_count = self.count;
        summary.unspent = Amount::from_sat(self.total_sat);
    }
}

/// All wallets of a scan, by number.
#[derive(Debug)]
pub(crate) enum WalletSet {
    One(Wallet),
    /// Those of a file, and the split of keychains among them.
    Named(Vec<Wallet>, Wallets),
}

impl WalletSet {
    pub(crate) fn list(&self) -> &[Wallet] {
        match self {
            Self::One(wallet) => std::slice::from_ref(wallet),
            Self::Named(wallets, _) => wallets,
        }
    }

    /// Splits a report into one for each wallet that it concerns.
    pub(crate) fn split_report<'a>(&self, report: &'a BlockReport) -> Vec<(usize, Cow<'a, BlockReport>)> {
        match self {
            Self::One(_) => vec![(0, Cow::Borrowed(report))],
            Self::Named(_, wallets) => {
                wallets.split_report(report).into_iter().map(|(number, own)| (number, Cow::Owned(own))).collect()
            }
        }
    }

    /// Splits a coin into one copy per wallet that owns it.
    pub(crate) fn split_coin<'a>(&self, coin: &'a Coin) -> Vec<(usize, Cow<'a, Coin>)> {
        match self {
            Self::One(_) => vec![(0, Cow::Borrowed(coin))],
            Self::Named(_, wallets) => {
                wallets.split_coin(coin).into_iter().map(|(number, own)| (number, Cow::Owned(own))).collect()
            }
        }
    }

    /// The names of the wallets that these origins belong to. The only wallet has none.
    pub(crate) fn owners(&self, origins: &[Origin]) -> Vec<Option<&str>> {
        match self {
            Self::One(_) => vec![None],
            Self::Named(_, wallets) => wallets.owners(origins).into_iter().map(|number| wallets.name(number)).collect(),
        }
    }

    /// The part of these coins that each wallet owns.
    pub(crate) fn balances<'a>(&self, coins: impl Iterator<Item = &'a Coin>) -> Vec<Balance> {
        let mut balances = vec![Balance::default(); self.list().len()];
        for coin in coins {
            for (number, _own) in self.split_coin(coin) {
                balances[number].add(coin);
            }
        }
        balances
    }

    /// The items of one wallet, of a list with one item per keychain.
    pub(crate) fn keychains_of<'a, T>(&self, number: usize, all: &'a [T]) -> &'a [T] {
        match self {
            Self::One(_) => all,
            Self::Named(_, wallets) => wallets.keychains_of(number, all),
        }
    }
}
