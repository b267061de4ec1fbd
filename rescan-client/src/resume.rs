//! A scan that goes on from a checkpoint, whatever happened to the chain since.
//!
//! Before it scans, it asks the server which of the blocks that the checkpoint knows still stands, and takes back what
//! lies above. The chain may move between that question and the scan; then it asks again. What comes out is what a scan
//! that was never interrupted would have said, but for repeats at the seam and what was withdrawn.
//!
//! It saves nothing: when to is the caller's, who knows what has reached its reader.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bitcoin::BlockHash;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use rescan_core::position::Height;
use rescan_core::report::{BlockId, BlockReport, Outcome, RefusalReason, Summary};
use rescan_core::request::{GivenKeychain, GivenOutpoint};

use crate::checkpoint::{Checkpoint, Resume, ResumeError, Reverted};
use crate::client::Client;
use crate::error::{CallError, LOCATE_HASHES_MAX, ScanError};
use crate::request::ScanRequest;
use crate::scan::{ScanEvent, ScanHandle, ScanStream, WatchSet};

/// How often marks are asked for where the request does not say.
const MARK_EVERY: Duration = Duration::from_secs(1);

/// A chain that moves more often than this between a question and a scan is no chain.
const ATTEMPTS_MAX: u32 = 16;

/// Something that happened in a scan that goes on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ResumeEvent {
    /// A transaction that was reported before is in a block that the chain has left. The last come first.
    Reverted(Reverted),
    /// The chain left more blocks than the checkpoint can take back: everything that was reported before is void, and all
    /// of it comes anew. What is known of it was withdrawn just before.
    Restarted,
    /// The server was asked to scan; the handle asks how far it is, and ends it. It may come again.
    Started(ScanHandle),
    /// A block that touches the watch set, as [`ScanEvent::Report`].
    Report(BlockReport),
    /// The checkpoint covers everything that came before this. Once that is safe, it may be saved.
    Settled,
    /// The scan came to its end, and nothing follows. The summary is that of all scans: see [`Checkpoint::summary`].
    Finished(Summary),
}

/// A scan, and the checkpoint that follows it.
pub struct ResumableScan {
    client: Client,
    base: ScanRequest,
    checkpoint: Checkpoint,
    events: VecDeque<ResumeEvent>,
    stage: Stage,
    attempts: u32,
    /// Blocks that it may have to go back to, besides those that the checkpoint knows; the highest first.
    recent: Vec<BlockHash>,
    /// What the last scan watched: the next one may watch the same.
    watched: Option<Watched>,
    /// The scan that came to its end: it answers for the blocks of its chain as long as it is kept.
    over: Option<ScanStream>,
}

/// A question to the server that is under way.
pub(crate) type Call<T> = BoxFuture<'static, Result<T, CallError>>;

enum Stage {
    /// What does not stand is to be taken back.
    Due,
    Locating(Call<Option<BlockId>>),
    /// To be asked for. Apart from the stages before, so that what was withdrawn is told even if this fails.
    Ready,
    Sending(Box<Resume>, Call<WatchSet>),
    /// What it watches is on its way to the server or there.
    Sent(Box<Resume>),
    Beginning(Box<Resume>, Call<ScanStream>),
    Running(Box<Running>),
    /// The chain that it was pinned to was left: what does not stand is still to be taken back.
    Leaving(Box<Summary>, Call<Option<BlockId>>),
    Ended(Ended),
}

/// How the last scan ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// At the end of its range, on a chain that stood.
    Complete,
    /// In any other way.
    Early,
}

struct Running {
    stream: ScanStream,
    resume: Resume,
}

/// A watch set on the server, and what of the request it is made of that may differ from one scan to the next.
struct Watched {
    keychains: Vec<GivenKeychain>,
    outpoints: Vec<GivenOutpoint>,
    set: WatchSet,
}

