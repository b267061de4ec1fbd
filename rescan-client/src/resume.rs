//! A scan that goes on from a checkpoint, whatever happened to the chain since.
//!
//! Before it scans, it asks the server which of the blocks that the checkpoint knows still stands, and takes back what
//! lies above. The chain may move between that question and the scan; then it asks again. What comes out is what a scan
//! that was never interrupted would have said, but for repeats at the seam and what was withdrawn.
//!
//! It saves nothing: when to is the caller's, who knows what has reached its reader.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt;
use rescan_core::position::Height;
use rescan_core::report::{BlockId, BlockReport, Outcome, RefusalReason, Summary};

use crate::checkpoint::{Checkpoint, ForeignCheckpoint, GoingOn, Withdrawn};
use crate::client::Client;
use crate::error::{CallError, ScanError};
use crate::request::ScanRequest;
use crate::scan_stream::{ScanEvent, ScanHandle, ScanStream};

/// How often marks are asked for where the request does not say.
const MARK_EVERY: Duration = Duration::from_secs(1);

/// A chain that moves more often than this between a question and a scan is no chain.
const ATTEMPTS_MAX: u32 = 16;

/// Something that happened in a scan that goes on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ResumeEvent {
    /// A transaction that was reported before is in a block that the chain has left. The last come first.
    Withdrawn(Withdrawn),
    /// The chain left more blocks than the checkpoint can take back: everything that was reported before is void, and all
    /// of it comes anew. What is known of it was withdrawn just before.
    Restarted,
    /// The server was asked to scan; the handle asks how far it is, and ends it. It may come again.
    Began(ScanHandle),
    /// A block that touches the watch set, as [`ScanEvent::Report`].
    Report(BlockReport),
    /// The checkpoint covers everything that came before this. Once that is safe, it may be saved.
    Settled,
    /// The scan came to its end, and nothing follows. The summary is that of all scans: see [`Checkpoint::summary`].
    Finished(Summary),
}

/// A scan, and the checkpoint that follows it.
#[derive(Debug)]
pub struct ResumableScan {
    client: Client,
    base: ScanRequest,
    checkpoint: Checkpoint,
    events: VecDeque<ResumeEvent>,
    stage: Stage,
    attempts: u32,
}

#[derive(Debug)]
enum Stage {
    /// What does not stand is to be taken back.
    Due,
    /// To be asked for. Apart from the stage before, so that what was withdrawn is told even if this fails.
    Ready,
    Running(Box<Running>),
    /// The chain that it was pinned to was left: what does not stand is still to be taken back.
    Leaving(Box<Summary>),
    Ended,
}

#[derive(Debug)]
struct Running {
    stream: ScanStream,
    going_on: GoingOn,
}

impl Client {
    /// Does what `request` asks, from where `checkpoint` got to; a new checkpoint begins at the range's start.
    ///
    /// # Errors
    ///
    /// [`ForeignCheckpoint`] if the checkpoint is of another request, or of another network than the server's.
    pub fn go_on(&self, request: ScanRequest, checkpoint: Checkpoint) -> Result<ResumableScan, ForeignCheckpoint> {
        checkpoint.check(self.greeting().chain.genesis, &request)?;
        Ok(ResumableScan {
            client: self.clone(),
            base: request,
            checkpoint,
            events: VecDeque::new(),
            stage: Stage::Due,
            attempts: 0,
        })
    }
}

