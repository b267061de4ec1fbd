//! What fuzzing asks of rescan: for each place where bytes come from outside, one function of bytes that panics if a promise
//! is broken.
//!
//! The fuzz targets call these functions and nothing else; a plain `cargo test` replays their seeds through the same ones. No
//! function here may panic over what the bytes *are*, only over what rescan makes of them.

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
