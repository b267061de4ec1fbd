//! Reports and coins collected until a scan ends, then counted for each wallet.
//!
//! The server counts while it walks, for all wallets together, and learns of a fork only after it has reported the blocks
//! above it. With the reports kept until the end, those blocks can be dropped and the rest counted again. The other
//! fields of the summary (range, locator, statistics) stay the server's.

use rescan_client::bitcoin::Amount;
use rescan_client::coins::{Coin, CoinLedger};
use rescan_client::history::History;
use rescan_client::position::Height;
use rescan_client::report::{BlockReport, KeychainUse, Summary};

use super::WalletSet;

/// Everything that a scan reported.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) history: History,
    /// By height, index in block and output.
    pub(crate) coins: Vec<Coin>,
}

/// The part of one wallet.
#[derive(Debug, Default)]
pub(crate) struct WalletResult {
    /// In chain order, each transaction once.
    pub(crate) reports: Vec<BlockReport>,
    /// Coins reported in place of history, by height, index in block and output.
    pub(crate) coins: Vec<Coin>,
}

impl Collected {
    /// Drops everything that a reorganisation made void: reports from `fork` on, and all coins, since each may be spent
    /// or gone in the new chain.
    pub(crate) fn revert(&mut self, fork: Height) {
        self.history.truncate(fork);
        self.coins.clear();
    }

    /// The result of each wallet, by number.
    pub(crate) fn split(self, wallets: &WalletSet) -> Vec<WalletResult> {
        let mut results: Vec<WalletResult> = Vec::new();
        results.resize_with(wallets.list().len(), WalletResult::default);
        for report in self.history.into_reports() {
            for (number, own) in wallets.split_report(&report) {
                results[number].reports.push(own.into_owned());
            }
        }
        for coin in self.coins {
            for (number, own) in wallets.split_coin(&coin) {
                results[number].coins.push(own.into_owned());
            }
        }
        results
    }
}

impl WalletResult {
    /// The coins that the reports leave unspent.
    pub(crate) fn ledger(&self) -> CoinLedger {
        let mut ledger = CoinLedger::new();
        self.reports.iter().for_each(|report| ledger.apply(report));
        ledger
    }

    /// Sets the counts of transactions and unspent coins.
    pub(crate) fn recount(&self, summary: &mut Summary) {
        summary.transactions = self.reports.iter().map(|report| count(report.transactions.len())).sum();
        let ledger = self.ledger();
        summary.unspent_count = count(ledger.count()).saturating_add(count(self.coins.len()));
        let coins_sat: u128 = self.coins.iter().map(|coin| u128::from(coin.value.to_sat())).sum();
        let total = ledger.total_sat().saturating_add(coins_sat);
        summary.unspent = Amount::from_sat(u64::try_from(total).unwrap_or(u64::MAX));
    }

    /// Sets the last used index of each keychain.
    pub(crate) fn set_keychain_use(&self, summary: &mut Summary) {
        summary.keychains.fill(KeychainUse::Unused);
        let transactions = self.reports.iter().flat_map(|report| &report.transactions);
        let received = transactions.flat_map(|transaction| &transaction.received);
        for origin in received.flat_map(|received| &received.origins) {
            KeychainUse::record_origin(&mut summary.keychains, *origin);
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
