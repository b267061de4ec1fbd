//! One scan from call to summary, on the RPC thread: watch set, refresh, range, delivery, ending.
//!
//! The scan's capability owns the task. The task computes nothing. It requests the next settled segment only after all
//! earlier items are on their way: a wallet that takes nothing has no job in the pool.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use rescan_core::position::Height;
use rescan_core::report::{Ending, Failure, FailureKind, Outcome, Refusal, ResumePoint, Summary};
use rescan_core::request::{RangeRequest, Scanned};
use tokio::time::timeout;

use crate::logging::peer_text;
use crate::metrics::counters::ScanCount;
use crate::refresh::refresher::internal;
use crate::session::scan::item_stream::{DeliveryError, ItemStream};
use crate::session::scan::outbox::{Outbox, SendError};
use crate::session::scan::pinned_range::{PinnedRange, StartError};
use crate::session::scan::state::{CloseOnDrop, ScanState, ScanStep, Started, micros_since};
use crate::session::shared::Shared;

/// A scan that a client called for.
pub(crate) struct Job<S: ItemStream> {
    pub(crate) shared: Rc<Shared>,
    pub(crate) state: Rc<ScanState>,
    pub(crate) call: ScanCall<S>,
    pub(crate) count: ScanCount,
}

/// The parameters of a call for a scan.
pub(crate) struct ScanCall<S: ItemStream> {
    pub(crate) range: RangeRequest,
    pub(crate) resume: Resume,
    pub(crate) sink: S::Sink,
    /// The number of keychains, as soon as the watch set is found. Every summary has an entry for each.
    pub(crate) keychain_count: Rc<Cell<u32>>,
}

/// The parameters for a scan that resumes earlier ones.
#[derive(Default)]
pub(crate) struct Resume {
    pub(crate) scanned: Option<Scanned>,
    pub(crate) mark_every: Option<Duration>,
}

/// The reason why a delivery ended early, where the wallet still receives a summary.
pub(super) struct Stalled {
    /// The height of the last item that was sent.
    pub(super) sent_through: Option<Height>,
}

impl<S: ItemStream> Job<S> {
    /// Runs the scan to its end. `prepare` yields the watch set; `start` starts the stream of items.
    pub(crate) async fn run<W>(
        self,
        prepare: impl Future<Output = Result<W, StartError>>,
        start: impl FnOnce(W, PinnedRange) -> Result<Option<S>, Refusal>,
    ) {
        // A stopping server must not wait for a scan whose task is gone.
        let _close = CloseOnDrop(Rc::clone(&self.state));
        let scanned = AssertUnwindSafe(self.scan(prepare, start)).catch_unwind().await;
        let ending = scanned.unwrap_or_else(|_panic| {
            self.state.cancel();
            Some(Ending::Failed(internal("the scan panicked: this is a defect of rescan-server".to_owned())))
        });
        self.state.end();
        if let Some(ending) = ending {
            log(&ending);
            self.count.ended(&ending);
            deliver_ending::<S>(&self.call.sink, &ending, self.shared.limits.stalled_after).await;
        }
    }

    /// The ending; none if the wallet can no longer receive it.
    async fn scan<W>(
        &self,
        prepare: impl Future<Output = Result<W, StartError>>,
        start: impl FnOnce(W, PinnedRange) -> Result<Option<S>, Refusal>,
    ) -> Option<Ending> {
        let pinned = tokio::select! {
            // In this order, a scan that is cancelled at once still finds its watch set.
            biased;
            pinned = self.pin(prepare) => pinned,
            () = self.state.cancelled() => Err(StartError::Cancelled),
        };
        match pinned {
            Ok((watched, pinned)) => self.walk(watched, pinned, start).await,
            Err(StartError::Cancelled) => Some(Ending::Summary(self.unstarted_summary())),
            Err(StartError::Refused(refusal)) => Some(Ending::Refused(refusal)),
            Err(StartError::Failed(failure)) => Some(Ending::Failed(failure)),
        }
    }

    async fn pin<W>(
        &self,
        prepare: impl Future<Output = Result<W, StartError>>,
    ) -> Result<(W, PinnedRange), StartError> {
        let watched = prepare.await?;
        let prepare_micros = micros_since(self.state.called);
        self.state.enter(ScanStep::ReadingChain);
        let view = self.shared.refresher.refresh().await?;
        let (request, scanned) = (self.call.range.clone(), self.call.resume.scanned.clone());
        // The search for a birthday or for missing blocks passes over all headers: too long for this thread.
        let resolve = move || PinnedRange::new(&request, scanned, view, prepare_micros);
        let pinned = tokio::task::spawn_blocking(resolve).await;
        let pinned = pinned.map_err(|error| StartError::Failed(internal(format!("resolving the range: {error}"))))?;
        Ok((watched, pinned?))
    }

