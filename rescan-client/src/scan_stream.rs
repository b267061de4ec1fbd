//! A running scan, as a wallet holds it: a stream of typed events.
//!
//! Between the connection's thread and the stream lies a channel of a few batches. When it is full, the server's call
//! waits, and with it, through the protocol's flow control, the scan: nothing is buffered without bound.
//!
//! Dropping a stream drops the server's scan.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use rescan_core::coins::Coin;
use rescan_core::position::Height;
use rescan_core::report::{BlockId, BlockReport, FullBlock, Progress, ResumePoint, Summary};
use tokio::sync::{mpsc, oneshot};

use crate::connection::Connection;
use crate::error::{CallError, ScanError};

/// Batches that wait between the connection's thread and the stream: one being taken, one ready. A batch has up to
/// 64 KiB of reports or coins or about 1 MiB of blocks (at least one); more would only cost memory.
const BATCHES_MAX: usize = 2;

/// Questions about one scan on their way. Each asker waits for its answer, so this bounds nothing but a burst.
const CONTROLS_MAX: usize = 8;

/// Something that happened in a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScanEvent {
    /// A block that touches the watch set. They come in chain order, but for those that are late: see
    /// [`history`](rescan_core::history), which puts them together.
    Report(BlockReport),
    /// A coin that is unspent at the end of the range, where coins were asked for. They come by height, index in block and
    /// output, when the scan is done.
    Coin(Coin),
    /// Everything up to a block was reported for the indexes that the mark names, where marks were asked for: what came
    /// before it and the mark together are a state to go on from.
    Settled(ResumePoint),
    /// The scan came to its end; nothing follows. The times in the summary are the wallet's: upload and derivation of the
    /// watch set are added to what the server measured.
    Finished(Summary),
}

/// Something that happened in a shipment of blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockEvent {
    /// A block. They come in height order, each height of the range once.
    Block(FullBlock),
    /// The shipment came to its end; nothing follows.
    Finished(Summary),
}

/// A running scan. Dropping it is giving the scan up.
///
/// The stream ends after [`ScanEvent::Finished`], or after an error, which comes at most once.
#[derive(Debug)]
pub struct ScanStream(Inflow<ScanEvent>);

/// A running shipment of whole blocks. Dropping it is giving it up.
///
/// The stream ends after [`BlockEvent::Finished`], or after an error, which comes at most once.
#[derive(Debug)]
pub struct BlockStream(Inflow<BlockEvent>);

/// A scan whose watch set is on the server, or on its way there, and that waits to be started.
#[derive(Debug)]
pub struct PreparedScan {
    stream: ScanStream,
    /// None once it was heard.
    sealed: Option<oneshot::Receiver<()>>,
    start: oneshot::Sender<()>,
}

impl PreparedScan {
    pub(crate) fn new(stream: ScanStream, sealed: oneshot::Receiver<()>, start: oneshot::Sender<()>) -> Self {
        Self { stream, sealed: Some(sealed), start }
    }

    /// Waits until the watch set is sealed, or it is known that it cannot be; what went wrong comes through the stream.
    pub async fn ready(&mut self) {
        if let Some(sealed) = &mut self.sealed {
            let _sealed_or_failed = sealed.await;
        }
        self.sealed = None;
    }

    /// Starts the scan, as soon as its watch set is sealed.
    #[must_use]
    pub fn start(self) -> ScanStream {
        // The task that has ended already told the stream why.
        let _task_gone = self.start.send(());
        self.stream
    }
}

