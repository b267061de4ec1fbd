//! Waiting for the tip: what a wallet that follows does between two scans.
//!
//! It tells that the tip is another one, and nothing of what lies between: the wallet asks for that from where it knows
//! that it stands. So there is nothing here to be buffered, and a wallet that is slow to ask again misses no block.
//!
//! Whoever else has the chain refreshed is heard of through [`Refresher::tips`]. Where nobody does, a wait looks by
//! itself, so that nobody waits for ever.

use std::time::Duration;

use bitcoin::BlockHash;
use rescan_core::report::BlockId;
use rescan_core::rescan_capnp::rescan;
use rescan_core::wire;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::refresh::refresher::{NotSeen, Refresher};

/// The longest that a call waits. A client that is gone without a word is noticed by then, and one that is there asks again.
pub(crate) const WAIT_MAX: Duration = rescan_core::protocol::TIP_WAIT_MAX;

/// How old what was last seen of the chain may get while somebody waits. All who wait share the looks, so that their
/// number costs nothing; a look takes a hundredth of a second where there are thousands of block files.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A call that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TipWait {
    /// The tip that the wallet knows; none where it takes any.
    known: Option<BlockHash>,
    timeout: Duration,
}

impl TipWait {
    /// # Errors
    /// An exception where the hash of the known tip is none.
    pub(crate) fn read(params: rescan::wait_tip_params::Reader<'_>) -> capnp::Result<Self> {
        let known = params.get_known()?;
        let known = if known.is_empty() {
            None
        } else {
            Some(wire::read_block_hash("known", known).map_err(|error| crate::session::failed(&error))?)
        };
        let timeout = Duration::from_millis(params.get_timeout_millis().into());
        Ok(Self { known, timeout: timeout.min(WAIT_MAX) })
    }

    /// The tip, as soon as it is another than the known one; the same, or none, when the time is up. The block files are
    /// looked at anew first, for as long as that takes.
    ///
    /// # Errors
    /// What kept the block files from being read, if they never were. Other looks that fail do not end the wait: the next may not.
    pub(crate) async fn answer(self, refresher: &Refresher) -> Result<Option<BlockId>, NotSeen> {
        let until = Instant::now() + self.timeout;
        let mut tips = refresher.tips();
        match refresher.refresh().await {
            // A disk that is away for a moment is no reason to end a wait that goes by what was seen before.
            Err(NotSeen::Failed(_)) if tips.borrow().is_some() => {}
            refreshed => drop(refreshed?),
        }
        let mut looks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                _now = looks.tick() => drop(refresher.seen_within(LOOK_EVERY).await),
                () = sleep_until(until) => return Ok(tip),
            }
        }
    }
}
