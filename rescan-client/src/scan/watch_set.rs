//! A watch set on the server, for any number of scans.

use std::time::Instant;

use rescan_core::request::RangeRequest;
use tokio::sync::{mpsc, watch};

use super::stream::{self, ScanStream};
use super::task::{self, Order, ScanOptions};
use crate::connection::Connection;
use crate::error::{CallError, ScanError};
use crate::request::ScanRequest;

/// Scans on their way to the task, which takes each at once.
const ORDERS_MAX: usize = 4;

/// A watch set on the server: uploaded and compiled once, scanned any number of times, one scan after the other or several
/// at once.
///
/// [`Client::watch`](crate::Client::watch) makes it. Dropping the last clone frees it on the server; running scans continue.
#[derive(Clone, Debug)]
pub struct WatchSet {
    connection: Connection,
    orders: mpsc::Sender<Order>,
    /// None until the server has compiled or refused it.
    compiled: watch::Receiver<Option<Result<(), ScanError>>>,
    options: ScanOptions,
}

impl WatchSet {
    /// Starts the upload.
    pub(crate) async fn send(connection: &Connection, request: ScanRequest) -> Result<Self, CallError> {
        let (orders, waiting) = mpsc::channel(ORDERS_MAX);
        let (done, compiled) = watch::channel(None);
        let options = ScanOptions::of(&request);
        connection.spawn(move |rescan| task::watch(rescan, request, done, waiting)).await?;
        Ok(Self { connection: connection.clone(), orders, compiled, options })
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
        let sent = self.orders.send(Order { options, pipe, ordered }).await;
        sent.map_err(|_order| CallError::thread_gone())?;
        Ok(ScanStream::new(inflow))
    }
}