macro_rules! shared_by_both_streams {
    ($stream:ident, $event:ident) => {
        impl $stream {
            pub(crate) fn new(inflow: Inflow<$event>) -> Self {
                Self(inflow)
            }

            /// A handle to ask about the scan and to end it, while another owner reads the stream.
            #[must_use]
            pub fn handle(&self) -> ScanHandle {
                self.0.handle.clone()
            }

            /// How far it is.
            ///
            /// # Errors
            ///
            /// [`CallError`] if the scan failed or the connection is gone.
            pub async fn progress(&self) -> Result<Progress, CallError> {
                self.0.handle.progress().await
            }

            /// Asks it to end early. The stream goes on to its summary, with the outcome `cancelled`; a scan that was
            /// done already keeps its own.
            ///
            /// # Errors
            ///
            /// [`CallError`] if the scan failed or the connection is gone.
            pub async fn cancel(&self) -> Result<(), CallError> {
                self.0.handle.cancel().await
            }

            /// What was read from the connection's socket since it was connected, in bytes; other streams of the same
            /// connection included.
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

/// Asks about a scan and ends it. It does not keep the scan alive: only its stream does.
#[derive(Clone, Debug)]
pub struct ScanHandle {
    controls: mpsc::Sender<Control>,
}

impl ScanHandle {
    /// How far the scan is.
    ///
    /// # Errors
    ///
    /// [`CallError::Ended`] if its stream is gone; else as [`ScanStream::progress`].
    pub async fn progress(&self) -> Result<Progress, CallError> {
        self.ask(Control::Progress).await
    }

    /// Asks the scan to end early.
    ///
    /// # Errors
    ///
    /// [`CallError::Ended`] if its stream is gone; else as [`ScanStream::cancel`].
    pub async fn cancel(&self) -> Result<(), CallError> {
        self.ask(Control::Cancel).await
    }

    /// Hash and time of blocks of the chain that the scan is pinned to, in the order of `heights`; none for a height
    /// outside it. At most 4,096 heights a call. Waits until the scan has begun, and answers after its end too.
    ///
    /// # Errors
    ///
    /// [`CallError::Ended`] if its stream is gone, [`CallError::Protocol`] if the server would not have the list.
    pub async fn block_ids(&self, heights: Vec<Height>) -> Result<Vec<Option<BlockId>>, CallError> {
        self.ask(|reply| Control::BlockIds(heights, reply)).await
    }

    async fn ask<T>(&self, control: impl FnOnce(Reply<T>) -> Control) -> Result<T, CallError> {
        let (reply, answer) = oneshot::channel();
        self.controls.send(control(reply)).await.map_err(|_control| CallError::Ended)?;
        answer.await.unwrap_or(Err(CallError::Ended))
    }
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, CallError>>;

/// A question to the task that holds the scan's capability.
pub(crate) enum Control {
    Progress(Reply<Progress>),
    Cancel(Reply<()>),
    BlockIds(Vec<Height>, Reply<Vec<Option<BlockId>>>),
}

/// What crosses from the connection's thread.
pub(crate) enum Delivery<T> {
    Batch(Vec<T>),
    End(Result<Summary, ScanError>),
}

/// The thread's end of a scan.
pub(crate) struct Pipe<T> {
    pub(crate) deliveries: mpsc::Sender<Delivery<T>>,
    pub(crate) controls: mpsc::Receiver<Control>,
    /// Resolves when the stream is dropped.
    pub(crate) abandoned: oneshot::Receiver<()>,
}

/// The wallet's end of a scan.
#[derive(Debug)]
pub(crate) struct Inflow<T> {
    arrived: VecDeque<T>,
    deliveries: mpsc::Receiver<Delivery<T>>,
    handle: ScanHandle,
    connection: Connection,
    ended: bool,
    /// Dropped with the stream: the task sees that and lets go of the capability.
    _abandon: oneshot::Sender<()>,
}

/// Both ends of a scan on `connection`, which stays open as long as the wallet's end lives.
pub(crate) fn open<T>(connection: &Connection) -> (Inflow<T>, Pipe<T>) {
    let (deliver, deliveries) = mpsc::channel(BATCHES_MAX);
    let (control, controls) = mpsc::channel(CONTROLS_MAX);
    let (abandon, abandoned) = oneshot::channel();
    let inflow = Inflow {
        arrived: VecDeque::new(),
        deliveries,
        handle: ScanHandle { controls: control },
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
            if let Some(item) = self.arrived.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(self.deliveries.poll_recv(cx)) {
                Some(Delivery::Batch(batch)) => self.arrived = batch.into(),
                Some(Delivery::End(end)) => {
                    self.ended = true;
                    return Poll::Ready(Some(end.map(finished)));
                }
                // The task says how it ended, whatever happens, unless the whole thread went.
                None => {
                    self.ended = true;
                    let reason = "its thread has ended".to_owned();
                    return Poll::Ready(Some(Err(CallError::Disconnected { reason }.into())));
                }
            }
        }
    }
}
