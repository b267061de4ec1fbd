//! The `rescan-server` process beside wallets: what they hear when it ends, what it logs, what it holds in memory, and
//! what those who run it can see.
#![expect(clippy::unwrap_used, reason = "tests")]

mod clock;
mod cut_files;
mod following;
mod kills;
mod load;
mod memory;
mod metrics;
mod os_limits;
mod privacy;
mod refusals;
mod service_manager;
mod signals;
mod state_directory;
mod unmounted;

use std::path::Path;

use rescan_tests::{ServerProcess, TestServer};

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_rescan-server"))
}

/// The command on the directory of `place`, once it serves.
fn start(place: &TestServer, more: &[&str]) -> ServerProcess {
    ServerProcess::start(program(), place, more)
}
