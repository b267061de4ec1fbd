//! The product beside a real Bitcoin Core node, on regtest. Every test says aloud that it was skipped where `BITCOIN_NODE` and
//! `BITCOIN_CLI` do not name one.
#![expect(clippy::unwrap_used, reason = "tests")]

mod active_chain;
mod at_once;
mod following_wallet;
mod going_on;
mod half_written;
mod node;
mod reorganising;
mod scene;
