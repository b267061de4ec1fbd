//! The node's side of rescan: reads Bitcoin Core's block files and answers wallets' rescans over a Unix socket.
//!
//! In the order in which data flows: [`network_dir`] finds the files, [`block_file`] and [`block_files`] give their
//! bytes as [`page_cache`] has them, [`records`] walks them, [`state_file`] remembers what was found, [`chain`] says which blocks are active, as `node` hears it of a node,
//! [`scan`] walks those in a pool of workers, [`session`] talks to wallets, [`listener`] lets them in, [`figures`] counts what
//! happens and [`metrics`] tells it, and [`Server`] holds it together as [`config`] says. [`allocator`], [`args`],
//! [`logging`], [`open_files`] and [`service_manager`] are for the `rescan-server` command.

pub mod blocks;

pub mod chain;

mod node;

mod refresh;

pub mod scan;

pub mod session;

pub mod cancel;
pub mod config;
pub mod figures;
pub mod listener;
pub mod metrics;
mod reception;
mod server;
pub mod service_manager;

pub mod allocator;
pub mod args;
pub mod generate;
pub mod logging;
pub mod open_files;

#[allow(warnings, clippy::all, reason = "generated from schema/node.capnp by `cargo xtask codegen`")]
#[rustfmt::skip]
mod node_capnp;

pub use server::{ServeError, Server, serve};
