//! The options of a fill, its steps as they are made, and its result.

use std::time::Duration;

use rescan_client::ScanHandle;
use rescan_core::request::{RangeStart, Verify};

use crate::differences::Difference;
use crate::found::{Found, MissingBlock};
use crate::plan::{Plan, Run};
use crate::widening::Widening;

/// The options of a fill.
#[derive(Clone, Debug)]
pub struct FillOptions {
    /// The first block; none for the earliest time among the wallet's descriptors.
    pub from: Option<RangeStart>,
    /// The number of indexes to watch beyond the last used one, 1 to
    /// [`GAP_LIMIT_MAX`](rescan_client::GAP_LIMIT_MAX).
    pub gap_limit: u32,
    /// The blocks that the server proves.
    pub verify: Verify,
    /// Whether missing blocks are asked for from the node's peers.
    pub fetch: bool,
}

/// A step of a fill.
#[derive(Debug)]
#[non_exhaustive]
pub enum FillEvent<'a> {
    /// The server scans; the handle asks for its progress.
    Scanning(ScanHandle),
    /// The server has scanned to the tip. Later scans of a fill begin where the one before ended.
    Scanned(&'a Found),
    /// The calls that are left to make.
    Planned(&'a Plan),
    /// Descriptors are about to get wider ranges.
    Widening(&'a Widening),
    /// Core has rescanned the blocks of a call.
    Rescanned {
        /// The blocks.
        run: &'a Run,
        /// The time that the node took.
        took: Duration,
    },
    /// The node lacks a matching block.
    Missing(MissingBlock),
    /// The node asks a peer for a missing block.
    Fetching(MissingBlock),
    /// The node has it now.
    Fetched(MissingBlock),
    /// The chain changed between the scan and a call: the fill begins its next round.
    ChainChanged {
        /// The height of the block that differs.
        height: u32,
    },
}

/// The result of a fill.
#[derive(Clone, Debug)]
pub struct FillReport {
    /// The history that the server found.
    pub found: Found,
    /// Number of calls of `rescanblockchain`.
    pub calls: u64,
    /// Number of blocks that Core looked at.
    pub blocks: u64,
    /// Time of these calls.
    pub rescan_time: Duration,
    /// Matching blocks that the node lacks; without them the wallet is not complete.
    pub missing: Vec<MissingBlock>,
    /// Differences between the wallet and the scan.
    pub differences: Vec<Difference>,
}

impl FillReport {
    /// Whether the wallet has all that the scan found and nothing else, but for its own unconfirmed
    /// transactions.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.missing.is_empty() && self.differences.iter().all(Difference::is_expected)
    }
}
