//! The pure core of rescan: views of blocks on disk, the chain, watch sets, matching, reports, and
//! the conversion of messages. No I/O, no threads, no async; no bytes from outside can cause a
//! panic.
//!
//! Modules follow the flow of data: [`blocks`] reads the bytes of a block, [`chain`] selects the
//! active chain, [`watching`] compiles a watch set and matches blocks against it, and [`report`]
//! holds the results. [`request`] and [`server_info`] are a wallet's requests and a server's
//! description; [`wire`] converts between messages and all of these types.

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
