//! The product as a whole: a real server, a real socket, the library that wallets link, real data
//! and built scenarios.
#![expect(clippy::unwrap_used, reason = "tests")]

mod coins;
mod core_answers;
mod corrupt;
mod faults;
mod follow;
mod following;
mod many_wallets;
mod missing_blocks;
mod page_cache;
mod poller;
mod proofs;
mod refusals;
mod reorgs;
mod resuming;
mod single_blocks;
mod slow_wallets;
mod tidy;
mod watched_forms;
