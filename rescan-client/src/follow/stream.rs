//! A follower in the wallet's hands.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use rescan_core::position::Height;
use rescan_core::report::{BlockId, BlockReport, Summary};
use rescan_core::request::{Deliver, RangeEnd, RangeStart};

use super::recent::RecentBlocks;
use super::state::State;
use super::task::FollowTask;
use crate::checkpoint::{Checkpoint, ResumeError, Reverted};
use crate::client::Client;
use crate::error::ScanError;
use crate::generator::{Generator, Yielder};
use crate::request::ScanRequest;
use crate::resume::Scanner;
use crate::scan::ScanHandle;

/// An event of a follower.
///
/// Reverted transactions and disconnected blocks come before those that replace them: a wallet can apply each event as it
/// comes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FollowEvent {
    /// A scan of the existing blocks was started on the server; the handle asks for its progress. It may come again.
    Started(ScanHandle),
    /// A transaction that was reported before is in a block that is no longer in the active chain. The last come first.
    Reverted(Reverted),
    /// The chain changed deeper than can be reverted: all earlier events are void, blocks too. Everything comes again, up to
    /// the next [`CaughtUp`](FollowEvent::CaughtUp), as in the beginning.
    Restarted,
    /// A block that touches the watch set, as [`ScanEvent::Report`](crate::ScanEvent::Report). It comes after the
    /// [`Connected`](FollowEvent::Connected) of its block, unless that block was connected before the following began.
    Report(BlockReport),
    /// The checkpoint covers all earlier events. It may be saved once they are stored.
    Settled,
    /// Everything up to the summary's tip was reported; the next event waits for another tip. The checkpoint covers all of it.
    /// The first time, that tip is the block below those to be connected; later it is the tip after the last connected or
    /// disconnected block. The summary counts as [`ResumeEvent::Finished`](crate::ResumeEvent::Finished) does. While the chain
    /// ends below the range, there is no summary: [`Settled`](FollowEvent::Settled) comes instead.
    CaughtUp(Summary),
    /// The chain's tip, which was this block, was disconnected. The last come first.
    Disconnected(BlockId),
    /// This block was connected on top of the tip.
    Connected(BlockId),
    /// The server ended a scan early, because it stops (`cancelled`) or lacks blocks (`pruned`). Nothing follows; the
    /// checkpoint can be resumed from.
    Stopped(Summary),
}

/// A scan that never ends: a stream of [`FollowEvent`]s. Dropping it stops its scan on the server.
///
/// The stream ends after an error, which comes at most once, or [`FollowEvent::Stopped`]. Its checkpoint can be resumed from
/// even then, and the follower itself with [`Follower::reconnect`].
pub struct Follower {
    events: Generator<State, FollowEvent>,
    request: ScanRequest,
    /// The start of the range, if it is a height.
    lowest: Height,
}

impl Client {
    /// Scans as `request` asks, from the block that `checkpoint` has reached, and continues with each new block. The end of
    /// the request's range and [`Deliver::Coins`] are ignored.
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
    ///         Some(Ok(FollowEvent::Reverted(reverted))) => println!("{} is no longer in the chain", reverted.txid),
    ///         Some(Ok(FollowEvent::Settled | FollowEvent::CaughtUp(_))) => drop(follower.checkpoint().save(file)?),
    ///         Some(Ok(_)) => {}
    ///         // The server was stopped or restarted: nothing is lost.
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
        request.range.to = RangeEnd::Tip;
        request.deliver = Deliver::History;
        checkpoint.check(self.server_info().chain.genesis, &request)?;
        let lowest = match request.range.from {
            RangeStart::Height(height) => height,
            RangeStart::Birthday(_) | RangeStart::After(_) => Height::GENESIS,
        };
        let run = task(self.clone(), request.clone(), lowest, Height::GENESIS);
        let events = Generator::new(State { checkpoint, recent: None }, run);
        Ok(Follower { events, request, lowest })
    }
}

impl Follower {
    /// The checkpoint. It is ahead of the events only as long as [`next_ready`](Follower::next_ready) returns one, and never
    /// after [`FollowEvent::Settled`] and [`FollowEvent::CaughtUp`].
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.events.state().checkpoint
    }

    /// Returns an event that has already happened, without waiting for more.
    pub fn next_ready(&mut self) -> Option<FollowEvent> {
        self.events.next_ready()
    }

    /// Continues over another connection: connected blocks do not come again. Reports after the last
    /// [`FollowEvent::Settled`] may.
    ///
    /// # Errors
    ///
    /// [`ResumeError`] if the server is of another network; nothing is changed then.
    pub fn reconnect(&mut self, client: Client) -> Result<(), ResumeError> {
        self.checkpoint().check(client.server_info().chain.genesis, &self.request)?;
        let state = self.events.state_mut();
        state.forget_ahead();
        let tip = state.recent.as_ref().and_then(RecentBlocks::tip).map_or(Height::GENESIS, |tip| tip.height);
        self.events.restart(task(client, self.request.clone(), self.lowest, tip));
        Ok(())
    }
}

fn task(
    client: Client,
    request: ScanRequest,
    lowest: Height,
    expected: Height,
) -> impl FnOnce(Yielder<State, FollowEvent>) -> BoxFuture<'static, Result<(), ScanError>> {
    let scanner = Scanner::new(client, request);
    move |yielder| FollowTask { scanner, yielder, lowest, expected }.run().boxed()
}

impl Stream for Follower {
    type Item = Result<FollowEvent, ScanError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(cx)
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("scanned_to", &self.checkpoint().scanned_to()).finish_non_exhaustive()
    }
}
