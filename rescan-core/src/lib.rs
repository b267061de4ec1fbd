//! The pure heart of rescan: views of blocks as they lie on disk, watch sets, matching, reports, and the Cap'n Proto
//! contract between wallet and server. No I/O, no threads, no async; nothing here can panic on bytes from outside.
//!
//! In the order in which data flows: [`position`] and [`obfuscation`] say where and how bytes lie, [`network`] and
//! [`header`] what a chain is checked by, [`header_tree`] which chain is active and [`chain_snapshot`] what stands in it, [`report`] says what
//! a scan found, [`request`] what a wallet asks for, [`server_info`] what a server is, and [`wire`] is the one place where
//! messages become these types.

#![forbid(unsafe_code)]

pub mod block_match;
pub mod causes;
mod chain_choice;
pub mod chain_snapshot;
pub mod coin_map;
pub mod coinbase_height;
pub mod coins;
pub mod cursor;
pub mod descriptor;
pub mod filter;
mod hash_index;
pub mod header;
pub mod header_tree;
pub mod history;
pub mod matching;
pub mod merkle;
pub mod network;
mod node_word;
pub mod obfuscation;
pub mod position;
pub mod proof;
pub mod remembered;
pub mod report;
pub mod request;
pub mod script_table;
pub mod server_info;
pub mod shared_vec;
pub mod transaction;
pub mod walk;
pub mod watch;
pub mod wire;

#[allow(warnings, clippy::all, reason = "generated from schema/rescan.capnp by `cargo xtask codegen`")]
#[rustfmt::skip]
pub mod rescan_capnp;

pub use chain_choice::Settled;
