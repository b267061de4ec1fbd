//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends the process at once.
//!
//! A separate thread listens for them, so the second one works even while the main thread is blocked in a write that
//! nobody reads.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::error::{CliError, Exit};

/// Whether an orderly end was requested.
#[derive(Clone, Debug)]
pub(super) struct Interrupts(watch::Receiver<bool>);

impl Interrupts {
    /// Starts listening. From here on a signal no longer ends the process by default.
    pub(super) fn listen() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (sender, receiver) = watch::channel(false);
        let (interrupt, terminate) = {
            let _context = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(relay(interrupt, terminate, &sender)))?;
        Ok(Self(receiver))
    }

    /// Resolves once an orderly end was requested.
    pub(super) async fn requested(&mut self) {
        if self.0.wait_for(|requested| *requested).await.is_err() {
            // The listening thread is gone, so no request can come.
            std::future::pending::<()>().await;
        }
    }

    /// Runs `work`; an interrupt drops it, with everything it owns.
    pub(super) async fn abort<T>(&mut self, work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
        tokio::select! {
            done = work => done,
            () = self.requested() => Err(CliError::interrupted()),
        }
    }
}

async fn relay(mut interrupt: Signal, mut terminate: Signal, sender: &watch::Sender<bool>) {
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    next().await;
    sender.send_replace(true);
    next().await;
    std::process::exit(Exit::Interrupted.code().into());
}