    /// Delivers the items of the stream. None if the wallet can no longer receive the ending.
    async fn walk<W>(
        &self,
        watched: W,
        pinned: PinnedRange,
        start: impl FnOnce(W, PinnedRange) -> Result<Option<S>, Refusal>,
    ) -> Option<Ending> {
        if let Some(below) = pinned.pruned_below {
            let summary = Summary { outcome: Outcome::PrunedBelow(below), ..self.empty_summary(&pinned) };
            return Some(Ending::Summary(summary));
        }
        let mut stream = match start(watched, pinned.clone()) {
            Ok(Some(stream)) => stream,
            Ok(None) => return Some(Ending::Summary(self.nothing_to_walk(&pinned))),
            Err(refusal) => return Some(Ending::Refused(refusal)),
        };
        let progress = stream.progress();
        let started = Started { pin: Arc::clone(&pinned.chain), progress: Arc::clone(&progress) };
        self.state.enter(ScanStep::Walking(started));
        let mut outbox = Outbox::new(self.call.sink.clone(), S::ENCODING, self.shared.limits.stalled_after);
        let delivered = self.deliver(&pinned, &mut stream, &mut outbox).await;
        self.count.walk_ended(&progress);
        let stalled = match delivered {
            Ok(()) => None,
            Err(DeliveryError::Failed(failure)) => return Some(Ending::Failed(failure)),
            Err(DeliveryError::Send(SendError::TooLarge { height, bytes })) => {
                self.state.cancel();
                return Some(Ending::Failed(internal(format!(
                    "the report of block {height} has about {bytes} bytes, more than fit into a message: give fewer \
                     entries for one script"
                ))));
            }
            Err(DeliveryError::Send(SendError::Disconnected(error))) => {
                tracing::debug!(error = peer_text(&error), "the wallet takes no more");
                self.state.cancel();
                return None;
            }
            Err(DeliveryError::Send(SendError::Stalled)) => {
                let after = self.shared.limits.stalled_after;
                tracing::info!(
                    ?after,
                    "a scan is cancelled: its wallet takes nothing; it can resume from its last checkpoint"
                );
                self.state.cancel();
                Some(Stalled { sent_through: outbox.sent_through() })
            }
        };
        Some(Ending::Summary(self.summary(&pinned, &stream, stalled.as_ref())))
    }

    /// Moves all items from the stream to the outbox. Items that were settled before a failure are delivered.
    async fn deliver(
        &self,
        pinned: &PinnedRange,
        stream: &mut S,
        outbox: &mut Outbox<S::Sink, S::Item>,
    ) -> Result<(), DeliveryError> {
        let mut marked = Instant::now();
        loop {
            let settled = {
                let mut next = std::pin::pin!(stream.next());
                loop {
                    tokio::select! {
                        biased;
                        settled = &mut next => break settled,
                        () = outbox.due() => outbox.flush().await?,
                    }
                }
            };
            match settled {
                Ok(Some(_)) if self.state.grow_to(stream.scripts()).is_err() => {
                    outbox.flush().await?;
                    return Err(DeliveryError::Failed(no_room(stream.scripts())));
                }
                Ok(Some(items)) => {
                    self.count.walked(&stream.progress());
                    for item in items {
                        outbox.put(item).await?;
                    }
                }
                Ok(None) => {
                    outbox.flush().await?;
                    return stream.finish(outbox).await;
                }
                Err(failure) => {
                    outbox.flush().await?;
                    return Err(DeliveryError::Failed(failure));
                }
            }
            if self.call.resume.mark_every.is_some_and(|every| marked.elapsed() >= every)
                && let Some(mark) = mark_of(pinned, stream)
            {
                outbox.send_after_batch(|sink| S::send_mark(sink, &mark)).await?;
                marked = Instant::now();
            }
        }
    }
}

fn no_room(scripts: u64) -> Failure {
    let detail = format!(
        "the gap limit needs {scripts} scripts, more than the server has room for beside its other watch sets: drop a \
         watch set or a scan, or try again later"
    );
    Failure { kind: FailureKind::LimitReached, detail, at: None }
}

/// Logs one line per scan.
fn log(ending: &Ending) {
    match ending {
        Ending::Summary(summary) => tracing::info!(
            from = summary.range.first().0,
            to = summary.range.last().0,
            outcome = ?summary.outcome,
            transactions = summary.transactions,
            blocks = summary.blocks_scanned,
            bytes = summary.bytes_scanned,
            elapsed_ms = summary.elapsed_micros / 1_000,
            "a scan ended"
        ),
        // The detail is private: it may quote an entry of the wallet.
        Ending::Refused(refusal) => tracing::info!(reason = ?refusal.reason, "a scan is refused"),
        Ending::Failed(failure) => tracing::error!(%failure, "a scan failed"),
    }
}

/// The point at which a wallet can resume; none while matches of settled blocks are pending.
fn mark_of<S: ItemStream>(pinned: &PinnedRange, stream: &S) -> Option<ResumePoint> {
    let height = stream.settled().filter(|_| stream.is_caught_up())?;
    let totals = stream.totals();
    Some(ResumePoint {
        from: pinned.range.first(),
        block: pinned.chain.id(height)?,
        locator: pinned.chain.locator(height),
        keychains: totals.keychains,
        watched_through: totals.watched_through,
    })
}

/// Sends the ending, and waits for the wallet to take it, up to a time limit.
pub(crate) async fn deliver_ending<S: ItemStream>(sink: &S::Sink, ending: &Ending, time_max: Duration) {
    let taken = match S::send_done(sink, ending) {
        Ok(taken) => timeout(time_max, taken).await,
        Err(error) => {
            tracing::error!(%error, "the ending of a scan cannot be encoded");
            return;
        }
    };
    match taken {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error = peer_text(&error), "the wallet does not take the ending of its scan"),
        Err(elapsed) => tracing::debug!(%elapsed, "the wallet does not take the ending of its scan"),
    }
}

#[cfg(test)]
mod tests;
