//! The node beside the server: whether it can be queried, and the tip it reports.
//!
//! [`link_task`] keeps one connection to the node's IPC socket and reconnects when it drops. [`socket`] checks whom it
//! connects to, and `connection` makes the few calls of `schema/node.capnp` that are used. [`tip_watcher`] is the
//! receiving side for the rest of the server.
//!
//! The node reports nothing but its tip: headers, ancestors and blocks come from the files. Its interfaces may change
//! with every release, and nothing outside this module knows them.

mod connection;
pub(crate) mod link_task;
mod socket;
pub(crate) mod tip_watcher;

#[cfg(test)]
pub(crate) mod fake_node;
#[cfg(test)]
mod tests;
