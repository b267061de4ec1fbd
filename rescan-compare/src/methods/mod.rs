//! The methods, each as a wallet would use it that had no other.
//!
//! All look for the same scripts in the same blocks. When the clock starts, a wallet knows its
//! scripts and no coin; it watches a coin from the moment of its discovery.

mod blocks_decoded;
mod blocks_matched;
mod context;
mod node_activity;
mod node_get_block;
mod node_scan_blocks;
#[cfg(test)]
mod node_tests;
mod request_per_block;
mod run;
mod shipped_blocks;
mod summaries;

pub(crate) use context::{Context, Outcome};
pub(crate) use run::MethodRun;
