//! Whom a scan is for: the person at the command line, or each wallet of a file.
//!
//! The server knows one watch set. What it finds is told apart here, so that what prints a party's answer need not know
//! whether there are others.

use std::borrow::Cow;

use rescan_client::coins::Coin;
use rescan_client::report::BlockReport;
use rescan_client::wallets::Wallets;

use crate::labels::Labels;

/// One of those whom a scan is for.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    /// The wallet's name; none where descriptors were given on the command line.
    pub(crate) wallet: Option<String>,
    /// What its keychains are called.
    pub(crate) labels: Labels,
}

impl Party {
    /// The only one.
    pub(crate) fn alone(labels: Labels) -> Self {
        Self { wallet: None, labels }
    }
}

/// All of them, by number.
#[derive(Debug)]
pub(crate) enum Parties {
    One(Party),
    Wallets(Vec<Party>, Wallets),
}

impl Parties {
    pub(crate) fn list(&self) -> &[Party] {
        match self {
            Self::One(party) => std::slice::from_ref(party),
            Self::Wallets(parties, _) => parties,
        }
    }

    /// A report as each of those that it is about has it.
    pub(crate) fn split_report<'a>(&self, report: &'a BlockReport) -> Vec<(usize, Cow<'a, BlockReport>)> {
        match self {
            Self::One(_) => vec![(0, Cow::Borrowed(report))],
            Self::Wallets(_, wallets) => {
                wallets.split_report(report).into_iter().map(|(number, own)| (number, Cow::Owned(own))).collect()
            }
        }
    }

    /// A coin as each of those that have it has it.
    pub(crate) fn split_coin<'a>(&self, coin: &'a Coin) -> Vec<(usize, Cow<'a, Coin>)> {
        match self {
            Self::One(_) => vec![(0, Cow::Borrowed(coin))],
            Self::Wallets(_, wallets) => {
                wallets.split_coin(coin).into_iter().map(|(number, own)| (number, Cow::Owned(own))).collect()
            }
        }
    }

    /// Of a list with one item a keychain, those of one party.
    pub(crate) fn keychains_of<'a, T>(&self, number: usize, all: &'a [T]) -> &'a [T] {
        match self {
            Self::One(_) => all,
            Self::Wallets(_, wallets) => wallets.keychains_of(number, all),
        }
    }
}
