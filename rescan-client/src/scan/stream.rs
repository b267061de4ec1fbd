//! A running scan in the wallet's hands: a stream of typed events.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use rescan_core::coins::Coin;
use rescan_core::report::{BlockReport, FullBlock, Progress, ResumePoint, Summary};
use rescan_core::request::RangeRequest;
use tokio::sync::{mpsc, oneshot};

use super::handle::{Control, ScanHandle};
use super::task;
use crate::connection::Connection;
use crate::error::{CallError, ScanError};

/// Batches between the connection's thread and the stream: one being read, one ready. A batch has up to 64 KiB of reports or
/// coins or about 1 MiB of blocks (at least one); more would only cost memory.
const BATCHES_MAX: usize = 2;

/// Questions about one scan on their way. Each caller waits for its answer, so this bounds nothing but a burst.
const CONTROLS_MAX: usize = 8;

/// An event of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScanEvent {
    /// A block that touches the watch set, in chain order. Late reports are the exception:
    /// [`History`](rescan_core::history::History) sorts them in.
    Report(BlockReport),
    /// A coin that is unspent at the end of the range, if [`ScanRequest::coins`](crate::ScanRequest::coins) asked for coins.
    /// Sorted by height, index in block and output; sent when the scan is done.
    Coin(Coin),
    /// Everything up to a block was reported, for the indexes that the mark names, if
    /// [`ScanRequest::mark_every`](crate::ScanRequest::mark_every) asked for marks. A later scan can resume from here.
    Settled(ResumePoint),
    /// The end of the scan; nothing follows. The times in the summary are the wallet's: the upload and the derivation of the
    /// watch set are added to the server's own.
    Finished(Summary),
}

/// An event of a shipment of blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockEvent {
    /// A block. They come in height order, each height of the range once.
    Block(FullBlock),
    /// The end of the shipment; nothing follows.
    Finished(Summary),
}

/// A running scan. Dropping it stops the scan on the server.
///
/// The stream ends after [`ScanEvent::Finished`], or after an error, which comes at most once.
#[derive(Debug)]
pub struct ScanStream(Inflow<ScanEvent>);

/// A running shipment of whole blocks. Dropping it stops the shipment on the server.
///
/// The stream ends after [`BlockEvent::Finished`], or after an error, which comes at most once.
#[derive(Debug)]
pub struct BlockStream(Inflow<BlockEvent>);

macro_rules! shared_by_both_streams {
    ($stream:ident, $event:ident) => {
        impl $stream {
            pub(super) fn new(inflow: Inflow<$event>) -> Self {
                Self(inflow)
            }

            /// Returns a handle that asks about the scan and cancels it, while another owner reads the stream.
            #[must_use]
            pub fn handle(&self) -> ScanHandle {
                self.0.handle.clone()
            }

            /// Returns the scan's progress.
            ///
            /// # Errors
            ///
            /// [`CallError`] if the scan failed or the connection is gone.
            pub async fn progress(&self) -> Result<Progress, CallError> {
                self.0.handle.progress().await
            }

            /// Asks the scan to end early. The stream continues to its summary, with the outcome `cancelled`; a scan that
            /// was done already keeps its own.
            ///
            /// # Errors
            ///
            /// [`CallError`] if the scan failed or the connection is gone.
            pub async fn cancel(&self) -> Result<(), CallError> {
                self.0.handle.cancel().await
            }

            /// Bytes that the connection has received since it was made, those of its other streams included.
            #[must_use]
            pub fn bytes_received(&self) -> u64 {
                self.0.connection.traffic().received.bytes
            }
        }

        impl Stream for $stream {
            type Item = Result<$event, ScanError>;

            fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                self.0.poll_next($event::Finished, cx)
            }
        }
    };
}

shared_by_both_streams!(ScanStream, ScanEvent);
shared_by_both_streams!(BlockStream, BlockEvent);

/// Starts a shipment of blocks.
pub(crate) async fn blocks(connection: &Connection, range: RangeRequest) -> Result<BlockStream, CallError> {
    let (inflow, pipe) = open(connection);
    connection.spawn(move |rescan| task::blocks(rescan, range, pipe)).await?;
    Ok(BlockStream::new(inflow))
}

/// A message from the connection's thread.
pub(super) enum Delivery<T> {
    Batch(Vec<T>),
    End(Result<Summary, ScanError>),
}

/// The thread's end of a scan.
pub(super) struct Pipe<T> {
    pub(super) deliveries: mpsc::Sender<Delivery<T>>,
    pub(super) controls: mpsc::Receiver<Control>,
    /// Resolves when the stream is dropped.
    pub(super) abandoned: oneshot::Receiver<()>,
}

/// The wallet's end of a scan.
#[derive(Debug)]
pub(super) struct Inflow<T> {
    received: VecDeque<T>,
    deliveries: mpsc::Receiver<Delivery<T>>,
    handle: ScanHandle,
    connection: Connection,
    ended: bool,
    /// Dropped with the stream: the task then drops the scan's capability.
    _abandon: oneshot::Sender<()>,
}

/// Returns both ends of a scan on `connection`, which stays open as long as the wallet's end lives.
pub(super) fn open<T>(connection: &Connection) -> (Inflow<T>, Pipe<T>) {
    let (deliver, deliveries) = mpsc::channel(BATCHES_MAX);
    let (control, controls) = mpsc::channel(CONTROLS_MAX);
    let (abandon, abandoned) = oneshot::channel();
    let inflow = Inflow {
        received: VecDeque::new(),
        deliveries,
        handle: ScanHandle::new(control),
        connection: connection.clone(),
        ended: false,
        _abandon: abandon,
    };
    (inflow, Pipe { deliveries: deliver, controls, abandoned })
}

impl<T> Inflow<T> {
    fn poll_next(
        &mut self,
        finished: impl FnOnce(Summary) -> T,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, ScanError>>> {
        loop {
            if let Some(item) = self.received.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(self.deliveries.poll_recv(cx)) {
                Some(Delivery::Batch(batch)) => self.received = batch.into(),
                Some(Delivery::End(end)) => {
                    self.ended = true;
                    return Poll::Ready(Some(end.map(finished)));
                }
                // The task always sends an end, unless its whole thread has ended.
                None => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(CallError::thread_gone().into())));
                }
            }
        }
    }
}
