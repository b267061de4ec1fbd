//! Limits of one connection: memory, messages, calls and stalls.

pub(crate) mod account;
pub(crate) mod connection;
pub(crate) mod gate;
pub(crate) mod intake;
pub mod limits;
pub(crate) mod meter;
pub(crate) mod watchdog;
