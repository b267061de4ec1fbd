//! Progress of a running scan.

/// Progress of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its current phase.
    pub phase: Phase,
    /// Scripts derived from keychains so far, while the phase is [`Phase::Deriving`].
    pub scripts_derived: u64,
    /// Scripts to derive before any use. 0 if there are none, or the server does not count them.
    pub scripts_total: u64,
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

impl Progress {
    /// The beginning of a phase, with nothing counted yet.
    #[must_use]
    pub const fn at_start_of(phase: Phase) -> Self {
        Self {
            phase,
            scripts_derived: 0,
            scripts_total: 0,
            blocks_done: 0,
            blocks_total: 0,
            bytes_done: 0,
            bytes_total: 0,
            elapsed_micros: 0,
        }
    }
}

/// A phase of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The server is reading its block files for the first time; blocks and bytes count that
    /// reading.
    ReadingChain,
    /// Deriving the scripts of keychains, and compiling the watch set.
    Deriving,
    /// Scanning blocks.
    Walking,
    /// Ended.
    Done,
    /// A phase of a newer version.
    Unknown,
}
