//! The node's side of rescan: reads Bitcoin Core's block files and answers wallets' rescans over a Unix socket.
//!
//! In the order in which data flows: the chain knows where each block lies, the scan walks blocks in a pool of workers,
//! [`session`] talks to wallets, [`listener`] lets them in, and [`Server`] holds it together as [`config`] says.
//! [`args`] and [`logging`] are for the `rescan-server` command.

pub mod args;
pub mod cancel;
pub mod config;
pub mod listener;
pub mod logging;
mod server;
pub mod session;
pub mod stand_in;

pub use server::{ServeError, Server, serve};
