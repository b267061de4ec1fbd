//! What a scan says, as domain types: what one block yields, how a scan ended, what is broken.

use std::path::PathBuf;

use bitcoin::block::Header;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, TxMerkleNode, Txid};

use crate::position::{Height, HeightRange};

/// What one block yields. Only blocks that match are reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockReport {
    /// Its height in the chain that the scan is pinned to.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// The time in its header, in seconds since 1970.
    pub time: u32,
    /// Whether it is about a block that was passed before, for scripts that came to be watched only then. It carries the
    /// new matches alone: see [`history`](crate::history).
    pub is_late: bool,
    /// Its header, where merkle branches were asked for.
    pub header: Option<Header>,
    /// Its matching transactions, by ascending index in the block; never empty.
    pub transactions: Vec<TransactionReport>,
}

/// One transaction that touches the watch set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionReport {
    /// Its index in the block, the coinbase being 0.
    pub tx_index: u32,
    /// Its id.
    pub txid: Txid,
    /// The outputs that pay a watched script, by ascending vout.
    pub received: Vec<Received>,
    /// The inputs that spend a watched coin, by ascending vin.
    pub spent: Vec<Spent>,
    /// Its consensus serialisation with witnesses, where asked for.
    pub raw: Option<Vec<u8>>,
    /// Its siblings in the merkle tree from the transaction up to the root, where asked for.
    pub merkle_branch: Option<Vec<TxMerkleNode>>,
}

/// An output that pays a watched script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its index in the transaction.
    pub vout: u32,
    /// What it carries.
    pub value: Amount,
    /// What it pays.
    pub script_pubkey: ScriptBuf,
    /// Everything in the watch set that this script belongs to, ascending; never empty.
    pub origins: Vec<Origin>,
}

/// An input that spends a watched coin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Its index in the transaction.
    pub vin: u32,
    /// The coin it spends.
    pub prevout: OutPoint,
    /// What that coin carried, where it was found in the range or given.
    pub value: Option<Amount>,
    /// Everything in the watch set that this coin belongs to, ascending; never empty.
    pub origins: Vec<Origin>,
}

/// Why something matched: which entry of the watch set it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A script of a keychain: the keychain's number, and the index, none where the descriptor is not ranged.
    Keychain {
        /// The number of the keychain, from 0 in the order in which they were added.
        keychain: u32,
        /// The derivation index; none where the descriptor is not ranged.
        index: Option<u32>,
    },
    /// A given script, by its number.
    Script(u32),
    /// A given outpoint, by its number.
    Outpoint(u32),
}

/// How a scan ended. None of these is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every block of the range was scanned.
    Complete,
    /// The client asked for the end.
    Cancelled,
    /// Blocks of the range are not on disk; this is the lowest height that is complete to the range's end.
    PrunedBelow(Height),
    /// The chain that the scan was pinned to was left; reports at and above this height no longer stand.
    ReorganisedFrom(Height),
}

/// Whether and how far a keychain was used within the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeychainUse {
    /// None of its scripts received anything.
    Unused,
    /// The highest index that received something.
    LastUsed(u32),
    /// It is not ranged, and received something.
    UsedSingle,
}

/// A block's place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// The time in its header, in seconds since 1970.
    pub time: u32,
}

/// What a scan comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How it ended.
    pub outcome: Outcome,
    /// The range that was asked for, made definite.
    pub range: HeightRange,
    /// The last block of the range, in the chain that the scan was pinned to.
    pub tip: BlockId,
    /// Distinct transactions reported.
    pub transactions: u64,
    /// Coins created in what was scanned and unspent at its end.
    pub unspent_count: u64,
    /// What those coins carry together.
    pub unspent: Amount,
    /// One a keychain, in their order.
    pub keychains: Vec<KeychainUse>,
    /// The highest index of each keychain that was watched over all of the range with every match reported; none where
    /// nothing was. One a keychain, in their order.
    pub watched_through: Vec<Option<u32>>,
    /// Heights scanned.
    pub blocks_scanned: u64,
    /// Block data scanned, in bytes.
    pub bytes_scanned: u64,
    /// Derivation before the walk, in microseconds.
    pub prepare_micros: u64,
    /// Everything, in microseconds.
    pub elapsed_micros: u64,
    /// Hashes of blocks from the last one scanned downwards, ever further apart: what to go on from.
    pub locator: Vec<BlockHash>,
    /// How often blocks were gone over: once, and once more for each time that the gap rule came to watch scripts that
    /// had not been derived ahead.
    pub passes: u32,
}

