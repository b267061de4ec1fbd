//! Block headers and the chain they form: network rules, the block index, and the active chain
//! selected from it.
//!
//! Modules follow the flow of data: a header is checked by the network's rules, numbered in the
//! block table, and linked in the block index. The node's tip and the index together determine the
//! active chain.

pub mod coinbase_height;
pub mod header;
pub mod network;

mod block_table;
mod hash_index;
mod shared_vec;

pub mod active_chain;
pub mod block_index;
pub mod codec;
mod node_tip;
pub mod selection;
