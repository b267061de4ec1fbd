//! Ctrl-C, and SIGTERM, which means the same here: the first asks for an orderly end, the second does not wait for it.
//!
//! They are listened for on a thread of their own, so that the second one works even while the main thread is stuck in
//! a write that nobody reads.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::exit_code::Exit;
use crate::trouble::Trouble;

/// Whether an orderly end was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Interrupts(watch::Receiver<bool>);

impl Interrupts {
    /// Starts listening. From here on a signal no longer ends the process by itself.
    pub(crate) fn listen() -> io::Result<Self> {
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

    /// Resolves once an orderly end was asked for.
    pub(crate) async fn asked(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            // The listening thread is gone, so nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }

    /// Runs `work` unless an orderly end is asked for first: then it is dropped, and everything it owns with it.
    pub(crate) async fn or(&mut self, work: impl Future<Output = Result<Exit, Trouble>>) -> Result<Exit, Trouble> {
        tokio::select! {
            done = work => done,
            () = self.asked() => Err(Trouble::interrupted()),
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
