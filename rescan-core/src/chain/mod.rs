//! Block headers and the chain they form: the network's rules, the block index, and the active chain chosen from it.

pub mod active_chain;
pub mod block_index;
pub mod codec;
pub mod coinbase_height;
mod hash_index;
pub mod header;
pub mod network;
mod node_tip;
mod selection;
pub mod shared_vec;

pub use self::selection::Settled;
