//! The node beside the server: the same questions over its own RPC.
//!
//! It need not be the node whose files the server reads: [`Node::check`] shows that both have the
//! same blocks. No call changes anything on the node.

mod client;
mod error;
mod process;

pub use client::Node;
pub use error::NodeError;
