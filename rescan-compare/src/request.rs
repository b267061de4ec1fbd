//! What is to be compared, and how far it has come.

use std::num::NonZeroU32;

use super::node::Node;
use rescan_client::GivenKeychain;

/// How many blocks are compared where no range is named: enough to measure by, and no hour of anyone's time.
pub const BLOCKS_DEFAULT: u32 = 2_000;

/// How often each way is run and counted where nothing else is said: the least that has a middle.
pub const RUNS_DEFAULT: NonZeroU32 = NonZeroU32::new(3).expect("three is not zero");

/// A comparison to be made.
#[derive(Clone, Debug)]
pub struct CompareRequest {
    /// What is looked for: a first scan finds up to which index, and all ways then look for the same scripts.
    pub keychains: Vec<GivenKeychain>,
    /// The first height; where there is none, [`BLOCKS_DEFAULT`] blocks up to the last.
    pub from_height: Option<u32>,
    /// The last height; where there is none, the tip.
    pub to_height: Option<u32>,
    /// How often each way is run and counted, after a run that is not.
    pub runs: NonZeroU32,
    /// Whether the busy-wallet curve is measured too.
    pub curve: Curve,
    /// The node that is asked for the same beside the server, where there is one.
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

/// How far a comparison is: which run is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Runs that are done.
    pub done: u64,
    /// Runs in all, as far as is known.
    pub total: u64,
    /// What is being done now, for people.
    pub doing: String,
}
