//! One scan from call to summary, on the RPC thread: watch set, refresh, range, delivery, ending.
//!
//! The task belongs to the scan's capability and dies with it. It does no work itself: it asks the source for the next
//! settled segment only when everything before is on its way, so that a wallet that takes nothing has no job running.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin::Amount;
use futures::FutureExt;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{
    BlockId, Ending, Failure, FailureKind, KeychainUse, Outcome, Refusal, RefusalReason, ResumePoint, Summary,
};
use rescan_core::request::{RangeRequest, Scanned};
use tokio::time::timeout;

use crate::chain::ActiveChain;
use crate::figures::ScanCount;
use crate::logging::said_by_peer;
use crate::refresh::chain_view::ChainView;
use crate::refresh::refresher::{RefreshError, internal};
use crate::session::Shared;
use crate::session::scan::cargo::Cargo;
use crate::session::scan::control::{Begun, Control, OverOnDrop, Stage, micros_since};
use crate::session::scan::outbox::{Blocked, Outbox};
use crate::session::scan::range;
use crate::session::scan::source::{Source, Stopped};

/// A scan that was called for.
pub(crate) struct Job<S: Source> {
    pub(crate) shared: Rc<Shared>,
    pub(crate) control: Rc<Control>,
    pub(crate) sink: <S::Piece as Cargo>::Sink,
    pub(crate) range: RangeRequest,
    pub(crate) going_on: GoingOn,
    /// How many keychains the watch set has, from when it is found on: a summary names each, however early the end.
    pub(crate) keychain_count: Rc<Cell<u32>>,
    pub(crate) counted: ScanCount,
}

/// What a scan that goes on where another ended has to do with that.
#[derive(Default)]
pub(crate) struct GoingOn {
    pub(crate) covered: Option<Scanned>,
    pub(crate) mark_every: Option<Duration>,
}

/// Why a scan ends before it begins.
pub(crate) enum Early {
    Cancelled,
    Refused(Refusal),
    Failed(Failure),
}

