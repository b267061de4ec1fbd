//! Chain refreshes: one at a time, shared by all callers.
//!
//! Every scan begins with a refresh. A refresh reads files, which takes milliseconds, or minutes the first time, so it
//! runs on a blocking thread. All requests that arrive during one refresh share the next. Each caller thus sees the
//! files as they were after its request, and the number of scans costs nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rescan_core::causes::with_causes;
use rescan_core::report::{BlockId, Failure, FailureKind};
use rescan_core::server_info::ChainState;
use tokio::sync::{mpsc, oneshot, watch};

use crate::cancel::{Cancel, CancelOnDrop};
use crate::chain::{Chain, ChainError};
use crate::metrics::counters::Counters;
use crate::node::tip_watcher::TipWatcher;
use crate::refresh::chain_view::ChainView;

/// Why a refresh has no chain.
#[derive(Clone, Debug)]
pub(crate) enum RefreshError {
    /// The server is stopping; clients should reconnect.
    Stopping,
    /// The block files cannot be read.
    Failed(Failure),
}

/// Requests answered by one refresh; further ones wait for the next.
const REQUESTS_MAX: usize = 64;

#[derive(Debug)]
struct Request {
    answer: oneshot::Sender<Result<ChainView, RefreshError>>,
    /// Whether to query the node first, since its last tip may be older than the request.
    queries_node: bool,
}

/// The results of past refreshes, shared by the refresher and its task.
#[derive(Debug)]
struct Latest {
    state: Cell<ChainState>,
    view: RefCell<Option<ChainView>>,
    /// When the last successful refresh began.
    began: Cell<Option<Instant>>,
}

/// Requests refreshes and keeps their latest result.
#[derive(Debug)]
pub(crate) struct Refresher {
    requests: mpsc::Sender<Request>,
    latest: Rc<Latest>,
    tips: watch::Receiver<Option<BlockId>>,
    /// A first walk takes minutes and must not outlive the server.
    _stop: CancelOnDrop,
}

impl Refresher {
    /// A refresher and its task, which ends soon after the refresher is dropped.
    pub(crate) fn new(
        chain: Arc<Chain>,
        node: TipWatcher,
        counters: Arc<Counters>,
    ) -> (Self, impl Future<Output = ()>) {
        let (requests, queue) = mpsc::channel(REQUESTS_MAX);
        let (state, view, began) = (Cell::new(ChainState::Reading), RefCell::default(), Cell::default());
        let latest = Rc::new(Latest { state, view, began });
        let stop = CancelOnDrop::new();
        let (tip, tips) = watch::channel(None);
        let last_failure = RefCell::default();
        let task =
            RefreshTask { chain, node, counters, tip, latest: Rc::clone(&latest), last_failure, stop: stop.handle() };
        (Self { requests, latest, tips, _stop: stop }, task.run(queue))
    }

    /// Whether there is a chain to scan.
    pub(crate) fn state(&self) -> ChainState {
        self.latest.state.get()
    }

    /// The chain after the last successful refresh; none before the first.
    pub(crate) fn view(&self) -> Option<ChainView> {
        self.latest.view.borrow().clone()
    }

    /// The tip after the last successful refresh, with a notification of each change.
    pub(crate) fn tips(&self) -> watch::Receiver<Option<BlockId>> {
        self.tips.clone()
    }

    /// Refreshes the chain for a client, after a query for the node's tip.
    ///
    /// # Errors
    /// [`RefreshError`]: the block files cannot be read, or the server is stopping.
    pub(crate) async fn refresh(&self) -> Result<ChainView, RefreshError> {
        self.request(true).await
    }

    /// Refreshes the chain on the server's own account, by the last known tip of the node.
    pub(crate) async fn poll(&self) {
        // The task logs errors, and the next poll retries.
        drop(self.request(false).await);
    }

