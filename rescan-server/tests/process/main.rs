//! The `rescan-server` process and its clients: how it ends, its log, its memory, and what operators can observe.
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

/// Starts the command on the directory of `place`, and waits until it serves.
fn start(place: &TestServer, more: &[&str]) -> ServerProcess {
    ServerProcess::start(program(), place, more)
}
