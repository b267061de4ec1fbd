//! The event streams of the client library as one: a scan, a scan that resumes from a checkpoint, a chain that is
//! followed.

use futures::StreamExt;
use rescan_client::Reverted;
use rescan_client::coins::Coin;
use rescan_client::report::{BlockId, BlockReport, Summary};
use rescan_client::{
    Checkpoint, FollowEvent, Follower, ResumableScan, ResumeEvent, ScanError, ScanEvent, ScanHandle, ScanStream,
};

/// A stream of events.
pub(super) enum Source {
    Scan(ScanStream),
    Resumed(Box<ResumableScan>),
    Followed(Box<Follower>),
}

/// An event of any of the streams.
pub(super) enum Event {
    /// The server was asked to scan.
    Began(ScanHandle),
    Report(BlockReport),
    Coin(Coin),
    /// A transaction reported before is in a block that was disconnected.
    Reverted(Reverted),
    /// All earlier events are void.
    Restarted,
    Connected(BlockId),
    Disconnected(BlockId),
    /// The checkpoint covers all earlier events.
    Settled,
    /// All blocks up to the tip were reported; the next event is about a new block.
    CaughtUp(Summary),
    /// The last event.
    Ended(Summary),
    /// Of a newer library; without meaning here.
    Unknown,
}

impl Source {
    /// The next event; none after the last. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, ScanError> {
        Ok(match self {
            Self::Scan(stream) => stream.next().await.transpose()?.map(Event::from),
            Self::Resumed(scan) => scan.next().await.transpose()?.map(Event::from),
            Self::Followed(follower) => follower.next().await.transpose()?.map(Event::from),
        })
    }

    /// The progress to save; none without one.
    pub(super) fn checkpoint(&self) -> Option<&Checkpoint> {
        match self {
            Self::Scan(_) => None,
            Self::Resumed(scan) => Some(scan.checkpoint()),
            Self::Followed(follower) => Some(follower.checkpoint()),
        }
    }
}

impl From<ScanEvent> for Event {
    fn from(event: ScanEvent) -> Self {
        match event {
            ScanEvent::Report(report) => Self::Report(report),
            ScanEvent::Coin(coin) => Self::Coin(coin),
            ScanEvent::Finished(summary) => Self::Ended(summary),
            _ => Self::Unknown,
        }
    }
}

impl From<ResumeEvent> for Event {
    fn from(event: ResumeEvent) -> Self {
        match event {
            ResumeEvent::Started(handle) => Self::Began(handle),
            ResumeEvent::Reverted(reverted) => Self::Reverted(reverted),
            ResumeEvent::Restarted => Self::Restarted,
            ResumeEvent::Report(report) => Self::Report(report),
            ResumeEvent::Settled => Self::Settled,
            ResumeEvent::Finished(summary) => Self::Ended(summary),
            _ => Self::Unknown,
        }
    }
}

impl From<FollowEvent> for Event {
    fn from(event: FollowEvent) -> Self {
        match event {
            FollowEvent::Started(handle) => Self::Began(handle),
            FollowEvent::Reverted(reverted) => Self::Reverted(reverted),
            FollowEvent::Restarted => Self::Restarted,
            FollowEvent::Report(report) => Self::Report(report),
            FollowEvent::Connected(block) => Self::Connected(block),
            FollowEvent::Disconnected(block) => Self::Disconnected(block),
            FollowEvent::Settled => Self::Settled,
            FollowEvent::CaughtUp(summary) => Self::CaughtUp(summary),
            FollowEvent::Stopped(summary) => Self::Ended(summary),
            _ => Self::Unknown,
        }
    }
}
