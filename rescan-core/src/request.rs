//! Requests of a wallet: the range of a scan, the degree of proof, and the coins that the wallet
//! knows.
//!
//! Heights and times are the wallet's. Only the server, which knows the chain, turns them into a
//! definite [`HeightRange`](crate::position::HeightRange).

use std::time::Duration;

use bitcoin::{BlockHash, OutPoint, TxOut};

use crate::position::Height;

/// A scan of a sealed watch set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanOptions {
    /// The blocks to scan.
    pub range: RangeRequest,
    /// The blocks to prove.
    pub verify: Verify,
    /// The results to send.
    pub deliver: Deliver,
    /// Further data for each reported transaction.
    pub extras: Extras,
    /// Interval between resume points, in whole milliseconds; none for no resume points.
    pub mark_every: Option<Duration>,
    /// The part that earlier scans have scanned, if this one resumes them.
    pub scanned: Option<Scanned>,
}

impl ScanOptions {
    /// A request for the history of a range, without extras.
    #[must_use]
    pub fn history(range: RangeRequest, verify: Verify) -> Self {
        let (deliver, extras) = (Deliver::History, Extras::default());
        Self { range, verify, deliver, extras, mark_every: None, scanned: None }
    }
}

/// The results to send to the wallet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deliver {
    /// Reports of all matches.
    #[default]
    History,
    /// No reports; the coins that are unspent at the end.
    Coins,
}

/// Optional data for each reported transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Its bytes. If its block is proven, so is the block's witness commitment.
    pub raw_transactions: bool,
    /// Its merkle branch, and the header of its block.
    pub merkle_branches: bool,
}

/// The part that earlier scans of the same keychains have scanned: all blocks from a height up to
/// the start of the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// The lowest of those blocks.
    pub from: Height,
    /// The highest index of each keychain that was watched there. One for each keychain, in their
    /// order.
    pub watched_through: Vec<Option<u32>>,
}

/// A keychain: a descriptor, and the number of scripts to watch beyond its last use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenKeychain {
    /// A single-path output descriptor with public keys only.
    pub descriptor: String,
    /// Indexes 0 to (last used or revealed, whichever is higher) plus this are watched; 1 to
    /// [`GAP_LIMIT_MAX`]. Ignored if the descriptor is not ranged.
    pub gap_limit: u32,
    /// The highest index that the wallet has revealed, if known. Without it, a scan that begins
    /// after the first uses may stop short.
    pub last_revealed: Option<u32>,
}

/// The default gap limit: Bitcoin Core's default keypool (`DEFAULT_KEYPOOL_SIZE`,
/// `src/wallet/scriptpubkeyman.h`).
pub const GAP_LIMIT_DEFAULT: u32 = 1_000;

/// The largest gap limit.
pub const GAP_LIMIT_MAX: u32 = 1_000_000;

/// The highest index of a key that is not hardened (BIP32).
pub const INDEX_MAX: u32 = (1 << 31) - 1;

impl GivenKeychain {
    /// A keychain with the default gap limit and no revealed index.
    pub fn new(descriptor: impl Into<String>) -> Self {
        Self { descriptor: descriptor.into(), gap_limit: GAP_LIMIT_DEFAULT, last_revealed: None }
    }

    /// Sets the gap limit.
    #[must_use]
    pub fn gap_limit(mut self, gap_limit: u32) -> Self {
        self.gap_limit = gap_limit;
        self
    }

    /// Sets the highest revealed index.
    #[must_use]
    pub fn revealed(mut self, last_index: u32) -> Self {
        self.last_revealed = Some(last_index);
        self
    }
}

impl From<&str> for GivenKeychain {
    fn from(descriptor: &str) -> Self {
        Self::new(descriptor)
    }
}

impl From<&String> for GivenKeychain {
    fn from(descriptor: &String) -> Self {
        Self::new(descriptor)
    }
}

impl From<String> for GivenKeychain {
    fn from(descriptor: String) -> Self {
        Self::new(descriptor)
    }
}

/// A range of blocks, as requested by a wallet. Both ends are included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRequest {
    /// Its lowest block.
    pub from: RangeStart,
    /// Its highest block.
    pub to: RangeEnd,
}

/// The start of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeStart {
    /// This height.
    Height(Height),
    /// The first block whose max-time (the greatest header time up to and including it) is at least
    /// this less 7,200; in seconds since 1970.
    Birthday(u32),
    /// The block after the highest of these blocks in the active chain. If that is the tip, no
    /// block is scanned.
    After(Vec<BlockHash>),
}

/// The end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeEnd {
    /// The tip at the start of the scan.
    Tip,
    /// This height.
    Height(Height),
}

/// The blocks that must hash to the merkle root of their header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Every block that is reported.
    #[default]
    Reported,
    /// Every scanned block. A flipped bit cannot hide a match either.
    All,
    /// None: the disk is trusted, as in Bitcoin Core's own rescan.
    None,
}

/// A coin from before the range whose spend is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenOutpoint {
    /// The coin.
    pub outpoint: OutPoint,
    /// Its output, if the wallet knows it: the value is reported with the spend.
    pub output: Option<TxOut>,
}

/// Size of a sealed watch set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchSetSize {
    /// Number of keychains.
    pub keychains: u32,
    /// Number of distinct scripts, derived ones included.
    pub scripts: u64,
    /// Number of distinct given outpoints.
    pub outpoints: u64,
}
