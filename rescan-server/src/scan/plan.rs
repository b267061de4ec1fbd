//! The input of a scan and its totals.

use std::sync::Arc;

use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::KeychainUse;
use rescan_core::request::{Deliver, Extras, Verify};
use rescan_core::watching::watch_set::WatchSet;

use super::derivation::WatchedKeychain;
use super::found_coins::CoinTotals;
use super::lookahead::LookaheadConfig;
use super::segments::SegmentSize;

/// The input of a scan.
#[derive(Clone, Debug)]
pub struct ScanPlan {
    /// The chain that the scan is pinned to.
    pub snapshot: Arc<ActiveChain>,
    /// The heights to scan. All must be on disk, except those that earlier scans have scanned.
    pub range: HeightRange,
    /// The part of the range that earlier scans have scanned.
    pub scanned: Option<ScannedPart>,
    /// The initial watch set: each keychain up to its gap limit before any use.
    pub watch: Arc<WatchSet>,
    /// The keychains of the watch set, by their numbers.
    pub keychains: Arc<[WatchedKeychain]>,
    /// The number of scripts up to which the watch set may grow.
    pub scripts_max: u64,
    /// The blocks to prove.
    pub verify: Verify,
    /// The results to deliver.
    pub deliver: Deliver,
    /// The data to add to each transaction.
    pub extras: Extras,
    /// The size of segments. No size changes the result.
    pub segment_size: SegmentSize,
    /// The size of the look-ahead.
    pub lookahead: LookaheadConfig,
}

/// The part of a range that earlier scans have scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedPart {
    /// Its last height.
    pub through: Height,
    /// The highest index of each keychain that was watched in it.
    pub watched_through: Vec<Option<u32>>,
}

/// The totals of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanTotals {
    /// Reported transactions.
    pub transactions: u64,
    /// Coins that were found and not seen spent.
    pub coins: CoinTotals,
    /// The use of each keychain, in their order.
    pub keychains: Vec<KeychainUse>,
    /// The highest index of each keychain all of whose matches were reported.
    pub watched_through: Vec<Option<u32>>,
    /// Settled heights.
    pub blocks_scanned: u64,
    /// Settled block data, in bytes.
    pub bytes_scanned: u64,
    /// The pass over the range, and one more for each backfill of further scripts.
    pub passes: u32,
}
