//! What a scan that was reorganised comes to: a summary of what still stands.
//!
//! The server counts as it walks, and hears of the fork only after it has told what lies above. Whoever keeps the
//! reports until the end can drop those and count again; the rest of the summary (range, locator, figures) stays the
//! server's.

use rescan_client::bitcoin::Amount;
use rescan_client::coins::CoinLedger;
use rescan_client::position::Height;
use rescan_client::report::{BlockReport, KeychainUse, Origin, Summary};

/// Drops the reports from `fork` on, and makes of the summary one of the others.
pub(crate) fn take_back(reports: &mut Vec<BlockReport>, summary: &mut Summary, fork: Height) {
    reports.retain(|report| report.height < fork);
    let mut coins = CoinLedger::new();
    summary.keychains.fill(KeychainUse::Unused);
    for report in &*reports {
        coins.apply(report);
        let received = report.transactions.iter().flat_map(|transaction| &transaction.received);
        for origin in received.flat_map(|received| &received.origins) {
            note_use(&mut summary.keychains, *origin);
        }
    }
    summary.transactions = reports.iter().map(|report| count(report.transactions.len())).sum();
    summary.unspent_count = count(coins.count());
    summary.unspent = Amount::from_sat(u64::try_from(coins.total_sat()).unwrap_or(u64::MAX));
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
