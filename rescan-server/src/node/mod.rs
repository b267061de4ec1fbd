//! The node beside the server: whether it can be asked, and which block it says is its tip.
//!
//! [`link`] keeps one connection to the node's IPC socket and makes it anew when it drops; [`socket`] says whom it may lead
//! to; [`connection`] speaks the few calls of `schema/node.capnp` that are used. [`files`] watches the block files for
//! where no node can be asked, and [`upkeep`] has the chain refreshed whenever any of them has news.
//!
//! The node only ever says which block is its tip: headers, ancestors and blocks come from the files. Its interfaces may
//! change with every release, and nothing outside this module knows them.

mod connection;
pub(crate) mod link;
mod socket;
#[cfg(test)]
mod tests;
