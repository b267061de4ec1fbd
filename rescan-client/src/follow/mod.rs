//! Following: after the scan, the same watch set goes on being reported, block by block, for as long as anybody listens.
//!
//! A follower pulls. It waits until the server has another tip and then goes on from its checkpoint, so that nothing piles
//! up anywhere: a follower that is not read misses nothing, and finds what came meanwhile in one scan. It says which blocks
//! were left and which came, always those of the chain that the scan is pinned to.
//!
//! Invariant: the blocks that were told, in the order in which they were, are at any moment one chain, up to a block
//! whose predecessors are in it.

mod below_range;
mod recent;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bitcoin::BlockHash;
use futures::{FutureExt, Stream};
use rescan_core::position::Height;
use rescan_core::report::{BlockId, BlockReport, Outcome, RefusalReason, Summary};
use rescan_core::request::{Deliver, RangeEnd, RangeStart};

use self::recent::RecentBlocks;
use crate::checkpoint::{Checkpoint, ResumeError, Reverted};
use crate::client::Client;
use crate::error::{CallError, ScanError};
use crate::request::ScanRequest;
use crate::resume::{Call, ResumableScan, ResumeEvent};
use crate::scan::ScanHandle;

/// How long one question for a tip may take: as long as a server lets it.
const WAIT_MAX: Duration = rescan_core::protocol::TIP_WAIT_MAX;

/// Something that happened to a wallet that follows.
///
/// What is taken back comes before what takes its place, so that a wallet can apply each as it comes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FollowEvent {
    /// The server was asked to scan what there is before the following begins; the handle asks how far it is. It may come
    /// again.
    Started(ScanHandle),
    /// A transaction that was reported before is in a block that the chain has left. The last come first.
    Reverted(Reverted),
    /// The chain left more blocks than can be taken back: everything that was told before is void, blocks too. All of it
    /// comes anew, up to the next [`CaughtUp`](FollowEvent::CaughtUp), as in the beginning.
    Restarted,
    /// A block that touches the watch set, as [`ScanEvent::Report`](crate::ScanEvent::Report). It comes after the
    /// [`Connected`](FollowEvent::Connected) of its block, unless that was connected before the following began.
    Report(BlockReport),
    /// The checkpoint covers everything that came before this. Once that is safe, it may be saved.
    Settled,
    /// Everything up to the summary's tip was reported, and until there is another, nothing happens. The checkpoint covers
    /// all of it. The first time, that tip is the block on which those to come are built, and later the one that was
    /// connected last, or what is left after one was disconnected. For what is counted see [`Checkpoint::summary`]. While the
    /// chain ends below the first height of the range, there is no summary: [`Settled`](FollowEvent::Settled) comes instead.
    CaughtUp(Summary),
    /// The chain has left its tip, which was this block. The last come first.
    Disconnected(BlockId),
    /// The chain has a new tip, which is this block, upon the one before.
    Connected(BlockId),
    /// The server ended a scan early, because it stops (`cancelled`) or has not all of the blocks (`pruned`). Nothing
    /// follows; the checkpoint is good to go on from.
    Stopped(Summary),
}

/// A scan that never ends: a stream of [`FollowEvent`]s. Dropping it is giving it up.
///
/// The stream ends after an error, which comes at most once, or [`FollowEvent::Stopped`]. The checkpoint is good to go on
/// from even then, and so is the follower itself, with [`Follower::reconnect`].
pub struct Follower {
    client: Client,
    scan: ResumableScan,
    events: VecDeque<FollowEvent>,
    stage: Stage,
    /// The last blocks that were told; none until it has caught up.
    recent: Option<RecentBlocks>,
    /// The tip that the server told last.
    expected: Height,
    /// Where the range begins, if that is a height: below it there is nothing to scan.
    lowest: Height,
    /// Why the blocks of a scan are not known. Where that scan is begun again, it does not matter.
    unaligned: Option<CallError>,
}

enum Stage {
    /// What happened in a scan is taken in.
    Reading,
    /// A scan of new blocks has begun: which they are is asked for before anything of it is told.
    Aligning(Call<Vec<BlockId>>),
    /// The scan that caught up has ended: its last blocks are asked for.
    Recalling(Box<Summary>, Call<RecentBlocks>),
    /// What the next scan watches goes to the server ahead of it. Another tip than this one is waited for.
    Sending(Option<BlockHash>),
    Waiting(Option<BlockHash>, Call<Option<BlockId>>),
    /// The chain ends at this tip, below the range: which of the blocks that were told still stand is asked for.
    Falling(BlockHash, Call<Option<BlockId>>),
    Ended,
}

