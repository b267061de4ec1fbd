//! The pure heart of rescan: views of blocks as they lie on disk, watch sets, matching, reports, and the Cap'n Proto
//! contract between wallet and server. No I/O, no threads, no async; nothing here can panic on bytes from outside.
//!
//! In the order in which data flows: [`position`] and [`obfuscation`] say where and how bytes lie, [`report`] says what
//! a scan found, [`request`] what a wallet asks for, [`server_info`] what a server is, and [`wire`] is the one place where
//! messages become these types.

#![forbid(unsafe_code)]

pub mod coins;
pub mod cursor;
pub mod descriptor;
pub mod filter;
pub mod matching;
pub mod obfuscation;
pub mod position;
pub mod proof;
pub mod report;
pub mod request;
pub mod script_table;
pub mod server_info;
pub mod transaction;
pub mod walk;
pub mod watch;
pub mod wire;

#[allow(warnings, clippy::all, reason = "generated from schema/rescan.capnp by `cargo xtask codegen`")]
#[rustfmt::skip]
pub mod rescan_capnp;
