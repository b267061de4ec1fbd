//! Batches on their way to a wallet.
//!
//! Small first: the first item leaves at once, so a wallet has something to show early; later items share messages. A
//! partial batch leaves once it is [`BATCH_AGE_MAX`] old. `put` waits for room in the wallet's window. That wait is all
//! the back-pressure: no worker ever waits for a wallet.

use std::time::Duration;

use capnp::capability::Promise;
use rescan_core::position::Height;
use tokio::time::{Instant, sleep_until, timeout};

use crate::session::scan::item_stream::{ItemEncoding, Sent};

/// The time for which a batch waits for more items. Long compared with the cost of a message, short for a person.
const BATCH_AGE_MAX: Duration = Duration::from_millis(100);

/// The largest item that is sent, in bytes: half of the default limit of Cap'n Proto readers for one message. A larger
/// item would cost the wallet its connection. The report of a block comes near only if a watch set has one script very
/// many times, and very many outputs of the block pay it.
const ITEM_BYTES_MAX: usize = 32 << 20;

/// The open batch, and its destination.
pub(crate) struct Outbox<S, T: 'static> {
    sink: S,
    encoding: ItemEncoding<S, T>,
    stalled_after: Duration,
    batch: Vec<T>,
    bytes: usize,
    /// The time at which the batch leaves at the latest; none while it is empty.
    due: Option<Instant>,
    /// The height of the last item that was sent.
    sent_through: Option<Height>,
}

/// A failure to send.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The wallet made no room in time; its scan is to be cancelled.
    Stalled,
    /// The wallet's sink failed, or the wallet disconnected.
    Disconnected(capnp::Error),
    /// The item of one block exceeds the size of a message.
    TooLarge {
        /// The height of the block.
        height: Height,
        /// The approximate size of the item.
        bytes: usize,
    },
}

impl<S: Clone, T> Outbox<S, T> {
    pub(crate) fn new(sink: S, encoding: ItemEncoding<S, T>, stalled_after: Duration) -> Self {
        Self { sink, encoding, stalled_after, batch: Vec::new(), bytes: 0, due: None, sent_through: None }
    }

    /// An empty outbox to the same sink, for another kind of item.
    pub(crate) fn with_encoding<U>(&self, encoding: ItemEncoding<S, U>) -> Outbox<S, U> {
        Outbox::new(self.sink.clone(), encoding, self.stalled_after)
    }

    /// The height up to which all items have been sent.
    pub(crate) fn sent_through(&self) -> Option<Height> {
        self.sent_through
    }

    /// Adds an item, and sends the batch if it is full.
    pub(crate) async fn put(&mut self, item: T) -> Result<(), SendError> {
        let bytes = (self.encoding.bytes)(&item);
        if bytes > ITEM_BYTES_MAX {
            self.flush().await?;
            return Err(SendError::TooLarge { height: (self.encoding.height)(&item), bytes });
        }
        let batch_bytes_max = self.encoding.batch_bytes_max;
        if !self.batch.is_empty() && self.bytes.saturating_add(bytes) > batch_bytes_max {
            self.flush().await?;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.batch.push(item);
        self.due.get_or_insert_with(|| Instant::now() + BATCH_AGE_MAX);
        if self.sent_through.is_none() || self.bytes >= batch_bytes_max {
            self.flush().await?;
        }
        Ok(())
    }

    /// Waits until the batch has to leave; forever while it is empty.
    pub(crate) async fn due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Sends the batch, then another message to the sink.
    pub(crate) async fn send_after_batch(&mut self, send: impl FnOnce(&S) -> Sent) -> Result<(), SendError> {
        self.flush().await?;
        let room = send(&self.sink).map_err(SendError::Disconnected)?;
        self.wait_for(room).await
    }

    /// Sends the batch, and waits until there is room for another.
    pub(crate) async fn flush(&mut self) -> Result<(), SendError> {
        let Some(last) = self.batch.last() else { return Ok(()) };
        let through = (self.encoding.height)(last);
        let room = (self.encoding.send)(&self.sink, &self.batch).map_err(SendError::Disconnected)?;
        // The transport delivers it from here on, with or without room for more.
        self.sent_through = Some(through);
        self.batch.clear();
        self.bytes = 0;
        self.due = None;
        self.wait_for(room).await
    }

    async fn wait_for(&self, room: Promise<(), capnp::Error>) -> Result<(), SendError> {
        match timeout(self.stalled_after, room).await {
            Ok(completed) => completed.map_err(SendError::Disconnected),
            Err(_elapsed) => Err(SendError::Stalled),
        }
    }
}