impl Client {
    /// Does what `request` asks, from where `checkpoint` got to, and goes on with every block that comes. The end of the
    /// request's range and [`Deliver::Coins`] have no meaning here.
    ///
    /// ```no_run
    /// use std::path::Path;
    /// use futures::StreamExt;
    /// use rescan_client::{Checkpoint, Client, FollowEvent, ScanRequest};
    ///
    /// # async fn follow(client: Client, descriptor: &str, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = ScanRequest::new().keychain(descriptor);
    /// let begun = Checkpoint::load(file)?;
    /// let checkpoint = begun.unwrap_or_else(|| Checkpoint::new(client.server_info().chain.genesis, &request));
    /// let mut follower = client.follow(request, checkpoint)?;
    /// loop {
    ///     match follower.next().await {
    ///         Some(Ok(FollowEvent::Report(block))) => println!("{} in {}", block.transactions.len(), block.hash),
    ///         Some(Ok(FollowEvent::Reverted(gone))) => println!("{} is no longer in the chain", gone.txid),
    ///         Some(Ok(FollowEvent::Settled | FollowEvent::CaughtUp(_))) => drop(follower.checkpoint().save(file)?),
    ///         Some(Ok(_)) => {}
    ///         // The server was stopped, or started again: once it is there, nothing is lost.
    ///         Some(Err(_)) | None => follower.reconnect(Client::connect("/home/satoshi/.bitcoin/rescan.sock").await?)?,
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ResumeError`] if the checkpoint is of another request, or of another network than the server's.
    pub fn follow(&self, mut request: ScanRequest, checkpoint: Checkpoint) -> Result<Follower, ResumeError> {
        let lowest = match request.range.from {
            RangeStart::Height(height) => height,
            RangeStart::Birthday(_) | RangeStart::After(_) => Height::GENESIS,
        };
        request.range.to = RangeEnd::Tip;
        request.deliver = Deliver::History;
        Ok(Follower {
            client: self.clone(),
            scan: self.resume(request, checkpoint)?,
            events: VecDeque::new(),
            stage: Stage::Reading,
            recent: None,
            expected: Height::GENESIS,
            lowest,
            unaligned: None,
        })
    }
}

impl Follower {
    /// The checkpoint. It is ahead of what was told only as long as [`next_ready`](Follower::next_ready) gives something;
    /// after [`FollowEvent::Settled`] and [`FollowEvent::CaughtUp`] it never is.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        self.scan.checkpoint()
    }

    /// What has happened already and was not told yet, without waiting for more.
    pub fn next_ready(&mut self) -> Option<FollowEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if !matches!(self.stage, Stage::Reading) {
                return None;
            }
            let event = self.scan.pop()?;
            if self.take_in(event).is_err() {
                self.stage = Stage::Ended;
            }
        }
    }

    /// Goes on over another connection, from where it is: blocks that were connected are not told again. Reports that came
    /// after the checkpoint last covered all may be.
    ///
    /// # Errors
    ///
    /// [`ResumeError`] if the server is one of another network; nothing is changed then.
    pub fn reconnect(&mut self, client: Client) -> Result<(), ResumeError> {
        self.scan.reconnect(client.clone())?;
        self.client = client;
        self.unaligned = None;
        if let Some(recent) = &mut self.recent {
            recent.forget_ahead();
        }
        self.stage = Stage::Reading;
        Ok(())
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ScanError>> {
        match &mut self.stage {
            Stage::Ended => {}
            Stage::Reading => {
                if self.client.check_can_wait().is_err() {
                    return Poll::Ready(Err(CallError::Unsupported { detail: "waitTip".to_owned() }.into()));
                }
                match ready!(self.scan.poll_event(cx)) {
                    // The chain ends below the range.
                    Err(ScanError::Refused(refusal))
                        if refusal.reason == RefusalReason::BadRange && self.checkpoint().has_begun() =>
                    {
                        self.scan.resume();
                        self.stage = Stage::Sending(None);
                    }
                    event => self.take_in(event?.ok_or(CallError::Ended)?)?,
                }
            }
            Stage::Aligning(call) => {
                let blocks = ready!(call.poll_unpin(cx));
                self.stage = Stage::Reading;
                match blocks {
                    Ok(blocks) => self.align(blocks),
                    Err(error) => self.unaligned = Some(error),
                }
            }
            Stage::Recalling(summary, call) => {
                self.recent = Some(ready!(call.poll_unpin(cx))?);
                let summary = Summary::clone(summary);
                self.events.push_back(FollowEvent::CaughtUp(summary));
                self.rest();
            }
            Stage::Sending(known) => {
                let known = *known;
                ready!(self.scan.poll_sent(cx))?;
                let client = self.client.clone();
                self.stage = Stage::Waiting(known, async move { client.wait_tip(known, WAIT_MAX).await }.boxed());
            }
            Stage::Waiting(known, call) => {
                let known = *known;
                match ready!(call.poll_unpin(cx))?.filter(|tip| Some(tip.hash) != known) {
                    // The time is up: it is asked for again.
                    None => self.stage = Stage::Sending(known),
                    Some(tip) if tip.height < self.lowest => self.fall(tip.hash),
                    Some(tip) => {
                        self.expected = tip.height;
                        self.stage = Stage::Reading;
                    }
                }
            }
            Stage::Falling(tip, call) => {
                let tip = *tip;
                let standing = ready!(call.poll_unpin(cx))?;
                self.fall_to(standing, tip)?;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take_in(&mut self, event: ResumeEvent) -> Result<(), ScanError> {
        match event {
            ResumeEvent::Started(handle) => match &mut self.recent {
                Some(recent) => {
                    let covered = self.scan.checkpoint().scanned_to().map(|block| block.height);
                    let (first, expected) = (recent.begin_to_align(covered), self.expected);
                    let blocks = async move { recent::blocks_from(&handle, first, expected).await };
                    self.unaligned = None;
                    self.stage = Stage::Aligning(blocks.boxed());
                }
                None => self.events.push_back(FollowEvent::Started(handle)),
            },
            ResumeEvent::Reverted(withdrawn) => self.events.push_back(FollowEvent::Reverted(withdrawn)),
            ResumeEvent::Restarted => {
                self.recent = None;
                self.scan.remember(Vec::new());
                self.events.push_back(FollowEvent::Restarted);
            }
            ResumeEvent::Report(report) => {
                self.connect_to(report.height)?;
                self.events.push_back(FollowEvent::Report(report));
            }
            ResumeEvent::Settled => self.settle()?,
            ResumeEvent::Finished(summary) => self.finish(summary)?,
        }
        Ok(())
    }

    fn finish(&mut self, summary: Summary) -> Result<(), ScanError> {
        match summary.outcome {
            Outcome::Complete if self.recent.is_some() => {
                self.connect_to(summary.tip.height)?;
                self.events.push_back(FollowEvent::CaughtUp(summary));
                self.rest();
            }
            Outcome::Complete => {
                let handle = self.scan.over().ok_or(CallError::Ended)?;
                let tip = summary.tip;
                let recall = async move { RecentBlocks::recall(&handle, tip).await };
                self.stage = Stage::Recalling(Box::new(summary), recall.boxed());
            }
            // What does not stand was withdrawn; which blocks were left shows in the scan that goes on from there.
            Outcome::ReorganisedFrom(_) => {
                if let Some(recent) = &mut self.recent {
                    recent.forget_ahead();
                }
                self.scan.resume();
            }
            Outcome::Cancelled | Outcome::PrunedBelow(_) => {
                self.events.push_back(FollowEvent::Stopped(summary));
                self.stage = Stage::Ended;
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), ScanError> {
        if let Some(covered) = self.checkpoint().scanned_to() {
            self.connect_to(covered.height)?;
        }
        self.events.push_back(FollowEvent::Settled);
        Ok(())
    }

    /// Until there is another tip.
    fn rest(&mut self) {
        self.scan.remember(self.recent.as_ref().map(RecentBlocks::hashes).unwrap_or_default());
        self.scan.let_go();
        self.scan.resume();
        self.stage = Stage::Sending(self.tip());
    }

    /// Tells which blocks the chain has left, and keeps those that came until their reports do.
    fn align(&mut self, blocks: Vec<BlockId>) {
        let covered = self.scan.checkpoint().scanned_to().map(|block| block.height);
        let Some(recent) = &mut self.recent else { return };
        match recent.align(covered, blocks) {
            Some(left) => self.events.extend(left.into_iter().map(FollowEvent::Disconnected)),
            // Not all that were left can be named.
            None => self.scan.start_over(),
        }
    }

    /// The last block that was told: the server is asked for another.
    fn tip(&self) -> Option<BlockHash> {
        let told = self.recent.as_ref().and_then(RecentBlocks::tip);
        told.or_else(|| self.checkpoint().scanned_to()).map(|block| block.hash)
    }

    fn connect_to(&mut self, height: Height) -> Result<(), ScanError> {
        let Some(recent) = &mut self.recent else { return Ok(()) };
        if let Some(error) = self.unaligned.take() {
            return Err(error.into());
        }
        while let Some(block) = recent.connect_next(height) {
            self.events.push_back(FollowEvent::Connected(block));
        }
        Ok(())
    }
}

impl Stream for Follower {
    type Item = Result<FollowEvent, ScanError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if matches!(self.stage, Stage::Ended) {
                return Poll::Ready(None);
            }
            if let Err(error) = ready!(self.poll_step(cx)) {
                self.stage = Stage::Ended;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("scan", &self.scan).field("recent", &self.recent).finish_non_exhaustive()
    }
}