/// A point of a scan at which everything before was reported: what it takes to go on from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Where the range begins, what earlier scans covered included.
    pub from: Height,
    /// The last block that is settled.
    pub block: BlockId,
    /// Hashes of blocks from that one downwards, ever further apart.
    pub locator: Vec<BlockHash>,
    /// One a keychain, in their order.
    pub keychains: Vec<KeychainUse>,
    /// As [`Summary::watched_through`].
    pub watched_through: Vec<Option<u32>>,
}

/// What ended a scan without an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It came to an outcome.
    Summary(Summary),
    /// It was never begun: the caller's mistake.
    Refused(Refusal),
    /// Something is broken.
    Failed(Failure),
}

/// A caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// Which mistake.
    pub reason: RefusalReason,
    /// The number of the keychain, script or outpoint that it is about, where it is about one.
    pub position: u64,
    /// What was expected and what was found, for people. Never contains key material.
    pub detail: String,
}

/// Which mistake a caller made.
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
    /// More entries than a watch set holds.
    TooManyEntries,
    /// An entry for a watch set that was sealed before.
    AlreadySealed,
    /// A scan for a watch set that was never sealed.
    NotSealed,
    /// A range upside down, or above the tip.
    BadRange,
    /// A watch set that is not one of this connection's.
    ForeignWatchSet,
    /// More scans than a connection may run.
    TooManyScans,
    /// A gap limit or a revealed index out of bounds.
    BadGapLimit,
    /// A range after a locator none of whose blocks is in the active chain.
    NotInChain,
    /// What earlier scans are said to have covered does not fit the range or the watch set.
    BadCoverage,
    /// A reason that this version does not know.
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

    /// What it is called where machines read it.
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

/// Something is broken: on disk, in the operating system, or in the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// What kind of thing.
    pub kind: FailureKind,
    /// What was expected and what was found, for people.
    pub detail: String,
    /// Where on disk, if it is about a place.
    pub at: Option<FailurePlace>,
}

/// What kind of thing is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// A block does not hash to what its header says, or is not made as blocks are made.
    CorruptBlock,
    /// The operating system would not give the bytes.
    Unreadable,
    /// A defect of the server's.
    Internal,
    /// The gap rule asks for more scripts than a watch set holds.
    LimitReached,
    /// A kind that this version does not know.
    Unknown,
}

impl FailureKind {
    /// All that this version knows.
    pub const KNOWN: [Self; 4] = [Self::CorruptBlock, Self::Unreadable, Self::Internal, Self::LimitReached];

    /// What it is called where machines read it.
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

/// A place on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailurePlace {
    /// The height of the block that lies there.
    pub height: Height,
    /// The block file.
    pub path: PathBuf,
    /// The offset of the block's first byte in that file, in bytes.
    pub offset: u64,
}

/// How far a scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Blocks settled in chain order.
    pub blocks_done: u64,
    /// Blocks of the range.
    pub blocks_total: u64,
    /// Block data settled in chain order, in bytes.
    pub bytes_done: u64,
    /// Block data of the range, in bytes.
    pub bytes_total: u64,
    /// Time since the walk began, in microseconds.
    pub elapsed_micros: u64,
}

/// What a scan is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It waits for the server to read its block files; blocks and bytes are those of that reading.
    ReadingChain,
    /// Scripts are being derived.
    Deriving,
    /// Blocks are being walked.
    Walking,
    /// It ended.
    Done,
    /// A phase that this version does not know.
    Unknown,
}

/// A whole block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullBlock {
    /// Its height in the chain that the shipment is pinned to.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// Its consensus serialisation with witnesses.
    pub data: Vec<u8>,
}
