//! The state of one scan, shared by its capability and its task: cancellation and progress.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rescan_core::report::{Phase, Progress};
use tokio::sync::watch;

use crate::cancel::Cancel;
use crate::chain::{ActiveChain, Chain};
use crate::scan::ScanProgress;
use crate::session::guard::budget::Exhausted;
use crate::session::watch_set::compile::WatchReservation;
use crate::session::watch_set::progress::DerivationProgress;

/// The step of a scan's life.
#[derive(Clone)]
pub(crate) enum ScanStep {
    /// Waits for its watch set to be compiled, once it is found.
    Deriving(Option<Rc<DerivationProgress>>),
    /// Waits for the block files to be read.
    ReadingChain,
    /// Walks its range.
    Walking(Started),
    /// Ended, either after it had started or before.
    Ended(Option<Started>),
}

/// A scan with a definite range.
#[derive(Clone)]
pub(crate) struct Started {
    pub(crate) pin: Arc<ActiveChain>,
    pub(crate) progress: Arc<ScanProgress>,
}

/// See the module.
pub(crate) struct ScanState {
    chain: Arc<Chain>,
    /// For the workers, which poll it once a block.
    cancel: Cancel,
    /// For the task, which awaits it.
    cancelled: watch::Sender<bool>,
    step: watch::Sender<ScanStep>,
    /// Whether the wallet receives nothing more.
    is_closed: watch::Sender<bool>,
    reservation: RefCell<Option<WatchReservation>>,
    /// The time of the call.
    pub(crate) called: Instant,
}

impl ScanState {
    pub(crate) fn new(chain: Arc<Chain>) -> Self {
        Self {
            chain,
            cancel: Cancel::new(),
            cancelled: watch::Sender::new(false),
            step: watch::Sender::new(ScanStep::Deriving(None)),
            is_closed: watch::Sender::new(false),
            reservation: RefCell::default(),
            called: Instant::now(),
        }
    }

    /// A handle for the workers.
    pub(crate) fn cancel_handle(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Cancels the scan. Its wallet still receives a summary.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
        self.cancelled.send_replace(true);
    }

    /// Waits until the scan is cancelled.
    pub(crate) async fn cancelled(&self) {
        let mut cancelled = self.cancelled.subscribe();
        // The sender is a field of `self`, so the wait cannot fail.
        drop(cancelled.wait_for(|cancelled| *cancelled).await);
    }

    /// Keeps the reservation for as long as the scan lives. Returns the number of scripts up to which it can grow.
    pub(crate) fn hold(&self, reservation: WatchReservation) -> u64 {
        let scripts_max = reservation.scripts_max();
        self.reservation.replace(Some(reservation));
        scripts_max
    }

    /// Grows the reservation to this number of scripts.
    pub(crate) fn grow_to(&self, scripts: u64) -> Result<(), Exhausted> {
        self.reservation.borrow_mut().as_mut().map_or(Ok(()), |reservation| reservation.grow_to(scripts))
    }

    pub(crate) fn enter(&self, step: ScanStep) {
        self.step.send_replace(step);
    }

    /// Enters the last step, and keeps the pinned chain for later calls.
    pub(crate) fn end(&self) {
        self.step.send_modify(|step| {
            *step = ScanStep::Ended(match step {
                ScanStep::Walking(started) => Some(started.clone()),
                ScanStep::Ended(started) => started.take(),
                ScanStep::Deriving(_) | ScanStep::ReadingChain => None,
            });
        });
    }

    /// Records that the wallet receives nothing more.
    pub(crate) fn close(&self) {
        self.is_closed.send_replace(true);
    }

    /// Whether the wallet receives nothing more.
    pub(crate) fn is_closed(&self) -> bool {
        *self.is_closed.borrow()
    }

    /// Waits until the wallet receives nothing more.
    pub(crate) async fn closed(&self) {
        drop(self.is_closed.subscribe().wait_for(|closed| *closed).await);
    }

    /// The pinned chain, as soon as the scan has started; none if it ended before.
    pub(crate) async fn pin(&self) -> Option<Arc<ActiveChain>> {
        let mut steps = self.step.subscribe();
        let reached = steps.wait_for(|step| matches!(step, ScanStep::Walking(_) | ScanStep::Ended(_))).await;
        match &*reached.ok()? {
            ScanStep::Walking(started) | ScanStep::Ended(Some(started)) => Some(Arc::clone(&started.pin)),
            _ => None,
        }
    }

    /// The progress of the scan.
    pub(crate) fn progress(&self) -> Progress {
        match &*self.step.borrow() {
            ScanStep::Deriving(None) => Progress::at_start_of(Phase::Deriving),
            ScanStep::Deriving(Some(derivation)) => derivation.shown_in(Phase::Deriving),
            ScanStep::ReadingChain => {
                let progress = self.chain.progress();
                Progress {
                    bytes_done: progress.bytes_done,
                    bytes_total: progress.bytes_total,
                    ..Progress::at_start_of(Phase::ReadingChain)
                }
            }
            ScanStep::Walking(started) => started.progress_in(Phase::Walking),
            ScanStep::Ended(Some(started)) => started.progress_in(Phase::Done),
            ScanStep::Ended(None) => Progress::at_start_of(Phase::Done),
        }
    }
}

impl Started {
    fn progress_in(&self, phase: Phase) -> Progress {
        Progress {
            blocks_done: self.progress.blocks_done(),
            blocks_total: self.progress.blocks_total(),
            bytes_done: self.progress.bytes_done(),
            bytes_total: self.progress.bytes_total(),
            elapsed_micros: micros(self.progress.elapsed()),
            ..Progress::at_start_of(phase)
        }
    }
}

/// Closes a scan however its task ends, a panic or an abort included.
pub(crate) struct CloseOnDrop(pub(crate) Rc<ScanState>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.end();
        self.0.close();
    }
}

/// Microseconds since `then`.
pub(crate) fn micros_since(then: Instant) -> u64 {
    micros(then.elapsed())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
