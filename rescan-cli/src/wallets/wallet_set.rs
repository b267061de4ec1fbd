//! The wallets of a scan: the one of the command line, or each of a `--wallets` file.
//!
//! The server knows a single watch set. Its reports are split here by wallet; the printer of a wallet's part does not
//! know whether there are others.

use std::borrow::Cow;

use rescan_client::coins::Coin;
use rescan_client::report::BlockReport;
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

    /// The items of one wallet, of a list with one item per keychain.
    pub(crate) fn keychains_of<'a, T>(&self, number: usize, all: &'a [T]) -> &'a [T] {
        match self {
            Self::One(_) => all,
            Self::Named(_, wallets) => wallets.keychains_of(number, all),
        }
    }
}
