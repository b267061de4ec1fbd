//! The Rust code of `rescan.capnp`, the contract between wallet and server, and nothing else.
//!
//! A crate of its own because the generated code is four times as long as the code that uses it in
//! `rescan-core`: it compiles once, beside the other dependencies, and not with every change of core.
//! `rescan_core::wire` converts its types; other crates reach them as `rescan_core::rescan_capnp`.

#[allow(warnings, clippy::all, reason = "generated from rescan.capnp by `cargo xtask codegen`")]
#[rustfmt::skip]
pub mod rescan_capnp;
