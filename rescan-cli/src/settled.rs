//! What of a scan stands when it has ended, counted for each party.
//!
//! The server counts as it walks, for all parties together, and hears of a fork only after it has told what lies above.
//! Whoever keeps the reports until the end can drop those and count again; the rest of the summary (range, locator,
//! figures) stays the server's.

use rescan_client::History;
use rescan_client::bitcoin::Amount;
use rescan_client::coins::{Coin, CoinLedger};
use rescan_client::position::Height;
use rescan_client::report::{BlockReport, KeychainUse, Origin, Summary};

use crate::parties::Parties;

/// What a scan found, as it was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) history: History,
    /// By height, index in block and output.
    pub(crate) coins: Vec<Coin>,
}

/// What one party has of it.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// In chain order, each transaction once.
    pub(crate) reports: Vec<BlockReport>,
    /// Those that were told, by height, index in block and output; none where history was.
    pub(crate) coins: Vec<Coin>,
}

impl Told {
    /// Drops what a reorganisation took back: reports from `fork` on, and all coins, since what was unspent is so no more
    /// for certain.
    pub(crate) fn take_back(&mut self, fork: Height) {
        self.history.truncate(fork);
        self.coins.clear();
    }

    /// Each party's part, by number.
    pub(crate) fn split(self, parties: &Parties) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        parts.resize_with(parties.list().len(), Part::default);
        for report in self.history.into_reports() {
            for (number, own) in parties.split_report(&report) {
                parts[number].reports.push(own.into_owned());
            }
        }
        for coin in self.coins {
            for (number, own) in parties.split_coin(&coin) {
                parts[number].coins.push(own.into_owned());
            }
        }
        parts
    }
}

impl Part {
    /// The coins that its reports leave.
    pub(crate) fn ledger(&self) -> CoinLedger {
        let mut ledger = CoinLedger::new();
        self.reports.iter().for_each(|report| ledger.apply(report));
        ledger
    }

    /// Counts transactions and what is unspent again, from what is left.
    pub(crate) fn count(&self, summary: &mut Summary) {
        summary.transactions = self.reports.iter().map(|report| count(report.transactions.len())).sum();
        let ledger = self.ledger();
        summary.unspent_count = count(ledger.count()).saturating_add(count(self.coins.len()));
        let told: u128 = self.coins.iter().map(|coin| u128::from(coin.value.to_sat())).sum();
        let total = ledger.total_sat().saturating_add(told);
        summary.unspent = Amount::from_sat(u64::try_from(total).unwrap_or(u64::MAX));
    }

    /// Looks anew up to which index each keychain was used.
    pub(crate) fn note_uses(&self, summary: &mut Summary) {
        summary.keychains.fill(KeychainUse::Unused);
        let transactions = self.reports.iter().flat_map(|report| &report.transactions);
        let received = transactions.flat_map(|transaction| &transaction.received);
        for origin in received.flat_map(|received| &received.origins) {
            note_use(&mut summary.keychains, *origin);
        }
    }
}

fn note_use(keychains: &mut [KeychainUse], origin: Origin) {
    let Origin::Keychain { keychain, index } = origin else { return };
    let Some(used) = usize::try_from(keychain).ok().and_then(|number| keychains.get_mut(number)) else { return };
    *used = match (*used, index) {
        (KeychainUse::LastUsed(last), Some(index)) => KeychainUse::LastUsed(last.max(index)),
        (_, Some(index)) => KeychainUse::LastUsed(index),
        (_, None) => KeychainUse::UsedSingle,
    };
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
