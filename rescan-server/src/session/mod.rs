//! The session of one client: its connection, its watch sets, its scans.
//!
//! Everything here runs on the RPC thread and computes nothing; work goes to the pool as jobs. The capability that a
//! client holds owns everything that the client started, so a client that vanishes frees all of it.
//!
//! In order, each folder above the ones before it: [`guard`] limits a connection, `shared` is common to all sessions,
//! `watch_set` collects and compiles entries, `scan` runs scans, `bootstrap` is the first object of a connection, and
//! `connection` serves it over a socket.

pub mod guard;

pub(crate) mod shared;

pub(crate) mod watch_set;

pub(crate) mod scan;

pub(crate) mod bootstrap;

pub(crate) mod connection;
