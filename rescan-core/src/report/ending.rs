//! The end of a scan: its summary, a refusal or a failure; and the points at which an unfinished
//! scan can resume.

use std::path::PathBuf;
use std::time::Duration;

use bitcoin::{Amount, BlockHash};

use super::block::{BlockId, Origin};
use crate::position::{Height, HeightRange};

/// The end of a scan. No outcome is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every block of the range was scanned.
    Complete,
    /// The client cancelled the scan.
    Cancelled,
    /// Blocks of the range are not on disk; this is the lowest height from which all are, to the
    /// range's end.
    PrunedBelow(Height),
    /// The node left the chain that the scan was pinned to; reports at and above this height no
    /// longer hold.
    ReorganisedFrom(Height),
}

/// Use of a keychain within the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeychainUse {
    /// None of its scripts received anything.
    Unused,
    /// The highest index that received something.
    LastUsed(u32),
    /// It is not ranged, and received something.
    UsedSingle,
}

impl KeychainUse {
    /// Records that a script received something: the one at `index`, or the only one of a keychain
    /// that is not ranged.
    pub fn record(&mut self, index: Option<u32>) {
        *self = match (*self, index) {
            (Self::LastUsed(last), Some(index)) => Self::LastUsed(last.max(index)),
            (_, Some(index)) => Self::LastUsed(index),
            (_, None) => Self::UsedSingle,
        };
    }

    /// Records the use of the keychain that `origin` names, if it is one of `keychains`.
    pub fn record_origin(keychains: &mut [Self], origin: Origin) {
        if let Origin::Keychain { keychain, index } = origin
            && let Some(used) = usize::try_from(keychain).ok().and_then(|number| keychains.get_mut(number))
        {
            used.record(index);
        }
    }
}

/// The result of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its outcome.
    pub outcome: Outcome,
    /// The requested range, as heights.
    pub range: HeightRange,
    /// The last block of the range, in the chain that the scan was pinned to.
    pub tip: BlockId,
    /// Number of distinct transactions reported.
    pub transactions: u64,
    /// Number of coins created in the scanned blocks and unspent at their end.
    pub unspent_count: u64,
    /// Total value of those coins.
    pub unspent: Amount,
    /// One for each keychain, in their order.
    pub keychains: Vec<KeychainUse>,
    /// The highest index of each keychain that was watched over the whole range, with every match
    /// reported; none if no index was. One for each keychain, in their order.
    pub watched_through: Vec<Option<u32>>,
    /// Number of blocks scanned.
    pub blocks_scanned: u64,
    /// Block data scanned, in bytes.
    pub bytes_scanned: u64,
    /// Time of derivation before the scan, in microseconds.
    pub prepare_micros: u64,
    /// Total time, in microseconds.
    pub elapsed_micros: u64,
    /// Hashes of blocks from the last one scanned downwards, at growing distances. A later scan
    /// resumes from it.
    pub locator: Vec<BlockHash>,
    /// Number of passes over blocks: one, and one more for each time that the gap limit reached
    /// scripts that had not been derived ahead.
    pub passes: u32,
}

impl Summary {
    /// The summary of a scan that was cancelled before its first block. `elapsed` is the time it
    /// spent preparing.
    #[must_use]
    pub fn cancelled(
        range: HeightRange,
        tip: BlockId,
        keychains: usize,
        locator: Vec<BlockHash>,
        elapsed: Duration,
    ) -> Self {
        let elapsed_micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        Self {
            outcome: Outcome::Cancelled,
            range,
            tip,
            transactions: 0,
            unspent_count: 0,
            unspent: Amount::ZERO,
            keychains: vec![KeychainUse::Unused; keychains],
            watched_through: vec![None; keychains],
            blocks_scanned: 0,
            bytes_scanned: 0,
            prepare_micros: elapsed_micros,
            elapsed_micros,
            locator,
            passes: 0,
        }
    }
}

/// A point of a scan up to which every match was reported, and from which a later scan can resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumePoint {
    /// The first height scanned, by this scan or an earlier one that it resumed.
    pub from: Height,
    /// The last block whose matches were all reported.
    pub block: BlockId,
    /// Hashes of blocks from that one downwards, at growing distances.
    pub locator: Vec<BlockHash>,
    /// One for each keychain, in their order.
    pub keychains: Vec<KeychainUse>,
    /// As [`Summary::watched_through`].
    pub watched_through: Vec<Option<u32>>,
}

