//! The state of one scan that its capability and its task share: whether it is to end, and how far it is.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rescan_core::report::{Phase, Progress};
use tokio::sync::watch;

use crate::cancel::Cancel;
use crate::chain::{ActiveChain, Chain};
use crate::scan::ScanProgress;
use crate::session::guard::account::Full;
use crate::session::watch_set::sealing::WatchedShare;

/// Where a scan stands.
#[derive(Clone)]
pub(crate) enum Stage {
    /// It waits for its watch set to be derived.
    Deriving,
    /// It waits for the block files to be read.
    ReadingChain,
    /// It is under way.
    Walking(Begun),
    /// It ended; with what it had begun, if it had.
    Ended(Option<Begun>),
}

/// A scan whose range is definite.
#[derive(Clone)]
pub(crate) struct Begun {
    pub(crate) pin: Arc<ActiveChain>,
    pub(crate) progress: Arc<ScanProgress>,
}

/// See the module.
pub(crate) struct Control {
    chain: Arc<Chain>,
    /// For the workers, who poll it once a block.
    cancel: Cancel,
    /// For the task, which waits for it.
    asked_to_end: watch::Sender<bool>,
    stage: watch::Sender<Stage>,
    /// Whether nothing more will be said to the wallet.
    is_over: watch::Sender<bool>,
    /// What it holds of what its connection may watch.
    watched: RefCell<Option<WatchedShare>>,
    /// When the call arrived.
    pub(crate) called: Instant,
}

impl Control {
    pub(crate) fn new(chain: Arc<Chain>) -> Self {
        Self {
            chain,
            cancel: Cancel::new(),
            asked_to_end: watch::Sender::new(false),
            stage: watch::Sender::new(Stage::Deriving),
            is_over: watch::Sender::new(false),
            watched: RefCell::default(),
            called: Instant::now(),
        }
    }

    /// A handle for the workers.
    pub(crate) fn cancel_handle(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Has the scan end early.
    pub(crate) fn end_early(&self) {
        self.cancel.cancel();
        self.asked_to_end.send_replace(true);
    }

    /// Waits until the scan is to end early.
    pub(crate) async fn asked_to_end(&self) {
        let mut asked = self.asked_to_end.subscribe();
        // The sender is `self`, so that it cannot be gone.
        drop(asked.wait_for(|asked| *asked).await);
    }

    /// Holds what a watch set holds for as long as the scan is there, and says up to how many scripts it may grow.
    pub(crate) fn watch(&self, watched: WatchedShare) -> u64 {
        let scripts_max = watched.scripts_max();
        self.watched.replace(Some(watched));
        scripts_max
    }

    /// Holds what a watch set that grew to so many scripts holds more.
    pub(crate) fn watch_more(&self, scripts: u64) -> Result<(), Full> {
        self.watched.borrow_mut().as_mut().map_or(Ok(()), |watched| watched.grow_to(scripts))
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

    /// Enters the last stage, and keeps what had begun for those who still ask.
    pub(crate) fn end(&self) {
        self.stage.send_modify(|stage| {
            *stage = Stage::Ended(match stage {
                Stage::Walking(begun) => Some(begun.clone()),
                Stage::Ended(begun) => begun.take(),
                Stage::Deriving | Stage::ReadingChain => None,
            });
        });
    }

    /// Notes that the wallet was told, or is past being told.
    pub(crate) fn set_over(&self) {
        self.is_over.send_replace(true);
    }

    /// Whether nothing more will be said to the wallet.
    pub(crate) fn is_over(&self) -> bool {
        *self.is_over.borrow()
    }

    /// Waits until nothing more will be said to the wallet.
    pub(crate) async fn over(&self) {
        drop(self.is_over.subscribe().wait_for(|over| *over).await);
    }

    /// The chain that the scan is pinned to, once it has begun; none if it ended without.
    pub(crate) async fn pin(&self) -> Option<Arc<ActiveChain>> {
        let mut stages = self.stage.subscribe();
        let begun = stages.wait_for(|stage| matches!(stage, Stage::Walking(_) | Stage::Ended(_))).await;
        match &*begun.ok()? {
            Stage::Walking(begun) | Stage::Ended(Some(begun)) => Some(Arc::clone(&begun.pin)),
            _ => None,
        }
    }

    /// How far the scan is.
    pub(crate) fn progress(&self) -> Progress {
        let nothing = |phase| Progress {
            phase,
            blocks_done: 0,
            blocks_total: 0,
            bytes_done: 0,
            bytes_total: 0,
            elapsed_micros: 0,
        };
        match &*self.stage.borrow() {
            Stage::Deriving => nothing(Phase::Deriving),
            Stage::ReadingChain => {
                let progress = self.chain.progress();
                Progress {
                    bytes_done: progress.bytes_done,
                    bytes_total: progress.bytes_total,
                    ..nothing(Phase::ReadingChain)
                }
            }
            Stage::Walking(begun) => begun.progress_in(Phase::Walking),
            Stage::Ended(Some(begun)) => begun.progress_in(Phase::Done),
            Stage::Ended(None) => nothing(Phase::Done),
        }
    }
}

impl Begun {
    fn progress_in(&self, phase: Phase) -> Progress {
        Progress {
            phase,
            blocks_done: self.progress.blocks_done(),
            blocks_total: self.progress.blocks_total(),
            bytes_done: self.progress.bytes_done(),
            bytes_total: self.progress.bytes_total(),
            elapsed_micros: micros(self.progress.elapsed()),
        }
    }
}

/// Ends a scan for those who wait for its end, however its task ends: also where that panics or is aborted.
pub(crate) struct OverOnDrop(pub(crate) Rc<Control>);

impl Drop for OverOnDrop {
    fn drop(&mut self) {
        self.0.end();
        self.0.set_over();
    }
}

/// Microseconds since `then`.
pub(crate) fn micros_since(then: Instant) -> u64 {
    micros(then.elapsed())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
