//! Refreshes of the chain, one at a time, shared by all who ask.
//!
//! Every scan begins with a refresh, and a refresh reads files, which takes milliseconds, or minutes the first time. So
//! it runs on a thread of its own, and all scans that ask while one is running get the result of the next: each sees
//! the files as they were after it asked, whatever the number of scans.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rescan_core::causes::with_causes;
use rescan_core::position::Height;
use rescan_core::report::{BlockId, Failure, FailureKind};
use rescan_core::server_info::ChainState;
use tokio::sync::{mpsc, oneshot, watch};

use crate::cancel::{Cancel, CancelOnDrop};
use crate::chain::{ActiveChain, Chain, ChainError};
use crate::figures::LiveFigures;
use crate::node::link::NodeNews;

/// What a refresh comes to: the chain as it is now, or why that cannot be told.
pub(crate) type Refreshed = Result<Seen, NotSeen>;

/// Why nobody can say what the chain is now.
#[derive(Clone, Debug)]
pub(crate) enum NotSeen {
    /// The server stops. A client is right to connect anew.
    Stopping,
    /// The block files cannot be read.
    Failed(Failure),
}

impl From<NotSeen> for capnp::Error {
    fn from(why: NotSeen) -> Self {
        match why {
            NotSeen::Stopping => Self::disconnected("the server is stopping".to_owned()),
            NotSeen::Failed(failure) => Self::failed(failure.detail),
        }
    }
}

/// A chain, and what takes a walk over all its heights to know.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) chain: Arc<ActiveChain>,
    /// The lowest height from which every block up to the tip is on disk; none without a tip.
    pub(crate) lowest: Option<Height>,
}

impl Seen {
    fn new(chain: Arc<ActiveChain>) -> Self {
        let lowest = chain.tip().and_then(|tip| chain.lowest_complete_to(tip.height));
        Self { chain, lowest }
    }

    /// The lowest height from which every block up to `last` is on disk; none if `last` itself is not.
    pub(crate) fn lowest_complete_to(&self, last: Height) -> Option<Height> {
        match self.lowest {
            // Complete up to the tip is complete up to whatever lies between.
            Some(lowest) if lowest <= last => Some(lowest),
            _ => self.chain.lowest_complete_to(last),
        }
    }
}

/// How many askers are answered by one refresh; more wait for the one after it.
const ASKERS_MAX: usize = 64;

/// Somebody who waits for a refresh.
#[derive(Debug)]
struct Asker {
    answer: oneshot::Sender<Refreshed>,
    /// The node is to be asked first: what it said last may be older than the question.
    asks_node: bool,
}

/// Asks for refreshes.
#[derive(Debug)]
pub(crate) struct Refresher {
    askers: mpsc::Sender<Asker>,
    state: Rc<Cell<ChainState>>,
    seen: Rc<RefCell<Option<Seen>>>,
    /// When the last refresh that succeeded began.
    looked: Rc<Cell<Option<Instant>>>,
    tips: watch::Receiver<Option<BlockId>>,
    /// A first walk takes minutes, and is not to outlive the server.
    _stop: CancelOnDrop,
}

impl Refresher {
    /// A refresher, and the task that does its work and ends soon after the refresher is dropped.
    pub(crate) fn new(
        chain: Arc<Chain>,
        node: NodeNews,
        figures: Arc<LiveFigures>,
    ) -> (Self, impl Future<Output = ()>) {
        let (askers, waiting) = mpsc::channel(ASKERS_MAX);
        let state = Rc::new(Cell::new(ChainState::Reading));
        let stop = CancelOnDrop::new();
        let seen = Rc::new(RefCell::new(None));
        let looked = Rc::default();
        let (tip, tips) = watch::channel(None);
        let work = Work {
            chain,
            node,
            figures,
            tip,
            state: Rc::clone(&state),
            seen: Rc::clone(&seen),
            looked: Rc::clone(&looked),
            failed: RefCell::default(),
            stop: stop.handle(),
        };
        (Self { askers, state, seen, looked, tips, _stop: stop }, work.run(waiting))
    }

    /// Whether there is a chain to scan.
    pub(crate) fn state(&self) -> ChainState {
        self.state.get()
    }

    /// The chain as it was last seen; none before the first refresh.
    pub(crate) fn seen(&self) -> Option<Seen> {
        self.seen.borrow().clone()
    }

    /// The tip of the chain as it was last seen, and word of each change.
    pub(crate) fn tips(&self) -> watch::Receiver<Option<BlockId>> {
        self.tips.clone()
    }

