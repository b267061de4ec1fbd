//! A watch set on the server, for any number of scans.

use std::time::Instant;

use rescan_core::report::{Phase, Progress};
use rescan_core::request::RangeRequest;
use tokio::sync::{mpsc, oneshot, watch};

use super::stream::{self, ScanStream};
use super::task::{self, Order, Request, ScanOptions};
use crate::connection::Connection;
use crate::error::{CallError, ScanError};
use crate::request::ScanRequest;

/// Requests on their way to the task, which takes each at once.
const REQUESTS_MAX: usize = 4;

/// A watch set on the server: uploaded and compiled once, scanned any number of times, one scan after the other or several
/// at once.
///
/// [`Client::watch`](crate::Client::watch) makes it. Dropping the last clone frees it on the server; running scans continue.
#[derive(Clone, Debug)]
pub struct WatchSet {
    connection: Connection,
    requests: mpsc::Sender<Request>,
    /// None until the server has compiled or refused it.
    compiled: watch::Receiver<Option<Result<(), ScanError>>>,
    options: ScanOptions,
}

impl WatchSet {
    /// Starts the upload.
    pub(crate) async fn send(connection: &Connection, request: ScanRequest) -> Result<Self, CallError> {
        let (requests, waiting) = mpsc::channel(REQUESTS_MAX);
        let (done, compiled) = watch::channel(None);
        let options = ScanOptions::of(&request);
        connection.spawn(move |rescan| task::watch(rescan, request, done, waiting)).await?;
        Ok(Self { connection: connection.clone(), requests, compiled, options })
    }

    /// Waits until the server has compiled the watch set: a scan started later begins to walk at once.
    ///
    /// # Errors
    ///
    /// [`ScanError::Refused`] for the first entry that cannot be watched; [`ScanError::Call`] if the upload failed. Each
    /// scan of the set would fail with the same error.
    pub async fn ready(&self) -> Result<(), ScanError> {
        let mut compiled = self.compiled.clone();
        match compiled.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Ok(())),
            Err(_task_gone) => Err(CallError::thread_gone().into()),
        }
    }

    /// Returns how many scripts the server has derived, and of how many: the phase is [`Phase::Deriving`], and
    /// [`Phase::Done`] once the set is compiled. An older server does not count them.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the connection is gone.
    pub async fn progress(&self) -> Result<Progress, CallError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Progress(reply)).await.map_err(|_request| CallError::thread_gone())?;
        let progress = answer.await.unwrap_or_else(|_task_gone| Err(CallError::thread_gone()))?;
        let is_compiled = matches!(&*self.compiled.borrow(), Some(Ok(())));
        Ok(if is_compiled { Progress { phase: Phase::Done, ..progress } } else { progress })
    }

    /// Scans a range for the set, with the options of the request that it was made from. It does not wait for
    /// [`ready`](Self::ready): the scan starts once the set is compiled.
    ///
    /// # Errors
    ///
    /// [`CallError::Disconnected`] if the connection's thread has ended.
    pub async fn scan(&self, range: RangeRequest) -> Result<ScanStream, CallError> {
        self.scan_with(self.options.clone().range(range), Instant::now()).await
    }

    /// Scans as a request asks that watches the same.
    pub(crate) async fn scan_as(&self, request: &ScanRequest) -> Result<ScanStream, CallError> {
        self.scan_with(ScanOptions::of(request), Instant::now()).await
    }

    /// Uploads a request's entries and scans for them once. The scan's times include the upload, even where the server has
    /// compiled the set before the scan's order arrives.
    pub(crate) async fn scan_once(connection: &Connection, request: ScanRequest) -> Result<ScanStream, CallError> {
        let ordered = Instant::now();
        let set = Self::send(connection, request).await?;
        set.scan_with(set.options.clone(), ordered).await
    }

    async fn scan_with(&self, options: ScanOptions, ordered: Instant) -> Result<ScanStream, CallError> {
        let (inflow, pipe) = stream::open(&self.connection);
        let sent = self.requests.send(Request::Scan(Order { options, pipe, ordered })).await;
        sent.map_err(|_order| CallError::thread_gone())?;
        Ok(ScanStream::new(inflow))
    }
}
