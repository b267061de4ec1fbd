//! `rescan fill` beside a real node with its wallet. Without `BITCOIND` every test prints that it
//! was skipped.
//!
//! The oracle is Core's own wallet: one that rescanned the whole chain, or the answers that are
//! stored with the real datadirs.
#![expect(clippy::unwrap_used, reason = "tests")]

mod core_answers;
mod dry_runs;
mod interruptions;
mod out_of_order;
mod private_keys;
mod pruned;
mod reorganised;
mod running;
mod scene;
mod unconfirmed;
mod wallet_state;
