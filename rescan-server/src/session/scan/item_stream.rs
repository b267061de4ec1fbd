//! The one interface between a scan and the wallet's sink: a stream of items, and their encoding.

use std::sync::Arc;

use capnp::capability::Promise;
use rescan_core::position::Height;
use rescan_core::report::{Ending, Failure, Outcome, ResumePoint};

use crate::scan::{ScanProgress, ScanTotals};
use crate::session::scan::outbox::{Outbox, SendError};

/// A message on its way, or the error of its encoding. Each sender documents the completion of the promise.
pub(crate) type Sent = capnp::Result<Promise<(), capnp::Error>>;

/// A source of items, and the kind of sink that takes them.
pub(crate) trait ItemStream: Sized + 'static {
    type Item: 'static;
    /// The wallet's capability that takes the items.
    type Sink: Clone + 'static;

    const ENCODING: ItemEncoding<Self::Sink, Self::Item>;

    /// The items of the next settled segment in chain order, possibly none. `None` at the end of the stream.
    ///
    /// # Errors
    /// [`Failure`] for corrupt data, an I/O error, or a defect.
    async fn next(&mut self) -> Result<Option<Vec<Self::Item>>, Failure>;

    fn progress(&self) -> Arc<ScanProgress>;

    /// The outcome; none before the end.
    fn outcome(&self) -> Option<Outcome>;

    /// The last settled height.
    fn settled(&self) -> Option<Height>;

    /// The totals so far.
    fn totals(&self) -> ScanTotals;

    /// The number of scripts that are watched at the moment.
    fn scripts(&self) -> u64 {
        0
    }

    /// Whether every item up to the last settled height was yielded. A wallet can resume only from such a height.
    fn is_caught_up(&self) -> bool {
        true
    }

    /// Sends the items that are known only at the outcome.
    async fn finish(&self, _outbox: &Outbox<Self::Sink, Self::Item>) -> Result<(), DeliveryError> {
        Ok(())
    }

    /// Sends the ending. The promise completes once the wallet has taken it and everything before it.
    ///
    /// # Errors
    /// If the ending cannot be encoded.
    fn send_done(sink: &Self::Sink, ending: &Ending) -> Sent;

    /// Sends a progress mark. No-op for sinks without one.
    ///
    /// # Errors
    /// If the mark cannot be encoded.
    fn send_mark(_sink: &Self::Sink, _mark: &ResumePoint) -> Sent {
        Ok(Promise::ok(()))
    }
}

/// The encoding of one kind of item for one kind of sink.
pub(crate) struct ItemEncoding<S, T> {
    /// A batch closes before it would exceed this, in bytes; a single item may be larger.
    pub(crate) batch_bytes_max: usize,
    pub(crate) height: fn(&T) -> Height,
    /// The approximate size of an item in a message, in bytes.
    pub(crate) bytes: fn(&T) -> usize,
    /// Sends a batch. The promise completes once there is room for another. An error of the wallet shows with a later
    /// call.
    pub(crate) send: fn(&S, &[T]) -> Sent,
}

/// The end of a delivery without an outcome.
pub(crate) enum DeliveryError {
    Send(SendError),
    Failed(Failure),
}

impl From<SendError> for DeliveryError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}
