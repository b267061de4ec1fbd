//! Freshness of the chain: refreshes shared by all callers, the poller that triggers them, and waits for a new tip.

pub(crate) mod chain_view;
pub(crate) mod file_watch;
pub(crate) mod poller;
pub(crate) mod refresher;
pub(crate) mod tip_wait;

#[cfg(test)]
mod tests;
