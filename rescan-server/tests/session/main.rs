//! Sessions over a real socket: a minimal client from the generated code, and a server in this process.
#![expect(clippy::unwrap_used, reason = "tests")]

mod block_match;
mod client;
mod derivations;
mod halts;
mod limits;
mod misbehaviour;
mod refusals;
mod scans;
mod server;
mod tip_wait;