impl From<RefreshError> for Early {
    fn from(why: RefreshError) -> Self {
        match why {
            // As of any other scan of a server that stops, its wallet is told how far it came.
            RefreshError::Stopping => Self::Cancelled,
            RefreshError::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// A scan with a definite range in a pinned chain.
#[derive(Clone)]
pub(crate) struct Pinned {
    pub(crate) chain: Arc<ActiveChain>,
    /// All of the range, what earlier scans covered included; its last block alone where there is nothing to walk.
    pub(crate) range: HeightRange,
    /// What of it is to be walked; none where there is nothing.
    pub(crate) walked: Option<HeightRange>,
    /// What earlier scans covered, up to where this one begins.
    pub(crate) covered: Option<Scanned>,
    /// Where blocks of the range are missing, the lowest height that is complete to its end.
    pruned_below: Option<Height>,
    tip: BlockId,
    prepare_micros: u64,
}

impl Pinned {
    /// Takes as long as a walk over all heights does.
    fn new(
        request: &RangeRequest,
        covered: Option<Scanned>,
        view: ChainView,
        prepare_micros: u64,
    ) -> Result<Self, Early> {
        let span = range::definite(request, &view.chain).map_err(Early::Refused)?;
        let first = match &covered {
            Some(covered) if covered.from >= span.first => {
                return Err(Early::Refused(uncovered(covered.from, span.first)));
            }
            Some(covered) => covered.from,
            None => span.first,
        };
        let range = HeightRange::new(first.min(span.last), span.last)
            .ok_or_else(|| Early::Failed(internal(format!("a range from {first} to {}", span.last))))?;
        let walked = span.walked();
        let pruned_below = walked.and_then(|walked| range::pruned_below(walked, &view));
        let tip = view
            .chain
            .id(range.last())
            .ok_or_else(|| Early::Failed(internal(format!("height {} of the active chain has no id", range.last()))))?;
        Ok(Self { chain: view.chain, range, walked, covered, pruned_below, tip, prepare_micros })
    }
}

fn uncovered(from: Height, first: Height) -> Refusal {
    Refusal {
        reason: RefusalReason::BadCoverage,
        position: 0,
        detail: format!("blocks from height {from} on are said to be covered, and the range begins at height {first}"),
    }
}

impl<S: Source> Job<S> {
    /// Runs the scan to its end. `prepare` gives what the scan looks for; `start` sets the source going.
    pub(crate) async fn run<W>(
        self,
        prepare: impl Future<Output = Result<W, Early>>,
        start: impl FnOnce(W, Pinned) -> Result<Option<S>, Refusal>,
    ) {
        // However this ends, a stopping server does not wait for it in vain.
        let _over = OverOnDrop(Rc::clone(&self.control));
        let scanned = AssertUnwindSafe(self.scan(prepare, start)).catch_unwind().await;
        let ending = scanned.unwrap_or_else(|_panic| {
            self.control.end_early();
            Some(Ending::Failed(internal("the scan panicked: this is a defect of rescan-server".to_owned())))
        });
        self.control.end();
        if let Some(ending) = ending {
            log(&ending);
            self.counted.ended(&ending);
            say_done::<S::Piece>(&self.sink, &ending, self.shared.limits.stalled_after).await;
        }
    }

    /// How the scan ended; none if the wallet is past hearing it.
    async fn scan<W>(
        &self,
        prepare: impl Future<Output = Result<W, Early>>,
        start: impl FnOnce(W, Pinned) -> Result<Option<S>, Refusal>,
    ) -> Option<Ending> {
        let begun = tokio::select! {
            // What begins is looked at first, so that a scan that is cancelled at once has found its watch set.
            biased;
            begun = self.begin(prepare) => begun,
            () = self.control.asked_to_end() => Err(Early::Cancelled),
        };
        match begun {
            Ok((watched, pinned)) => self.walk(watched, pinned, start).await,
            Err(Early::Cancelled) => Some(Ending::Summary(self.nothing_scanned())),
            Err(Early::Refused(refusal)) => Some(Ending::Refused(refusal)),
            Err(Early::Failed(failure)) => Some(Ending::Failed(failure)),
        }
    }

    async fn begin<W>(&self, prepare: impl Future<Output = Result<W, Early>>) -> Result<(W, Pinned), Early> {
        let watched = prepare.await?;
        let prepare_micros = micros_since(self.control.called);
        self.control.enter(Stage::ReadingChain);
        let view = self.shared.refresher.refresh().await?;
        let (request, covered) = (self.range.clone(), self.going_on.covered.clone());
        // A birthday is searched for among all headers, and so may missing blocks be: more than this thread has time for.
        let pinned = tokio::task::spawn_blocking(move || Pinned::new(&request, covered, view, prepare_micros)).await;
        let pinned = pinned.map_err(|error| Early::Failed(internal(format!("making the range definite: {error}"))))?;
        Ok((watched, pinned?))
    }

    /// Delivers what the source yields. None if the wallet is past hearing how it ended.
    async fn walk<W>(
        &self,
        watched: W,
        pinned: Pinned,
        start: impl FnOnce(W, Pinned) -> Result<Option<S>, Refusal>,
    ) -> Option<Ending> {
        if let Some(below) = pinned.pruned_below {
            let summary = Summary { outcome: Outcome::PrunedBelow(below), ..self.nothing_of(&pinned) };
            return Some(Ending::Summary(summary));
        }
        let mut source = match start(watched, pinned.clone()) {
            Ok(Some(source)) => source,
            Ok(None) => return Some(Ending::Summary(self.nothing_to_walk(&pinned))),
            Err(refusal) => return Some(Ending::Refused(refusal)),
        };
        let progress = source.progress();
        self.control.enter(Stage::Walking(Begun { pin: Arc::clone(&pinned.chain), progress: Arc::clone(&progress) }));
        let mut outbox = Outbox::new(self.sink.clone(), self.shared.limits.stalled_after, S::height_of);
        let delivered = self.deliver(&pinned, &mut source, &mut outbox).await;
        self.counted.walk_ended(&progress);
        let stalled = match delivered {
            Ok(()) => None,
            Err(Stopped::Failed(failure)) => return Some(Ending::Failed(failure)),
            Err(Stopped::Blocked(Blocked::TooLarge { height, bytes })) => {
                self.control.end_early();
                return Some(Ending::Failed(internal(format!(
                    "the report of block {height} has some {bytes} bytes, more than one message carries: give fewer \
                     entries for one script"
                ))));
            }
            Err(Stopped::Blocked(Blocked::Gone(error))) => {
                tracing::debug!(error = said_by_peer(&error), "the wallet takes no more");
                self.control.end_early();
                return None;
            }
            Err(Stopped::Blocked(Blocked::Stalled)) => {
                let after = self.shared.limits.stalled_after;
                tracing::info!(
                    ?after,
                    "a scan is cancelled: its wallet takes nothing; it can go on from its last checkpoint"
                );
                self.control.end_early();
                Some(outbox.sent_through())
            }
        };
        Some(Ending::Summary(self.summary(&pinned, &source, stalled)))
    }

    /// Moves everything from the source to the outbox. What was settled before a failure is delivered all the same.
    async fn deliver(&self, pinned: &Pinned, source: &mut S, outbox: &mut Outbox<S::Piece>) -> Result<(), Stopped> {
        let mut marked = Instant::now();
        loop {
            let settled = {
                let mut next = std::pin::pin!(source.next());
                loop {
                    tokio::select! {
                        biased;
                        settled = &mut next => break settled,
                        () = outbox.due() => outbox.flush().await?,
                    }
                }
            };
            match settled {
                Ok(Some(_)) if self.control.watch_more(source.scripts()).is_err() => {
                    outbox.flush().await?;
                    return Err(Stopped::Failed(no_room(source.scripts())));
                }
                Ok(Some(segment)) => {
                    self.counted.walked(&source.progress());
                    for piece in segment {
                        outbox.put(piece).await?;
                    }
                }
                Ok(None) => {
                    outbox.flush().await?;
                    return source.send_rest(&self.sink, self.shared.limits.stalled_after).await;
                }
                Err(failure) => {
                    outbox.flush().await?;
                    return Err(Stopped::Failed(failure));
                }
            }
            if self.going_on.mark_every.is_some_and(|every| marked.elapsed() >= every)
                && let Some(mark) = mark_of(pinned, source)
            {
                outbox.mark(&mark).await?;
                marked = Instant::now();
            }
        }
    }

    /// `stalled` is the height of the last piece that left, where the wallet stopped taking them.
    fn summary(&self, pinned: &Pinned, source: &S, stalled: Option<Option<Height>>) -> Summary {
        let settled = source.settled();
        let (outcome, delivered) = match (stalled, source.outcome()) {
            (None, Some(outcome)) => (outcome, settled),
            (None, None) => (Outcome::Cancelled, settled),
            (Some(sent_through), _) => (Outcome::Cancelled, sent_through),
        };
        // The source has compared its pin at every segment; only an early end may have come since.
        let now = (outcome == Outcome::Cancelled).then(|| self.shared.chain.newest()).flatten();
        let reorganised = now.and_then(|now| range::reorganised_from(&pinned.chain, &now, settled?));
        let totals = source.totals();
        Summary {
            outcome: reorganised.map_or(outcome, Outcome::ReorganisedFrom),
            transactions: totals.transactions,
            unspent_count: totals.coins.count,
            unspent: Amount::from_sat(totals.coins.total_sat),
            keychains: totals.keychains,
            watched_through: totals.watched_through,
            passes: totals.passes,
            blocks_scanned: totals.blocks_scanned,
            bytes_scanned: totals.bytes_scanned,
            locator: delivered.map_or_else(Vec::new, |height| pinned.chain.locator(height)),
            ..self.nothing_of(pinned)
        }
    }

    /// The summary of a scan whose range begins behind its end.
    fn nothing_to_walk(&self, pinned: &Pinned) -> Summary {
        let locator = pinned.chain.locator(pinned.range.last());
        Summary { outcome: Outcome::Complete, locator, passes: 1, ..self.nothing_of(pinned) }
    }

    /// The summary of a scan that has scanned nothing of its range.
    fn nothing_of(&self, pinned: &Pinned) -> Summary {
        Summary {
            range: pinned.range,
            tip: pinned.tip,
            prepare_micros: pinned.prepare_micros,
            ..self.nothing_scanned()
        }
    }

    /// The summary of a scan that was cancelled before its range was definite: the range is as far as it is known, and
    /// where its last block is not, the genesis block stands for it, which every chain has.
    fn nothing_scanned(&self) -> Summary {
        let newest = self.shared.chain.newest();
        let range = range::as_far_as_known(&self.range, newest.as_ref().and_then(|chain| chain.tip()));
        let tip = newest.and_then(|chain| chain.id(range.last())).unwrap_or_else(|| {
            let genesis = bitcoin::constants::genesis_block(self.shared.chain.network().to_bitcoin());
            BlockId { height: Height::GENESIS, hash: genesis.block_hash(), time: genesis.header.time }
        });
        Summary {
            outcome: Outcome::Cancelled,
            range,
            tip,
            transactions: 0,
            unspent_count: 0,
            unspent: Amount::ZERO,
            keychains: (0..self.keychain_count.get()).map(|_keychain| KeychainUse::Unused).collect(),
            watched_through: (0..self.keychain_count.get()).map(|_keychain| None).collect(),
            blocks_scanned: 0,
            bytes_scanned: 0,
            prepare_micros: 0,
            elapsed_micros: micros_since(self.control.called),
            locator: Vec::new(),
            passes: 0,
        }
    }
}

fn no_room(scripts: u64) -> Failure {
    let detail = format!(
        "the gap rule asks for {scripts} scripts, more than the server has room for beside what else is watched: drop a \
         watch set or a scan, or try again later"
    );
    Failure { kind: FailureKind::LimitReached, detail, at: None }
}

/// One line a scan, for the operator.
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
        // The detail is the wallet's: it may say what it looks for.
        Ending::Refused(refusal) => tracing::info!(reason = ?refusal.reason, "a scan is refused"),
        Ending::Failed(failure) => tracing::error!(%failure, "a scan failed"),
    }
}

/// Where a wallet may go on from; none where something is still to be told of what is settled.
fn mark_of<S: Source>(pinned: &Pinned, source: &S) -> Option<ResumePoint> {
    let height = source.settled().filter(|_| source.is_even())?;
    let totals = source.totals();
    Some(ResumePoint {
        from: pinned.range.first(),
        block: pinned.chain.id(height)?,
        locator: pinned.chain.locator(height),
        keychains: totals.keychains,
        watched_through: totals.watched_through,
    })
}

/// Tells the wallet how its scan ended, and waits for it to hear, but not for ever.
pub(crate) async fn say_done<C: Cargo>(sink: &C::Sink, ending: &Ending, patience: std::time::Duration) {
    let heard = match C::done(sink, ending) {
        Ok(heard) => timeout(patience, heard).await,
        Err(error) => {
            tracing::error!(%error, "a scan's ending cannot be told");
            return;
        }
    };
    match heard {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error = said_by_peer(&error), "the wallet does not hear how its scan ended"),
        Err(elapsed) => tracing::debug!(%elapsed, "the wallet does not hear how its scan ended"),
    }
}

#[cfg(test)]
mod tests;
