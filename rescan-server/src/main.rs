//! The command `rescan-server`: arguments to configuration, the promise about block files, exit codes.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use rescan_server::args::{AccessName, Args, ArgsError, Environment};
use rescan_server::blocks::block_file::Access;
use rescan_server::logging::{self, Colours};
use rescan_server::session::guard::limits::BLOCKING_THREADS_MAX;
use rescan_server::{allocator, open_files, service_manager};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    allocator::keep_large_buffers();
    let args = Args::parse();
    let filter = std::env::var("RUST_LOG").ok();
    let colours = Colours::for_stderr(std::env::var_os("NO_COLOR").as_deref());
    let started = logging::start(args.log_format, filter.as_deref(), colours);
    match started.map_err(anyhow::Error::from_boxed).and_then(|()| run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            let is_usage = error.downcast_ref().is_some_and(ArgsError::is_usage);
            ExitCode::from(if is_usage { 2 } else { 1 })
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    open_files::raise_limit();
    let access = match args.access {
        #[expect(unsafe_code, reason = "the operator makes the promise, with --access mapped")]
        // SAFETY: the operator promises: 1, 2 and 3, neither Bitcoin Core nor any other program changes a block file that
        // has a successor; 4, the server is restarted with a node that crashed. The help of --access and the documentation
        // state both.
        AccessName::Mapped => unsafe { Access::mapped() },
        AccessName::Read => Access::read(),
    };
    let environment = Environment { state_home: std::env::var_os("XDG_STATE_HOME"), home: std::env::var_os("HOME") };
    let config = args.into_config(access, &environment)?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime =
        runtime.enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build().context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let shutdown = async move {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
        };
        Ok(service_manager::serve(config, shutdown).await?)
    })
}
