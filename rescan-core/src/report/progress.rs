//! Progress of a running scan.

/// Progress of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its current phase.
    pub phase: Phase,
    /// Blocks whose matches were all reported, in chain order.
    pub blocks_done: u64,
    /// Blocks in the range.
    pub blocks_total: u64,
    /// Size of those blocks, in bytes.
    pub bytes_done: u64,
    /// Size of the blocks in the range, in bytes.
    pub bytes_total: u64,
    /// Time since the first block, in microseconds.
    pub elapsed_micros: u64,
}

/// A phase of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The server is reading its block files for the first time; blocks and bytes count that
    /// reading.
    ReadingChain,
    /// Deriving scripts.
    Deriving,
    /// Scanning blocks.
    Walking,
    /// Ended.
    Done,
    /// A phase of a newer version.
    Unknown,
}
