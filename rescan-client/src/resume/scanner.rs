//! Starts scans from a checkpoint over one connection.

use std::time::Duration;

use bitcoin::BlockHash;
use futures::StreamExt;
use rescan_core::position::Height;
use rescan_core::report::{BlockId, RefusalReason};
use rescan_core::request::{GivenKeychain, GivenOutpoint};

use crate::checkpoint::{Checkpoint, Resume};
use crate::client::Client;
use crate::error::{CallError, ScanError};
use crate::request::ScanRequest;
use crate::scan::{ScanEvent, ScanHandle, ScanStream, WatchSet};

/// The interval of marks if the request has none.
const MARK_EVERY: Duration = Duration::from_secs(1);

/// How often a scan is started again because the chain changed after the checkpoint's block was located.
pub(crate) const ATTEMPTS_MAX: u32 = 16;

/// Starts scans, and keeps the last watch set: the next scan may watch the same.
pub(crate) struct Scanner {
    client: Client,
    request: ScanRequest,
    watched: Option<Watched>,
}

/// A watch set on the server, and the parts of its request that may differ from one scan to the next.
struct Watched {
    keychains: Vec<GivenKeychain>,
    outpoints: Vec<GivenOutpoint>,
    set: WatchSet,
}

impl Scanner {
    pub(crate) fn new(client: Client, request: ScanRequest) -> Self {
        Self { client, request, watched: None }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The request that resumes from a checkpoint.
    pub(crate) fn resume(&self, checkpoint: &Checkpoint) -> Resume {
        let mut resume = checkpoint.request(&self.request);
        resume.request.mark_every = resume.request.mark_every.or(Some(MARK_EVERY));
        resume
    }

    /// Uploads the watch set of a request, unless the last one is the same.
    pub(crate) async fn upload(&mut self, resume: &Resume) -> Result<WatchSet, CallError> {
        let request = &resume.request;
        let is_same = |it: &&Watched| it.keychains == request.keychains && it.outpoints == request.outpoints;
        if let Some(watched) = self.watched.as_ref().filter(is_same) {
            return Ok(watched.set.clone());
        }
        // The old set is freed on the server first: it counts against the connection's limits.
        self.watched = None;
        let set = self.client.watch(request.clone()).await?;
        let (keychains, outpoints) = (request.keychains.clone(), request.outpoints.clone());
        self.watched = Some(Watched { keychains, outpoints, set: set.clone() });
        Ok(set)
    }

    /// Starts a scan.
    pub(crate) async fn start(&mut self, resume: Resume) -> Result<ResumedScan, CallError> {
        let set = self.upload(&resume).await?;
        let stream = set.scan_as(&resume.request).await?;
        Ok(ResumedScan { stream, resume })
    }
}

/// A running scan.
pub(crate) struct ResumedScan {
    stream: ScanStream,
    resume: Resume,
}

impl ResumedScan {
    pub(crate) fn handle(&self) -> ScanHandle {
        self.stream.handle()
    }

    /// The next event, up to the summary.
    pub(crate) async fn next(&mut self) -> Result<ScanEvent, ScanError> {
        match self.stream.next().await.ok_or(CallError::Ended)?? {
            ScanEvent::Report(mut report) => {
                self.resume.restore_origins(&mut report);
                Ok(ScanEvent::Report(report))
            }
            ScanEvent::Coin(_) => Err(CallError::protocol("received a coin, asked for history").into()),
            event => Ok(event),
        }
    }

    /// The stream, for as long as its handles are to answer.
    pub(crate) fn into_stream(self) -> ScanStream {
        self.stream
    }
}

/// Whether a scan was refused because the block that it resumes from is no longer in the active chain.
pub(crate) fn is_not_in_chain(error: &ScanError) -> bool {
    matches!(error, ScanError::Refused(refusal) if refusal.reason == RefusalReason::NotInChain)
}

/// The highest known block below a height that is in the active chain. A summary of a reorganised scan voids everything from
/// that height on, even if the chain has returned to it since.
pub(crate) async fn locate_below(
    client: &Client,
    mut known: Vec<BlockHash>,
    height: Height,
) -> Result<Option<BlockId>, CallError> {
    while !known.is_empty() {
        let Some(found) = client.locate(known.clone()).await? else { return Ok(None) };
        if found.height < height {
            return Ok(Some(found));
        }
        let position = known.iter().position(|hash| *hash == found.hash);
        known.drain(..=position.unwrap_or(0));
    }
    Ok(None)
}
