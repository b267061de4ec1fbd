//! The product beside a real Bitcoin Core node, on regtest. Without `BITCOIN_NODE` and
//! `BITCOIN_CLI` every test prints that it was skipped.
#![expect(clippy::unwrap_used, reason = "tests")]

mod active_chain;
mod at_once;
mod file_changes;
mod following_wallet;
mod half_written;
mod node;
mod reorganising;
mod scene;
