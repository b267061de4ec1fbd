//! The results of a scan: totals and unspent coins, within the gap limits.

use std::sync::Arc;

use rescan_core::coins::Coin;
use rescan_core::report::{Failure, Origin};
use rescan_core::request::Deliver;

use super::Scan;
use crate::scan::found_coins::UnspentCoin;
use crate::scan::plan::ScanTotals;

impl Scan {
    /// The totals so far.
    #[must_use]
    pub fn totals(&self) -> ScanTotals {
        let coins = if self.rule.withholds_nothing() {
            self.coins.totals()
        } else {
            let watch = self.main.watch();
            let is_reached = |script| {
                let script = watch.script(script).unwrap_or_default();
                watch.origins(script).iter().any(|origin| self.rule.reaches(origin))
            };
            self.coins.totals_of(is_reached)
        };
        ScanTotals {
            transactions: self.reported.count(),
            coins,
            keychains: self.rule.uses(),
            watched_through: self.watched_through(),
            blocks_scanned: self.main.ordered.progress().blocks_done(),
            bytes_scanned: self.main.ordered.progress().bytes_done(),
            passes: self.passes,
        }
    }

    /// Whether the wallet wants coins instead of reports.
    #[must_use]
    pub fn delivers_coins(&self) -> bool {
        self.deliver == Deliver::Coins
    }

    /// The unspent coins, by height, index in block and output.
    ///
    /// # Errors
    /// [`Failure`] if a worker panicked.
    pub async fn coins(&self) -> Result<impl Iterator<Item = Coin> + '_, Failure> {
        let coins = Arc::clone(&self.coins);
        let sorted = self.pool.run(move || coins.sorted()).await?;
        Ok(sorted.into_iter().filter_map(|slot| self.describe(self.coins.unspent(slot)?)))
    }

    fn describe(&self, unspent: UnspentCoin) -> Option<Coin> {
        let watch = self.main.watch();
        let script = watch.script(unspent.coin.script)?;
        let origins: Vec<Origin> =
            watch.origins(script).into_iter().filter(|origin| self.rule.reaches(origin)).collect();
        (!origins.is_empty()).then_some(Coin {
            height: unspent.height,
            block_hash: self.config.pinned.snapshot.block(unspent.height)?.hash,
            tx_index: unspent.tx_index,
            outpoint: unspent.outpoint,
            value: unspent.coin.value,
            script_pubkey: script.to_vec().into(),
            origins,
        })
    }

    /// The highest index of each keychain all of whose matches were reported: below any withheld,
    /// pending or backfilled.
    fn watched_through(&self) -> Vec<Option<u32>> {
        let mut watched = self.rule.reported_through();
        let backfilled =
            self.backfill.iter().flat_map(|backfill| &backfill.ranges).map(|range| (range.keychain, range.first));
        let pending = self.pending.iter().map(|pending| (pending.keychain, pending.index));
        for (keychain, index) in backfilled.chain(pending) {
            if let Some(through) = watched.get_mut(keychain as usize) {
                *through = (*through).min(index.checked_sub(1)); // 32 bits fit
            }
        }
        watched
    }
}