    /// The chain as it was at most `age_max` ago, with a refresh only if the last one is older.
    ///
    /// # Errors
    /// As [`Refresher::refresh`], if a refresh was needed.
    pub(crate) async fn view_within(&self, age_max: Duration) -> Result<ChainView, RefreshError> {
        let is_fresh = self.latest.began.get().is_some_and(|began| began.elapsed() < age_max);
        match self.view().filter(|_| is_fresh) {
            Some(view) => Ok(view),
            None => self.refresh().await,
        }
    }

    async fn request(&self, queries_node: bool) -> Result<ChainView, RefreshError> {
        let (answer, answered) = oneshot::channel();
        if self.requests.send(Request { answer, queries_node }).await.is_err() {
            return Err(RefreshError::Stopping);
        }
        answered.await.unwrap_or(Err(RefreshError::Stopping))
    }
}

/// The task that refreshes the chain and answers requests.
struct RefreshTask {
    chain: Arc<Chain>,
    node: TipWatcher,
    counters: Arc<Counters>,
    tip: watch::Sender<Option<BlockId>>,
    latest: Rc<Latest>,
    last_failure: RefCell<Option<Failure>>,
    stop: Cancel,
}

impl RefreshTask {
    async fn run(self, mut queue: mpsc::Receiver<Request>) {
        while let Some(first) = queue.recv().await {
            let mut requests = vec![first];
            while let Ok(request) = queue.try_recv() {
                requests.push(request);
            }
            let began = Instant::now();
            if requests.iter().any(|request| request.queries_node) {
                self.node.query_tip().await;
            }
            self.chain.on_tip(&self.node.status());
            let result = self.refresh().await;
            self.record(&result, began);
            for request in requests {
                // A caller that left needs no answer.
                drop(request.answer.send(result.clone()));
            }
        }
    }

    async fn refresh(&self) -> Result<ChainView, RefreshError> {
        let (chain, stop, before) = (Arc::clone(&self.chain), self.stop.clone(), self.latest.view.borrow().clone());
        let refreshed = tokio::task::spawn_blocking(move || {
            let now = chain.refresh(&stop)?;
            Ok(match before {
                Some(before) if Arc::ptr_eq(&before.chain, &now) => before,
                _ => ChainView::new(now),
            })
        });
        match refreshed.await {
            Ok(Ok(view)) => Ok(view),
            Ok(Err(ChainError::Cancelled)) => Err(RefreshError::Stopping),
            Ok(Err(error)) => Err(RefreshError::Failed(unreadable(&error))),
            Err(error) => Err(RefreshError::Failed(internal(format!("reading block files: {error}")))),
        }
    }

    fn record(&self, result: &Result<ChainView, RefreshError>, began: Instant) {
        match result {
            Ok(view) => {
                self.last_failure.replace(None);
                self.latest.state.set(ChainState::Ready);
                self.latest.view.replace(Some(view.clone()));
                self.latest.began.set(Some(began));
                // Notified last, so that receivers find the new view.
                let tip = view.chain.tip();
                self.counters.set_chain_tip(tip);
                self.tip.send_if_modified(|known| std::mem::replace(known, tip) != tip);
            }
            Err(RefreshError::Stopping) => {}
            Err(RefreshError::Failed(failure)) => {
                if self.latest.view.borrow().is_none() {
                    self.latest.state.set(ChainState::Failed);
                }
                // Logged once, not after every refresh with the same failure.
                let is_new = self.last_failure.replace(Some(failure.clone())).as_ref() != Some(failure);
                if is_new {
                    self.counters.failed(failure);
                    tracing::warn!(%failure, "cannot read block files; retrying; check disk and permissions");
                }
            }
        }
    }
}

fn unreadable(error: &ChainError) -> Failure {
    Failure { kind: FailureKind::Unreadable, detail: with_causes(error), at: None }
}

/// A failure caused by a defect of the server.
pub(crate) fn internal(detail: String) -> Failure {
    Failure { kind: FailureKind::Internal, detail, at: None }
}