impl Client {
    /// Does what `request` asks, from where `checkpoint` got to; a new checkpoint begins at the range's start.
    ///
    /// # Errors
    ///
    /// [`ResumeError`] if the checkpoint is of another request, or of another network than the server's.
    pub fn resume(&self, request: ScanRequest, checkpoint: Checkpoint) -> Result<ResumableScan, ResumeError> {
        checkpoint.check(self.server_info().chain.genesis, &request)?;
        Ok(ResumableScan {
            client: self.clone(),
            base: request,
            checkpoint,
            events: VecDeque::new(),
            stage: Stage::Due,
            attempts: 0,
            recent: Vec::new(),
            watched: None,
            over: None,
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
        poll_fn(|cx| self.poll_event(cx)).await
    }

    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<ResumeEvent>, ScanError>> {
        loop {
            if let Some(event) = self.pop() {
                return Poll::Ready(Ok(Some(event)));
            }
            if matches!(self.stage, Stage::Ended(_)) {
                return Poll::Ready(Ok(None));
            }
            if let Err(error) = ready!(self.poll_step(cx)) {
                self.stage = Stage::Ended(Ended::Early);
                return Poll::Ready(Err(error));
            }
        }
    }

    /// What happened already and was not told yet.
    pub(crate) fn pop(&mut self) -> Option<ResumeEvent> {
        self.events.pop_front()
    }

    /// After an end: goes on from where that was. The server is asked where that is in its chain only if the chain may have
    /// been left; if it was left after a complete scan, the next one is refused, and then it is asked.
    pub(crate) fn resume(&mut self) {
        self.attempts = 0;
        self.stage = match self.stage {
            Stage::Ended(Ended::Complete) => Stage::Ready,
            _ => Stage::Due,
        };
    }

    /// Sends what the next scan watches ahead of it, where that is not there already.
    pub(crate) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ScanError>> {
        while matches!(self.stage, Stage::Ready | Stage::Sending(..)) {
            ready!(self.poll_step(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Goes on over another connection, whatever became of the one before.
    ///
    /// # Errors
    ///
    /// [`ResumeError`] if the server is one of another network; nothing is changed then.
    pub(crate) fn reconnect(&mut self, client: Client) -> Result<(), ResumeError> {
        self.checkpoint.check(client.server_info().chain.genesis, &self.base)?;
        self.client = client;
        (self.watched, self.over) = (None, None);
        self.stage = Stage::Ended(Ended::Early);
        self.resume();
        Ok(())
    }

    /// Takes back everything above a block that was reported and stands, before the next scan begins.
    pub(crate) fn take_back(&mut self, standing: BlockId) {
        self.rewind(Some(standing));
        self.stage = Stage::Ready;
    }

    /// Begins at the range's start again: everything that was reported is withdrawn or void.
    pub(crate) fn start_over(&mut self) {
        self.void();
        self.stage = Stage::Ready;
    }

    /// Has the server asked for these blocks too when the chain may have been left; the highest first. The more are known,
    /// the less is gone over again.
    pub(crate) fn remember(&mut self, recent: Vec<BlockHash>) {
        self.recent = recent;
    }

    /// Asks about the chain of the scan that came to its end, until that is let go of or another begins.
    pub(crate) fn over(&self) -> Option<ScanHandle> {
        self.over.as_ref().map(ScanStream::handle)
    }

    /// Lets go of the scan that came to its end.
    pub(crate) fn let_go(&mut self) {
        self.over = None;
    }

    /// Goes one stage on, or takes in one event.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ScanError>> {
        let stage = match &mut self.stage {
            Stage::Ended(_) => return Poll::Ready(Ok(())),
            Stage::Due => self.ask_for_fork(),
            Stage::Locating(call) => {
                let fork = ready!(call.poll_unpin(cx))?;
                self.rewind(fork);
                Stage::Ready
            }
            Stage::Ready => self.make_request(),
            Stage::Sending(resume, call) => {
                let set = ready!(call.poll_unpin(cx))?;
                let Resume { request, .. } = &**resume;
                let (keychains, outpoints) = (request.keychains.clone(), request.outpoints.clone());
                self.watched = Some(Watched { keychains, outpoints, set });
                Stage::Sent(resume.clone())
            }
            Stage::Sent(resume) => match &self.watched {
                Some(watched) => begin(&watched.set, resume.clone()),
                None => Stage::Ready,
            },
            Stage::Beginning(resume, call) => {
                let stream = ready!(call.poll_unpin(cx))?;
                self.over = None;
                self.events.push_back(ResumeEvent::Started(stream.handle()));
                Stage::Running(Box::new(Running { stream, resume: Resume::clone(resume) }))
            }
            Stage::Running(running) => {
                let event = ready!(running.stream.poll_next_unpin(cx));
                return Poll::Ready(self.take_in(event));
            }
            Stage::Leaving(summary, call) => {
                let fork = ready!(call.poll_unpin(cx))?;
                let summary = Summary::clone(summary);
                self.rewind(fork);
                self.events.push_back(ResumeEvent::Finished(self.checkpoint.summary(summary)));
                Stage::Ended(Ended::Early)
            }
        };
        self.stage = stage;
        Poll::Ready(Ok(()))
    }

    fn ask_for_fork(&self) -> Stage {
        let known = self.known_blocks();
        if known.is_empty() {
            return Stage::Ready;
        }
        let client = self.client.clone();
        Stage::Locating(async move { client.locate(known).await }.boxed())
    }

    fn known_blocks(&self) -> Vec<BlockHash> {
        let known = self.checkpoint.known_blocks();
        let room = LOCATE_HASHES_MAX.saturating_sub(known.len());
        known.into_iter().chain(self.recent.iter().copied().take(room)).collect()
    }

    fn make_request(&self) -> Stage {
        let mut resume = Box::new(self.checkpoint.request(&self.base));
        let request = &mut resume.request;
        request.mark_every = request.mark_every.or(Some(MARK_EVERY));
        let is_same = |it: &&Watched| it.keychains == request.keychains && it.outpoints == request.outpoints;
        if self.watched.as_ref().filter(is_same).is_some() {
            return Stage::Sent(resume);
        }
        let (client, request) = (self.client.clone(), request.clone());
        Stage::Sending(resume, async move { client.watch(request).await }.boxed())
    }

    fn rewind(&mut self, fork: Option<BlockId>) {
        match self.checkpoint.rewind_to(fork) {
            Ok(withdrawn) => self.withdraw(withdrawn),
            Err(_too_deep) => self.void(),
        }
    }

    /// Takes everything back that was reported.
    fn void(&mut self) {
        let withdrawn = self.checkpoint.start_over();
        self.withdraw(withdrawn);
        self.events.push_back(ResumeEvent::Restarted);
    }

    fn withdraw(&mut self, withdrawn: Vec<Reverted>) {
        self.events.extend(withdrawn.into_iter().map(ResumeEvent::Reverted));
    }

    fn take_in(&mut self, event: Option<Result<ScanEvent, ScanError>>) -> Result<(), ScanError> {
        let Stage::Running(running) = &self.stage else { return Ok(()) };
        match event {
            Some(Ok(ScanEvent::Report(mut report))) => {
                running.resume.restore_origins(&mut report);
                self.checkpoint.apply(&report);
                self.events.push_back(ResumeEvent::Report(report));
            }
            Some(Ok(ScanEvent::Settled(mark))) => {
                self.checkpoint.settle(&mark);
                self.events.push_back(ResumeEvent::Settled);
            }
            Some(Ok(ScanEvent::Finished(summary))) => {
                self.checkpoint.finish(&summary);
                let ended = match summary.outcome {
                    Outcome::ReorganisedFrom(height) => {
                        let (client, known) = (self.client.clone(), self.known_blocks());
                        let standing = async move { standing_below(&client, known, height).await };
                        Stage::Leaving(Box::new(summary), standing.boxed())
                    }
                    outcome => {
                        self.events.push_back(ResumeEvent::Finished(self.checkpoint.summary(summary)));
                        let is_complete = outcome == Outcome::Complete;
                        Stage::Ended(if is_complete { Ended::Complete } else { Ended::Early })
                    }
                };
                if let Stage::Running(running) = std::mem::replace(&mut self.stage, ended) {
                    self.over = Some(running.stream);
                }
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
}

fn begin(set: &WatchSet, resume: Box<Resume>) -> Stage {
    let (set, request) = (set.clone(), resume.request.clone());
    Stage::Beginning(resume, async move { set.scan_as(&request).await }.boxed())
}

/// The highest known block below a height that is in the active chain: after a reorganisation, what is above it no longer
/// stands, so that the summary is of what does. The summary calls everything from that height on void, even where the chain
/// has come back to it meanwhile.
async fn standing_below(
    client: &Client,
    mut known: Vec<BlockHash>,
    height: Height,
) -> Result<Option<BlockId>, CallError> {
    while !known.is_empty() {
        let Some(found) = client.locate(known.clone()).await? else { return Ok(None) };
        if found.height < height {
            return Ok(Some(found));
        }
        let place = known.iter().position(|hash| *hash == found.hash);
        known.drain(..=place.unwrap_or(0));
    }
    Ok(None)
}

impl fmt::Debug for ResumableScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumableScan").field("scanned_to", &self.checkpoint.scanned_to()).finish_non_exhaustive()
    }
}
