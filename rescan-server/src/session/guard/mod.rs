//! The limits of one connection: memory, messages, calls and stalls.

pub(crate) mod budget;
pub(crate) mod gate;
pub(crate) mod intake;
pub mod limits;
pub(crate) mod meter;
pub(crate) mod permits;
pub(crate) mod watchdog;