impl ResumableScan {
    /// The checkpoint, with everything taken in that came out of [`next`](ResumableScan::next).
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// What happened next; none after the end, or after an error. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`ScanError`] if there will be no summary. The checkpoint is good to go on from even then.
    pub async fn next(&mut self) -> Result<Option<ResumeEvent>, ScanError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let stepped = match &mut self.stage {
                Stage::Ended => return Ok(None),
                Stage::Due => self.find_fork().await,
                Stage::Ready => self.begin().await,
                Stage::Running(running) => {
                    let event = running.stream.next().await;
                    self.take_in(event)
                }
                Stage::Leaving(summary) => {
                    let summary = Summary::clone(summary);
                    self.leave(summary).await
                }
            };
            if let Err(error) = stepped {
                self.stage = Stage::Ended;
                return Err(error);
            }
        }
    }

    async fn find_fork(&mut self) -> Result<(), ScanError> {
        let known = self.checkpoint.known_blocks();
        if !known.is_empty() {
            let fork = self.client.locate(known).await?;
            self.rewind(fork);
        }
        self.stage = Stage::Ready;
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), ScanError> {
        let going_on = self.checkpoint.request(&self.base);
        let mut request = going_on.request.clone();
        request.mark_every = request.mark_every.or(Some(MARK_EVERY));
        let stream = self.client.scan(request).await?;
        self.events.push_back(ResumeEvent::Began(stream.handle()));
        self.stage = Stage::Running(Box::new(Running { stream, going_on }));
        Ok(())
    }

    fn rewind(&mut self, fork: Option<BlockId>) {
        match self.checkpoint.rewind_to(fork) {
            Ok(withdrawn) => self.events.extend(withdrawn.into_iter().map(ResumeEvent::Withdrawn)),
            Err(_too_deep) => {
                let withdrawn = self.checkpoint.start_over();
                self.events.extend(withdrawn.into_iter().map(ResumeEvent::Withdrawn));
                self.events.push_back(ResumeEvent::Restarted);
            }
        }
    }

    fn take_in(&mut self, event: Option<Result<ScanEvent, ScanError>>) -> Result<(), ScanError> {
        let Stage::Running(running) = &self.stage else { return Ok(()) };
        match event {
            Some(Ok(ScanEvent::Report(mut report))) => {
                running.going_on.restore_origins(&mut report);
                self.checkpoint.apply(&report);
                self.events.push_back(ResumeEvent::Report(report));
            }
            Some(Ok(ScanEvent::Settled(mark))) => {
                self.checkpoint.settle(&mark);
                self.events.push_back(ResumeEvent::Settled);
            }
            Some(Ok(ScanEvent::Finished(summary))) => {
                self.checkpoint.finish(&summary);
                self.stage = match summary.outcome {
                    Outcome::ReorganisedFrom(_) => Stage::Leaving(Box::new(summary)),
                    _ => {
                        self.events.push_back(ResumeEvent::Finished(self.checkpoint.summary(summary)));
                        Stage::Ended
                    }
                };
            }
            Some(Ok(ScanEvent::Coin(_))) => {
                let detail = "a coin, where history was asked for".to_owned();
                return Err(CallError::Protocol { detail }.into());
            }
            Some(Err(ScanError::Refused(refusal)))
                if refusal.reason == RefusalReason::NotInChain && self.attempts < ATTEMPTS_MAX =>
            {
                self.attempts += 1;
                self.stage = Stage::Due;
            }
            Some(Err(error)) => return Err(error),
            None => return Err(CallError::Ended.into()),
        }
        Ok(())
    }

    /// After a reorganisation: takes back what no longer stands, so that the summary is of what does.
    async fn leave(&mut self, summary: Summary) -> Result<(), ScanError> {
        let from = match summary.outcome {
            Outcome::ReorganisedFrom(height) => height,
            _ => Height::GENESIS,
        };
        let fork = self.standing_below(from).await?;
        self.rewind(fork);
        self.events.push_back(ResumeEvent::Finished(self.checkpoint.summary(summary)));
        self.stage = Stage::Ended;
        Ok(())
    }

    /// The highest known block below a height that is in the active chain. The summary calls everything from that height on
    /// void, even where the chain has come back to it meanwhile.
    async fn standing_below(&self, height: Height) -> Result<Option<BlockId>, CallError> {
        let mut known = self.checkpoint.known_blocks();
        while !known.is_empty() {
            let Some(found) = self.client.locate(known.clone()).await? else { return Ok(None) };
            if found.height < height {
                return Ok(Some(found));
            }
            let place = known.iter().position(|hash| *hash == found.hash);
            known.drain(..=place.unwrap_or(0));
        }
        Ok(None)
    }
}