/// The end of a scan, whether or not it has an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has an outcome.
    Summary(Summary),
    /// It never began: the caller made a mistake.
    Refused(Refusal),
    /// A part of the system is broken.
    Failed(Failure),
}

/// A caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// The kind of mistake.
    pub reason: RefusalReason,
    /// The number of the keychain, script or outpoint at fault, if there is one.
    pub position: u64,
    /// The expected and the found, for people. Never contains key material.
    pub detail: String,
}

/// A kind of mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// A descriptor that does not parse, or that cannot be watched.
    BadDescriptor,
    /// A descriptor or address of another network.
    WrongNetwork,
    /// A script that cannot be watched.
    BadScript,
    /// An outpoint that cannot be watched.
    BadOutpoint,
    /// More entries than a watch set may hold.
    TooManyEntries,
    /// An entry for a watch set that was sealed before.
    AlreadySealed,
    /// A scan for a watch set that was never sealed.
    NotSealed,
    /// A range whose first height is above its last or above the tip.
    BadRange,
    /// A watch set of another connection.
    ForeignWatchSet,
    /// More scans than a connection may run.
    TooManyScans,
    /// A gap limit or a revealed index out of bounds.
    BadGapLimit,
    /// A range after a locator none of whose blocks is in the active chain.
    NotInChain,
    /// The blocks that earlier scans are said to have scanned do not fit the range or the watch
    /// set.
    BadCoverage,
    /// A reason of a newer version.
    Unknown,
}

impl RefusalReason {
    /// All that this version knows.
    pub const KNOWN: [Self; 13] = [
        Self::BadDescriptor,
        Self::WrongNetwork,
        Self::BadScript,
        Self::BadOutpoint,
        Self::TooManyEntries,
        Self::AlreadySealed,
        Self::NotSealed,
        Self::BadRange,
        Self::ForeignWatchSet,
        Self::TooManyScans,
        Self::BadGapLimit,
        Self::NotInChain,
        Self::BadCoverage,
    ];

    /// Its name in machine-readable output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadDescriptor => "bad_descriptor",
            Self::WrongNetwork => "wrong_network",
            Self::BadScript => "bad_script",
            Self::BadOutpoint => "bad_outpoint",
            Self::TooManyEntries => "too_many_entries",
            Self::AlreadySealed => "already_sealed",
            Self::NotSealed => "not_sealed",
            Self::BadRange => "bad_range",
            Self::ForeignWatchSet => "foreign_watch_set",
            Self::TooManyScans => "too_many_scans",
            Self::BadGapLimit => "bad_gap_limit",
            Self::NotInChain => "not_in_chain",
            Self::BadCoverage => "bad_coverage",
            Self::Unknown => "unknown",
        }
    }
}

/// A defect on disk, in the operating system, or in the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// The kind of defect.
    pub kind: FailureKind,
    /// The expected and the found, for people.
    pub detail: String,
    /// The position on disk, if there is one.
    pub at: Option<FailurePlace>,
}

/// A kind of defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// A block is malformed, or does not hash to the merkle root of its header.
    CorruptBlock,
    /// The operating system failed to read the bytes.
    Unreadable,
    /// A defect of the server.
    Internal,
    /// The gap limit needs more scripts than a watch set may hold.
    LimitReached,
    /// A kind of a newer version.
    Unknown,
}

impl FailureKind {
    /// All that this version knows.
    pub const KNOWN: [Self; 4] = [Self::CorruptBlock, Self::Unreadable, Self::Internal, Self::LimitReached];

    /// Its name in machine-readable output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CorruptBlock => "corrupt_block",
            Self::Unreadable => "unreadable",
            Self::Internal => "internal",
            Self::LimitReached => "limit_reached",
            Self::Unknown => "unknown",
        }
    }
}

/// The position of a block on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailurePlace {
    /// The height of the block.
    pub height: Height,
    /// The block file.
    pub path: PathBuf,
    /// The offset of the block's first byte in that file, in bytes.
    pub offset: u64,
}
