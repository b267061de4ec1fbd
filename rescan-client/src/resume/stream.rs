//! A scan that resumes from a checkpoint and keeps it up to date.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{Stream, StreamExt};
use rescan_core::report::{BlockReport, Outcome, Summary};

use super::scanner::{ATTEMPTS_MAX, ResumedScan, Scanner, is_not_in_chain, locate_below};
use crate::checkpoint::{Checkpoint, ResumeError, Reverted, Rollback};
use crate::client::Client;
use crate::error::ScanError;
use crate::generator::{Generator, Yielder};
use crate::request::ScanRequest;
use crate::scan::{ScanEvent, ScanHandle, ScanStream};

/// An event of a scan that resumes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ResumeEvent {
    /// A transaction that was reported before is in a block that is no longer in the active chain. The last come first.
    Reverted(Reverted),
    /// The chain changed deeper than the checkpoint can revert: all earlier reports are void, and come again. Those that the
    /// checkpoint still knows were reverted just before.
    Restarted,
    /// A scan was started on the server; the handle asks for its progress and cancels it. It may come again.
    Started(ScanHandle),
    /// A block that touches the watch set, as [`ScanEvent::Report`].
    Report(BlockReport),
    /// The checkpoint covers all earlier events. It may be saved once they are stored.
    Settled,
    /// The end; nothing follows. The summary is that of all scans from the range's start: its unspent coins and keychain uses
    /// are those of the whole history, its counts and times those of the last scan.
    Finished(Summary),
}

/// A scan that resumes from a checkpoint: a stream of [`ResumeEvent`]s. Dropping it stops the scan on the server.
///
/// The stream ends after [`ResumeEvent::Finished`], or after an error, which comes at most once. Its checkpoint can be
/// resumed from even then.
pub struct ResumableScan {
    events: Generator<State, ResumeEvent>,
}

struct State {
    checkpoint: Checkpoint,
    /// The scan that has ended: its handles answer as long as it is kept.
    ended: Option<ScanStream>,
}

impl Client {
    /// Scans as `request` asks, from the block that `checkpoint` has reached; a new checkpoint starts at the range's start.
    ///
    /// # Errors
    ///
    /// [`ResumeError`] if the checkpoint is of another request, or of another network than the server's.
    pub fn resume(&self, request: ScanRequest, checkpoint: Checkpoint) -> Result<ResumableScan, ResumeError> {
        checkpoint.check(self.server_info().chain.genesis, &request)?;
        let scanner = Scanner::new(self.clone(), request);
        let events = Generator::new(State { checkpoint, ended: None }, |yielder| run(scanner, yielder));
        Ok(ResumableScan { events })
    }
}

impl ResumableScan {
    /// The checkpoint after all events that the stream has returned.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.events.state().checkpoint
    }
}

impl Stream for ResumableScan {
    type Item = Result<ResumeEvent, ScanError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(cx)
    }
}

impl fmt::Debug for ResumableScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumableScan").field("scanned_to", &self.checkpoint().scanned_to()).finish_non_exhaustive()
    }
}

type Task = Yielder<State, ResumeEvent>;

async fn run(mut scanner: Scanner, task: Task) -> Result<(), ScanError> {
    let mut attempts = 0;
    loop {
        let known = task.with(|state| state.checkpoint.known_blocks());
        if !known.is_empty() {
            let fork = scanner.client().locate(known).await?;
            let rollback = task.with(|state| state.checkpoint.roll_back(fork));
            task.yield_all(events(rollback)).await;
        }
        match scan(&mut scanner, &task).await {
            Err(error) if is_not_in_chain(&error) && attempts < ATTEMPTS_MAX => attempts += 1,
            ended => return ended,
        }
    }
}

async fn scan(scanner: &mut Scanner, task: &Task) -> Result<(), ScanError> {
    let resume = task.with(|state| scanner.resume(&state.checkpoint));
    let mut scan = scanner.start(resume).await?;
    task.yield_one(ResumeEvent::Started(scan.handle())).await;
    loop {
        match scan.next().await? {
            ScanEvent::Report(report) => {
                task.with(|state| state.checkpoint.apply(&report));
                task.yield_one(ResumeEvent::Report(report)).await;
            }
            ScanEvent::Settled(mark) => {
                task.with(|state| state.checkpoint.settle(&mark));
                task.yield_one(ResumeEvent::Settled).await;
            }
            ScanEvent::Finished(summary) => return finish(scanner, scan, summary, task).await,
            ScanEvent::Coin(_) => {}
        }
    }
}

async fn finish(scanner: &Scanner, scan: ResumedScan, summary: Summary, task: &Task) -> Result<(), ScanError> {
    task.with(|state| {
        state.checkpoint.finish(&summary);
        state.ended = Some(scan.into_stream());
    });
    let mut rollback = Rollback::default();
    if let Outcome::ReorganisedFrom(height) = summary.outcome {
        // Reports above the fork are reverted, so that the summary counts only the others.
        let known = task.with(|state| state.checkpoint.known_blocks());
        let fork = locate_below(scanner.client(), known, height).await?;
        rollback = task.with(|state| state.checkpoint.roll_back(fork));
    }
    let summary = task.with(|state| state.checkpoint.summary(summary));
    task.yield_all(events(rollback).chain([ResumeEvent::Finished(summary)])).await;
    Ok(())
}

fn events(rollback: Rollback) -> impl Iterator<Item = ResumeEvent> {
    let Rollback { reverted, is_restart } = rollback;
    reverted.into_iter().map(ResumeEvent::Reverted).chain(is_restart.then_some(ResumeEvent::Restarted))
}
