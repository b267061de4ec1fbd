//! The chain of a server.

use bitcoin::BlockHash;

use crate::position::Height;
use crate::report::BlockId;

/// The state of a server's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainInfo {
    /// The network's genesis block.
    pub genesis: BlockHash,
    /// Whether it can be scanned.
    pub state: ChainState,
    /// The tip of the active chain; none while no block is known.
    pub tip: Option<BlockId>,
    /// The lowest height from which every block up to the tip is on disk.
    pub lowest_height: Height,
    /// The source of the active chain.
    pub source: ChainSource,
    /// The progress of reading block files.
    pub reading: ReadingProgress,
}

/// Whether a server's chain can be scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ChainState {
    /// The server reads the block files for the first time since it started; scans wait.
    Reading,
    /// Ready for scans.
    Ready,
    /// The block files could not be read; the next scan tries again.
    Failed,
    /// A state that this version does not know.
    Unknown,
}

/// The source of the active chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ChainSource {
    /// The block files: the chain with the most work, not confirmed by a node.
    Files,
    /// The node.
    Node,
    /// A source that this version does not know.
    Unknown,
}

/// The progress of reading block files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadingProgress {
    /// Bytes of block files read or skipped so far.
    pub bytes_done: u64,
    /// Bytes of all block files.
    pub bytes_total: u64,
}
