//! The session of one client: its connection, its watch sets, its scans.
//!
//! Everything here runs on the RPC thread and computes nothing; work goes to the pool as jobs. The capability that a
//! client holds owns everything that the client started, so a client that vanishes frees all of it.
//!
//! The modules stand in order; none imports from one below it:
//!
//! - [`guard`]: the limits of a connection
//! - `shared`: the state that all sessions share
//! - `watch_set`: collects entries and compiles them
//! - `scan`: runs scans and delivers their items
//! - `bootstrap`: the first object of a connection
//! - `connection`: serves that object over a socket

pub mod guard;

pub(crate) mod shared;

pub(crate) mod watch_set;

pub(crate) mod scan;

pub(crate) mod bootstrap;

pub(crate) mod connection;
