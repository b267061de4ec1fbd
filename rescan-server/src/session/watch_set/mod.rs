//! The watch sets of one connection: entries are collected in a builder, then compiled.

pub(crate) mod builder;
pub(crate) mod compile;
pub(crate) mod registry;
pub(crate) mod server;
