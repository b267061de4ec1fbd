//! What a scan is given, and what it comes to.

use std::sync::Arc;
use std::time::Duration;

use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::KeychainUse;
use rescan_core::request::{Deliver, Extras, Verify};
use rescan_core::watching::watch_set::WatchSet;

use super::derivation::WatchedKeychain;
use super::found_coins::CoinTotals;
use super::segments::SegmentSize;

/// How far scripts are derived ahead of what the gap rule reaches. No choice changes the answer.
#[derive(Clone, Copy, Debug)]
pub struct Lookahead {
    /// How many indexes of each keychain the first time; each later time, twice as many.
    pub each: u32,
    /// How many of all together the first time, as long as each has `each_min`.
    pub total: u32,
    /// How many of each at the least.
    pub each_min: u32,
    /// How long a scan walks before it derives what nothing has reached.
    pub after: Duration,
}

impl Default for Lookahead {
    /// Wide enough that one pass nearly always suffices; a second of work. A wallet that has no history, in a range that
    /// takes no longer than the delay, never pays for it.
    fn default() -> Self {
        Self { each: 1_000, total: 20_000, each_min: 20, after: Duration::from_millis(250) }
    }
}

impl Lookahead {
    /// How many indexes of each of so many keychains take about as long to derive as a walk has taken.
    pub(super) fn affordable(&self, walk: Duration, keychains: usize) -> u32 {
        const SCRIPT: Duration = Duration::from_micros(50);
        let scripts = walk.as_micros() / SCRIPT.as_micros() / u128::try_from(keychains.max(1)).unwrap_or(u128::MAX);
        u32::try_from(scripts).unwrap_or(u32::MAX).max(self.each_min)
    }

    /// The first width for so many ranged keychains; none where there are none.
    pub(super) fn width(&self, keychains: u32) -> Option<u32> {
        let share = self.total.checked_div(keychains)?;
        Some(share.min(self.each).max(self.each_min).max(1))
    }
}

/// What to scan.
#[derive(Clone, Debug)]
pub struct ScanPlan {
    /// The chain that the scan is pinned to.
    pub snapshot: Arc<ActiveChain>,
    /// The heights, every one of which is on disk. Of what earlier scans covered, none need be.
    pub range: HeightRange,
    /// What of the range earlier scans covered.
    pub covered: Option<CoveredPart>,
    /// What to look for to begin with: of each keychain the indexes that its rule reaches before any use.
    pub watch: Arc<WatchSet>,
    /// The keychains of the watch set, by their numbers.
    pub keychains: Arc<[WatchedKeychain]>,
    /// How many scripts the watch set may come to have.
    pub scripts_max: u64,
    /// Which blocks are proven.
    pub verify: Verify,
    /// What the wallet wants to have.
    pub deliver: Deliver,
    /// What comes with each transaction.
    pub extras: Extras,
    /// How the range is cut. No size changes the answer.
    pub segment_size: SegmentSize,
    /// How far scripts are derived ahead.
    pub lookahead: Lookahead,
}

/// The part of a range that earlier scans have been through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredPart {
    /// Its last height.
    pub through: Height,
    /// The highest index of each keychain that was watched in it.
    pub watched_through: Vec<Option<u32>>,
}

/// What a scan comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanTotals {
    /// Transactions reported.
    pub transactions: u64,
    /// Coins found and not seen spent.
    pub coins: CoinTotals,
    /// One a keychain, in their order.
    pub keychains: Vec<KeychainUse>,
    /// The highest index of each keychain all of whose matches were reported.
    pub watched_through: Vec<Option<u32>>,
    /// Heights settled.
    pub blocks_scanned: u64,
    /// Block data settled, in bytes.
    pub bytes_scanned: u64,
    /// How often blocks were gone over.
    pub passes: u32,
}
