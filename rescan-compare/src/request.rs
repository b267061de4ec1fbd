//! The request for a comparison, and its steps.

use std::num::NonZeroU32;

use rescan_client::GivenKeychain;

use crate::node::Node;

/// The number of blocks without a named range: enough to measure, in minutes.
pub const BLOCKS_DEFAULT: u32 = 2_000;

/// The default number of counted runs of each method: the smallest with a median other than its
/// extremes.
pub const RUNS_DEFAULT: NonZeroU32 = NonZeroU32::new(3).expect("three is not zero");

/// A comparison to be made.
#[derive(Clone, Debug)]
pub struct CompareRequest {
    /// The keychains. A first scan finds their last used indexes; all methods then look for the
    /// same scripts.
    pub keychains: Vec<GivenKeychain>,
    /// The first height; if none, that of the [`BLOCKS_DEFAULT`] blocks up to the last.
    pub from_height: Option<u32>,
    /// The last height; if none, the tip.
    pub to_height: Option<u32>,
    /// Counted runs of each method, after one to warm up.
    pub runs: NonZeroU32,
    /// Whether the busy-wallet curve is measured.
    pub curve: Curve,
    /// A node for the methods over its RPC, if any.
    pub node: Option<Node>,
    /// The command, for the report: without its descriptors.
    pub command: String,
}

/// Whether the busy-wallet curve is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// It is.
    Measured,
    /// It is not, and the report says so.
    LeftOut,
}

/// The progress of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Steps done.
    pub done: u64,
    /// Steps in all, at most.
    pub total: u64,
    /// The step that now begins, or its progress, for people.
    pub doing: String,
}
