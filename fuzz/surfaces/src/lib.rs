//! The surfaces that are fuzzed: for each input from outside, a function of bytes that panics if a
//! promise is broken.
//!
//! Fuzz targets only call these functions, and a plain `cargo test` replays their seeds through the
//! same ones. No function panics because of its input alone, only because of wrong results.

mod block_walk;
mod descriptor;
mod record_walk;
pub mod seeds;
mod state_file;
mod wire;

pub use block_walk::block_walk;
pub use descriptor::descriptor;
pub use record_walk::record_walk;
pub use state_file::state_file;
pub use wire::wire;
