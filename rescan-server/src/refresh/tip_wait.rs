//! Waits for a new tip, which a follower makes between two scans.
//!
//! The answer is the new tip and not the blocks in between: the wallet scans those from its own checkpoint. Nothing is
//! buffered here, and a wallet that is slow to wait again misses no block.
//!
//! Refreshes by others reach a wait through [`Refresher::tips`]. If there are none, the wait refreshes by itself, so
//! that it always ends.

use std::time::Duration;

use bitcoin::BlockHash;
use rescan_core::protocol::TIP_WAIT_MAX;
use rescan_core::report::BlockId;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::refresh::refresher::{RefreshError, Refresher};

/// The age at which the chain is refreshed during a wait. All waits share these refreshes, so their number costs
/// nothing. A refresh takes a hundredth of a second with thousands of block files.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// One wait for a tip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TipWait {
    known: Option<BlockHash>,
    timeout: Duration,
}

impl TipWait {
    /// A wait for any tip but `known`, for at most `timeout` and [`TIP_WAIT_MAX`].
    pub(crate) fn new(known: Option<BlockHash>, timeout: Duration) -> Self {
        Self { known, timeout: timeout.min(TIP_WAIT_MAX) }
    }

    /// The tip, as soon as it differs from the known one; the same tip, or none, at the timeout. The block files are
    /// refreshed first, however long that takes.
    ///
    /// # Errors
    /// [`RefreshError`], if the block files were never read. Later failures do not end the wait.
    pub(crate) async fn run(self, refresher: &Refresher) -> Result<Option<BlockId>, RefreshError> {
        let until = Instant::now() + self.timeout;
        let mut tips = refresher.tips();
        match refresher.refresh().await {
            // A disk that is briefly gone does not end a wait that has an earlier tip.
            Err(RefreshError::Failed(_)) if tips.borrow().is_some() => {}
            refreshed => drop(refreshed?),
        }
        let mut refreshes = interval_at(Instant::now() + REFRESH_INTERVAL, REFRESH_INTERVAL);
        refreshes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let tip = *tips.borrow_and_update();
            if tip.is_some_and(|tip| self.known != Some(tip.hash)) {
                return Ok(tip);
            }
            tokio::select! {
                changed = tips.changed() => {
                    // The server is stopping.
                    if changed.is_err() {
                        return Ok(tip);
                    }
                }
                _now = refreshes.tick() => drop(refresher.view_within(REFRESH_INTERVAL).await),
                () = sleep_until(until) => return Ok(tip),
            }
        }
    }
}
