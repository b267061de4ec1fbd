//! The watch sets of one connection: entries are collected in a builder, then compiled.

pub(crate) mod builder;
pub(crate) mod compile;
mod count;
pub(crate) mod progress;
pub(crate) mod registry;
pub(crate) mod server;
