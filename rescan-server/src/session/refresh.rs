//! Refreshes of the chain, one at a time, shared by all who ask.
//!
//! Every scan begins with a refresh, and a refresh reads files, which takes milliseconds, or minutes the first time. So
//! it runs on a thread of its own, and all scans that ask while one is running get the result of the next: each sees the
//! files as they were after it asked, whatever the number of scans.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rescan_core::report::{Failure, FailureKind};
use rescan_core::server_info::ChainState;
use tokio::sync::{mpsc, oneshot};

use crate::cancel::{Cancel, CancelOnDrop};
use crate::chain::{Chain, ChainError, ChainSnapshot};

/// What a refresh comes to: the chain as it is now, or what is broken.
pub(crate) type Refreshed = Result<Arc<ChainSnapshot>, Failure>;

/// How many askers are answered by one refresh; more wait for the one after it.
const ASKERS_MAX: usize = 64;

/// Asks for refreshes.
#[derive(Debug)]
pub(crate) struct Refresher {
    askers: mpsc::Sender<oneshot::Sender<Refreshed>>,
    state: Rc<Cell<ChainState>>,
    /// A first walk takes minutes, and is not to outlive the server.
    _stop: CancelOnDrop,
}

impl Refresher {
    /// A refresher, and the task that does its work and ends soon after the refresher is dropped.
    pub(crate) fn new(chain: Arc<Chain>) -> (Self, impl Future<Output = ()>) {
        let (askers, waiting) = mpsc::channel(ASKERS_MAX);
        let state = Rc::new(Cell::new(ChainState::Reading));
        let stop = CancelOnDrop::new();
        let work = work(chain, waiting, Rc::clone(&state), stop.handle());
        (Self { askers, state, _stop: stop }, work)
    }

    /// Whether there is a chain to scan.
    pub(crate) fn state(&self) -> ChainState {
        self.state.get()
    }

    /// The chain as it is after this call began.
    ///
    /// # Errors
    /// What kept the block files from being read.
    pub(crate) async fn refresh(&self) -> Refreshed {
        let (asker, answer) = oneshot::channel();
        if self.askers.send(asker).await.is_err() {
            return Err(stopped());
        }
        answer.await.unwrap_or_else(|_gone| Err(stopped()))
    }
}

async fn work(
    chain: Arc<Chain>,
    mut waiting: mpsc::Receiver<oneshot::Sender<Refreshed>>,
    state: Rc<Cell<ChainState>>,
    stop: Cancel,
) {
    while let Some(first) = waiting.recv().await {
        let mut askers = vec![first];
        while let Ok(asker) = waiting.try_recv() {
            askers.push(asker);
        }
        let (chain_of_job, cancel) = (Arc::clone(&chain), stop.clone());
        let begun = Instant::now();
        let refreshed = match tokio::task::spawn_blocking(move || chain_of_job.refresh(&cancel)).await {
            Ok(Ok(snapshot)) => Ok(snapshot),
            Ok(Err(ChainError::Cancelled)) => Err(stopped()),
            Ok(Err(error)) => Err(unreadable(&error)),
            Err(error) => Err(internal(format!("reading the block files: {error}"))),
        };
        let before = state.get();
        match &refreshed {
            Ok(snapshot) => {
                state.set(ChainState::Ready);
                if before != ChainState::Ready {
                    let tip = snapshot.tip().map(|tip| tip.height.0);
                    tracing::info!(tip, elapsed_ms = begun.elapsed().as_millis(), "the chain is read");
                }
            }
            Err(failure) => {
                if chain.newest().is_none() {
                    state.set(ChainState::Failed);
                }
                tracing::warn!(%failure, "the block files cannot be read; the next scan tries again");
            }
        }
        for asker in askers {
            // An asker that left needs no answer.
            drop(asker.send(refreshed.clone()));
        }
    }
}

fn unreadable(error: &ChainError) -> Failure {
    Failure { kind: FailureKind::Unreadable, detail: with_causes(error), at: None }
}

fn stopped() -> Failure {
    internal("the server is stopping".to_owned())
}

/// A defect of ours, or an end that we brought about, as clients hear of it.
pub(crate) fn internal(detail: String) -> Failure {
    Failure { kind: FailureKind::Internal, detail, at: None }
}

/// An error and what it came from, on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
