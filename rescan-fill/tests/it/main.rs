//! Fills of a scripted wallet, by a real rescan server of the same chain.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bed;
mod errors;
mod fills;
mod missing;
mod reorganised;
