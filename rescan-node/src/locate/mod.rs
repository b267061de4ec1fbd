//! Finding the node of a datadir, as bitcoin-cli does: its `bitcoin.conf`, the chain, the address
//! and the credentials.
//!
//! The rules are Bitcoin Core's (`src/common/config.cpp`, `settings.cpp`, `args.cpp`,
//! `chainparamsbase.cpp`, `rpc/request.cpp`, `bitcoin-cli.cpp`). Three differ. A named chain
//! overrides those of the file; bitcoin-cli refuses the combination. If no chain is named and only
//! another chain than main has a cookie, that one is taken. A chain's own folder is understood as a
//! datadir.
//!
//! Nothing is written, and no environment is read. `Debug` and messages never show a password.

mod chain_type;
mod conf_file;
mod datadir;
mod error;
mod found_node;
mod settings;

#[cfg(test)]
mod tests;

pub use chain_type::ChainType;
pub use datadir::{Datadir, network_dir};
pub use error::{LocateError, Place};
pub use found_node::{ChainSource, FoundNode, NodeSearch};