    /// The chain as it is after this call began, by the node's word where it can be asked.
    ///
    /// # Errors
    /// What kept the block files from being read.
    pub(crate) async fn refresh(&self) -> Refreshed {
        self.ask(true).await
    }

    /// Has the chain read without being asked for it, by what the node said last.
    pub(crate) async fn look(&self) {
        // What is wrong is logged, and the next look tries again.
        drop(self.ask(false).await);
    }

    async fn ask(&self, asks_node: bool) -> Refreshed {
        let (answer, answered) = oneshot::channel();
        if self.askers.send(Asker { answer, asks_node }).await.is_err() {
            return Err(NotSeen::Stopping);
        }
        answered.await.unwrap_or(Err(NotSeen::Stopping))
    }

    /// The chain as it was at most so long ago.
    ///
    /// # Errors
    /// What kept the block files from being read, where they had to be.
    pub(crate) async fn seen_within(&self, age_max: Duration) -> Refreshed {
        let is_fresh = self.looked.get().is_some_and(|looked| looked.elapsed() < age_max);
        match self.seen().filter(|_| is_fresh) {
            Some(seen) => Ok(seen),
            None => self.refresh().await,
        }
    }
}

/// The task's side.
struct Work {
    chain: Arc<Chain>,
    node: NodeNews,
    figures: Arc<LiveFigures>,
    tip: watch::Sender<Option<BlockId>>,
    state: Rc<Cell<ChainState>>,
    seen: Rc<RefCell<Option<Seen>>>,
    looked: Rc<Cell<Option<Instant>>>,
    failed: RefCell<Option<Failure>>,
    stop: Cancel,
}

impl Work {
    async fn run(self, mut waiting: mpsc::Receiver<Asker>) {
        while let Some(first) = waiting.recv().await {
            let mut askers = vec![first];
            while let Ok(asker) = waiting.try_recv() {
                askers.push(asker);
            }
            let began = Instant::now();
            if askers.iter().any(|asker| asker.asks_node) {
                self.node.ask().await;
            }
            self.chain.hear(&self.node.last());
            let refreshed = self.refresh().await;
            self.note(&refreshed, began);
            for asker in askers {
                // An asker that left needs no answer.
                drop(asker.answer.send(refreshed.clone()));
            }
        }
    }

    async fn refresh(&self) -> Refreshed {
        let (chain, stop, before) = (Arc::clone(&self.chain), self.stop.clone(), self.seen.borrow().clone());
        let refreshed = tokio::task::spawn_blocking(move || {
            let now = chain.refresh(&stop)?;
            Ok(match before {
                Some(before) if Arc::ptr_eq(&before.chain, &now) => before,
                _ => Seen::new(now),
            })
        });
        match refreshed.await {
            Ok(Ok(seen)) => Ok(seen),
            Ok(Err(ChainError::Cancelled)) => Err(NotSeen::Stopping),
            Ok(Err(error)) => Err(NotSeen::Failed(unreadable(&error))),
            Err(error) => Err(NotSeen::Failed(internal(format!("reading the block files: {error}")))),
        }
    }

    fn note(&self, refreshed: &Refreshed, began: Instant) {
        match refreshed {
            Ok(seen) => {
                self.failed.replace(None);
                self.state.set(ChainState::Ready);
                self.seen.replace(Some(seen.clone()));
                self.looked.set(Some(began));
                // After what was seen, so that whoever hears of it finds it there.
                let tip = seen.chain.tip();
                self.figures.chain_seen(tip);
                self.tip.send_if_modified(|known| std::mem::replace(known, tip) != tip);
            }
            Err(NotSeen::Stopping) => {}
            Err(NotSeen::Failed(failure)) => {
                if self.seen.borrow().is_none() {
                    self.state.set(ChainState::Failed);
                }
                // Said once, and not with every look that finds the same.
                let is_news = self.failed.replace(Some(failure.clone())).as_ref() != Some(failure);
                if is_news {
                    self.figures.failed(failure);
                    tracing::warn!(%failure, "the block files cannot be read; they are tried again by themselves; look at the disk and at who may read them");
                }
            }
        }
    }
}

fn unreadable(error: &ChainError) -> Failure {
    Failure { kind: FailureKind::Unreadable, detail: with_causes(error), at: None }
}

/// A defect of ours, or an end that we brought about, as clients hear of it.
pub(crate) fn internal(detail: String) -> Failure {
    Failure { kind: FailureKind::Internal, detail, at: None }
}
