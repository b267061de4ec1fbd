//! The pure heart of rescan: views of blocks as they lie on disk, watch sets, matching, reports, and the Cap'n Proto
//! contract between wallet and server. No I/O, no threads, no async; nothing here can panic on bytes from outside.
//!
//! In the order in which data flows: [`position`] and [`obfuscation`] say where and how bytes lie, [`network`] and
//! [`header`] what a chain is checked by, [`header_tree`] which chain is active and [`chain_snapshot`] what stands in it, [`report`] says what
//! a scan found, [`request`] what a wallet asks for, [`server_info`] what a server is, and [`wire`] is the one place where
//! messages become these types.

#![forbid(unsafe_code)]

pub mod position;

pub mod protocol;
pub mod report;
pub mod request;

pub mod blocks;

pub mod chain;

pub mod watching;

pub mod block_match;
pub mod coins;
pub mod history;
pub mod server_info;

pub mod causes;
pub mod framing;
pub mod peer;
pub mod wire;

pub use rescan_schema::rescan_capnp;
