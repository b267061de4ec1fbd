//! The client for callers without an async runtime: each call blocks its thread, each stream is an iterator.
//!
//! It wraps the async [`Client`](crate::Client). Do not call it from a task of a runtime: it would block the runtime's thread.
//!
//! ```no_run
//! use rescan_client::blocking::Client;
//! use rescan_client::{ScanEvent, ScanRequest};
//!
//! # fn history(descriptor: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("/home/satoshi/.bitcoin/rescan.sock")?;
//! for event in client.scan(ScanRequest::new().keychain(descriptor))? {
//!     match event? {
//!         ScanEvent::Report(block) => println!("{} transactions at {}", block.transactions.len(), block.height),
//!         ScanEvent::Finished(summary) => println!("{} unspent", summary.unspent),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use bitcoin::BlockHash;
use futures::{Stream, StreamExt};
use rescan_core::report::BlockId;
use rescan_core::request::RangeRequest;
use rescan_core::server_info::ServerInfo;

use crate::checkpoint::{Checkpoint, ResumeError};
use crate::error::{CallError, ConnectError};
use crate::follow::Follower;
use crate::request::ScanRequest;
use crate::resume::ResumableScan;
use crate::scan::{BlockStream, ScanStream};

/// A connection to a rescan server, as [`crate::Client`].
#[derive(Clone, Debug)]
pub struct Client {
    inner: crate::Client,
}

impl Client {
    /// As [`crate::Client::connect`].
    ///
    /// # Errors
    ///
    /// See there.
    pub fn connect(path: impl AsRef<Path>) -> Result<Self, ConnectError> {
        block_on(crate::Client::connect(path)).map(Self::from)
    }

    /// As [`crate::Client::server_info`].
    #[must_use]
    pub fn server_info(&self) -> &ServerInfo {
        self.inner.server_info()
    }

    /// As [`crate::Client::info`].
    ///
    /// # Errors
    ///
    /// See there.
    pub fn info(&self) -> Result<ServerInfo, CallError> {
        block_on(self.inner.info())
    }

    /// As [`crate::Client::scan`].
    ///
    /// # Errors
    ///
    /// See there.
    pub fn scan(&self, request: ScanRequest) -> Result<Events<ScanStream>, CallError> {
        block_on(self.inner.scan(request)).map(Events)
    }

    /// As [`crate::Client::blocks`].
    ///
    /// # Errors
    ///
    /// See there.
    pub fn blocks(&self, range: RangeRequest) -> Result<Events<BlockStream>, CallError> {
        block_on(self.inner.blocks(range)).map(Events)
    }

    /// As [`crate::Client::locate`].
    ///
    /// # Errors
    ///
    /// See there.
    pub fn locate(&self, hashes: Vec<BlockHash>) -> Result<Option<BlockId>, CallError> {
        block_on(self.inner.locate(hashes))
    }

    /// As [`crate::Client::wait_tip`].
    ///
    /// # Errors
    ///
    /// See there.
    pub fn wait_tip(&self, known: Option<BlockHash>, timeout: Duration) -> Result<Option<BlockId>, CallError> {
        block_on(self.inner.wait_tip(known, timeout))
    }

    /// As [`crate::Client::resume`].
    ///
    /// # Errors
    ///
    /// See there.
    pub fn resume(&self, request: ScanRequest, checkpoint: Checkpoint) -> Result<Events<ResumableScan>, ResumeError> {
        self.inner.resume(request, checkpoint).map(Events)
    }

    /// As [`crate::Client::follow`].
    ///
    /// # Errors
    ///
    /// See there.
    pub fn follow(&self, request: ScanRequest, checkpoint: Checkpoint) -> Result<Events<Follower>, ResumeError> {
        self.inner.follow(request, checkpoint).map(Events)
    }
}

impl From<crate::Client> for Client {
    fn from(inner: crate::Client) -> Self {
        Self { inner }
    }
}

/// A stream as an iterator: it blocks until the next event. Dropping it drops the stream.
#[derive(Debug)]
pub struct Events<S>(S);

impl<S> Events<S> {
    /// The stream, for its other methods: a [`ScanStream::handle`] cancels a scan from another thread,
    /// [`ResumableScan::checkpoint`] is to be saved.
    pub fn stream(&self) -> &S {
        &self.0
    }

    /// The stream to be changed, as by [`Follower::reconnect`].
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.0
    }
}

impl<S: Stream + Unpin> Iterator for Events<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next())
    }
}

/// Wakes the thread that waits in [`block_on`].
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future of this library on the calling thread. All of them wait for channels alone: their timers and sockets are on
/// the connection's own thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
