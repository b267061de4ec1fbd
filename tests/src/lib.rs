//! The parts of whole-product tests: a real server on a private socket, in this process or as one
//! of its own.
//!
//! [`TestServer`] runs the server's library on a thread; [`ServerProcess`] runs its program, for
//! tests of signals, logs and memory. [`Scene`] is a scenario on disk that can grow while it is
//! served. [`ScanRecord`] keeps the events of a scan.
//!
//! [`LiveNode`] is a real node on a regtest chain, if one is installed; [`load`] runs clients that
//! misbehave.
//!
//! It holds no tests: those are in `it/`, those beside a real node in `live/`. Tests that launch a
//! program are in the package that builds it.

#[expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test double: its parts are named after the protocol, and it may panic"
)]
pub mod fake;
mod json_rpc;
mod live_node;
pub mod load;
mod node_programs;
mod scanned;
mod scene;
mod server_process;
mod skipping;
mod test_server;

pub use json_rpc::JsonRpc;
pub use live_node::{LiveNode, eventually};
pub use node_programs::free_port;
pub use scanned::{ScanRecord, patiently, scan, shipped};
pub use scene::Scene;
pub use server_process::ServerProcess;
pub use skipping::say_skipped;
pub use test_server::{Manner, TestServer};

/// The README's example is compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
