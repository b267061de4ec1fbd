//! Freshness of the chain: refreshes shared by all who need one, the poller that triggers them, and waits for a new tip.

pub(crate) mod file_watch;
pub(crate) mod poller;
pub(crate) mod refresher;
pub(crate) mod tip_wait;
