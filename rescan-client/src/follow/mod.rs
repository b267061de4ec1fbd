//! Following: after the scan, the same watch set is reported block by block, for as long as the stream is read.
//!
//! A follower pulls: it waits for another tip and scans from its checkpoint. Nothing piles up anywhere; a follower that is not
//! read misses nothing, and finds the blocks of the meantime in one scan.
//!
//! Invariant: the blocks that were yielded, in their order, are at any moment one chain, on top of a block whose
//! predecessors are in it.

mod recent;
mod state;
mod stream;
mod task;

pub use stream::{FollowEvent, Follower};
