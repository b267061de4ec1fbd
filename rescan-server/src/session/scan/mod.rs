//! The scans of one connection, from the call to the summary.

pub(crate) mod block_match;
pub(crate) mod capability;
pub(crate) mod item_stream;
pub(crate) mod job;
pub(crate) mod launcher;
pub(crate) mod outbox;
pub(crate) mod pinned_range;
pub(crate) mod range;
pub(crate) mod running;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod streams;
mod summary;
