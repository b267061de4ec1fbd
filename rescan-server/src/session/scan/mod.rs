//! Scans of one connection: from the call to the summary.

pub(crate) mod block_match;
pub(crate) mod capability;
pub(crate) mod cargo;
pub(crate) mod control;
pub(crate) mod job;
pub(crate) mod outbox;
pub(crate) mod range;
pub(crate) mod source;
pub(crate) mod start;
