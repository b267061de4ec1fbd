//! What a wallet asks for: the range of a scan, how much of it to prove, and the coins it already knows.
//!
//! Heights and times are as the wallet wrote them; only the server, which knows the chain, can make a definite
//! [`HeightRange`](crate::position::HeightRange) of them.

use bitcoin::{OutPoint, TxOut};

use crate::position::Height;

/// A scan of a sealed watch set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanRequest {
    /// What to scan.
    pub range: RangeRequest,
    /// Which blocks are proven.
    pub verify: Verify,
}

/// A range of blocks, as a wallet names it. Both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeRequest {
    /// Its lowest block.
    pub from: RangeStart,
    /// Its highest block.
    pub to: RangeEnd,
}

/// Where a range begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeStart {
    /// At this height.
    Height(Height),
    /// At the first block whose max-time (the greatest header time up to and including it) is at least this less 7,200;
    /// in seconds since 1970.
    Birthday(u32),
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
