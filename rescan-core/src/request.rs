//! What a wallet asks for: the range of a scan, how much of it to prove, and the coins it already knows.
//!
//! Heights and times are as the wallet wrote them; only the server, which knows the chain, can make a definite
//! [`HeightRange`](crate::position::HeightRange) of them.

use std::time::Duration;

use bitcoin::{BlockHash, OutPoint, TxOut};

use crate::position::Height;

/// A scan of a sealed watch set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanRequest {
    /// What to scan.
    pub range: RangeRequest,
    /// Which blocks are proven.
    pub verify: Verify,
    /// What crosses to the wallet.
    pub deliver: Deliver,
    /// What comes with each reported transaction.
    pub extras: Extras,
    /// How often the wallet is told up to where everything was reported; never where none. In whole milliseconds.
    pub mark_every: Option<Duration>,
    /// What earlier scans have been through, where this one goes on.
    pub scanned: Option<Scanned>,
}

impl ScanRequest {
    /// All history of a range, and nothing beside it.
    #[must_use]
    pub fn history(range: RangeRequest, verify: Verify) -> Self {
        let (deliver, extras) = (Deliver::History, Extras::default());
        Self { range, verify, deliver, extras, mark_every: None, scanned: None }
    }
}

/// What crosses to the wallet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deliver {
    /// Reports of all that matched.
    #[default]
    History,
    /// No reports: what is unspent at the end.
    Coins,
}

/// What may come with each reported transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Its bytes. The witness commitment of its block is proven too, where the block is proven.
    pub raw_transactions: bool,
    /// Its merkle branch, and the header of its block.
    pub merkle_branches: bool,
}

/// What earlier scans of the same keychains have been through: all blocks from a height up to where the range begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// The lowest of those blocks.
    pub from: Height,
    /// The highest index of each keychain that was watched there; one a keychain, in their order.
    pub watched_through: Vec<Option<u32>>,
}

/// A keychain: a descriptor, and how far beyond its last use it is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenKeychain {
    /// An output descriptor with public keys only, of one path.
    pub descriptor: String,
    /// Indexes 0 to (last used or revealed, whichever is higher) plus this are watched; 1 to [`GAP_LIMIT_MAX`]. Of no
    /// meaning where the descriptor is not ranged.
    pub gap_limit: u32,
    /// The highest index that the wallet has given out, where it knows. Without it, a scan that begins after the first
    /// uses may stop short.
    pub last_revealed: Option<u32>,
}

/// The gap limit where nothing else is said: Bitcoin Core's default keypool (`DEFAULT_KEYPOOL_SIZE`,
/// `src/wallet/scriptpubkeyman.h`).
pub const GAP_LIMIT_DEFAULT: u32 = 1_000;

/// The largest gap limit.
pub const GAP_LIMIT_MAX: u32 = 1_000_000;

/// The highest index of a key that is not hardened (BIP32).
pub const INDEX_MAX: u32 = (1 << 31) - 1;

impl GivenKeychain {
    /// A keychain with the default gap limit, nothing of which is known to be given out.
    pub fn new(descriptor: impl Into<String>) -> Self {
        Self { descriptor: descriptor.into(), gap_limit: GAP_LIMIT_DEFAULT, last_revealed: None }
    }

    /// Watched that far beyond its last use.
    #[must_use]
    pub fn gap_limit(mut self, gap_limit: u32) -> Self {
        self.gap_limit = gap_limit;
        self
    }

    /// Known to be given out up to that index.
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

/// A range of blocks, as a wallet names it. Both ends are included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRequest {
    /// Its lowest block.
    pub from: RangeStart,
    /// Its highest block.
    pub to: RangeEnd,
}

/// Where a range begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeStart {
    /// At this height.
    Height(Height),
    /// At the first block whose max-time (the greatest header time up to and including it) is at least this less 7,200;
    /// in seconds since 1970.
    Birthday(u32),
    /// After the highest of these blocks that is in the active chain; there is nothing to walk if that is the tip.
    After(Vec<BlockHash>),
}

/// Where a range ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeEnd {
    /// At the tip when the scan begins.
    Tip,
    /// At this height.
    Height(Height),
}

/// Which blocks must hash to the merkle root of their header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Every block that is reported.
    #[default]
    Reported,
    /// Every block walked, so that a flipped bit cannot hide a match either.
    All,
    /// None: the disk is trusted, as Bitcoin Core's own rescan trusts it.
    None,
}

/// A coin that existed before the range and whose spend is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenOutpoint {
    /// Which coin.
    pub outpoint: OutPoint,
    /// What it is, where the wallet knows: its value comes back with the spend.
    pub output: Option<TxOut>,
}

/// How much a sealed watch set watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchSetSize {
    /// Keychains.
    pub keychains: u32,
    /// Distinct scripts, derived ones included.
    pub scripts: u64,
    /// Distinct given outpoints.
    pub outpoints: u64,
}
