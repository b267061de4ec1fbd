//! The active chain of a blocks directory that a live node may be writing to.
//!
//! A refresh lists the directory, walks new and changed files, forgets removed ones, selects the active chain and
//! publishes an immutable snapshot. Running scans keep their snapshots. This folder queries no node: it receives the
//! node's tip and follows it. Without a node, doubts that files alone cannot settle are logged as warnings.
//!
//! All methods may block on disk reads. None holds a lock while it waits for anything but the disk.

mod anomaly_log;
mod error;
mod file_state;
mod indexer;
mod live_chain;
mod node_view;
mod progress;
pub mod state_file;
#[cfg(test)]
mod tests;

pub use error::ChainError;
pub use live_chain::{Chain, ChainConfig};
pub use progress::RefreshProgress;
pub use rescan_core::chain::active_chain::{ActiveChain, ChainBlock};
