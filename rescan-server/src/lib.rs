//! The node side of rescan: reads Bitcoin Core's block files and answers rescans of wallets over a Unix socket.
//!
//! Modules stand in the order in which data flows; none imports from one below it. [`blocks`] finds and reads the block
//! files. [`chain`] is the active chain, and `node` reports its tip. [`scan`] walks it in a pool of workers. `listener`
//! binds sockets, [`metrics`] counts and exports events, and `refresh` keeps the chain current. [`session`] serves one
//! wallet over a connection, `acceptor` admits connections, and [`Server`] runs it all by its [`config`].
//!
//! [`args`], [`allocator`], [`open_files`] and [`service_manager`] belong to the command `rescan-server`.

pub mod blocks;

pub mod cancel;

pub mod chain;

mod node;

pub mod scan;

mod listener;

pub mod metrics;

mod refresh;

pub mod logging;

mod exception;

pub mod session;

mod acceptor;

mod allocator_trim;

mod service_status;

pub mod config;

mod server;

pub mod allocator;
pub mod args;
pub mod open_files;
pub mod service_manager;

#[allow(warnings, clippy::all, reason = "generated from schema/node.capnp by `cargo xtask codegen`")]
#[rustfmt::skip]
mod node_capnp;

#[cfg(test)]
mod disk_fault_tests;

pub use listener::BindError;
pub use server::{ServeError, Server, serve};
