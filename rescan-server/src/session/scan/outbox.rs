//! Batches on their way to a wallet.
//!
//! Small first: the first piece leaves at once, so that a wallet has something to show; later ones share messages. A
//! batch that is not full leaves when it is [`BATCH_AGE_MAX`] old. Whoever puts something in waits until there is room
//! in the wallet's window, and that wait is all the back-pressure there is: no worker ever waits for a wallet.

use std::time::Duration;

use capnp::capability::Promise;
use rescan_core::position::Height;
use rescan_core::report::ResumePoint;
use tokio::time::{Instant, sleep_until, timeout};

use crate::session::scan::cargo::Cargo;

/// How long a batch waits for more. Long against the cost of a message, short against a person's patience.
const BATCH_AGE_MAX: Duration = Duration::from_millis(100);

/// The largest piece that is sent, in bytes: half of what Cap'n Proto readers take in one message unless told
/// otherwise. A larger one would cost the wallet its connection. A block's report comes near it only where very many
/// entries of the watch set are one script, and very many outputs of the block pay it.
const PIECE_BYTES_MAX: usize = 32 << 20;

/// A batch that is being filled, and where it goes.
pub(crate) struct Outbox<C: Cargo> {
    sink: C::Sink,
    stalled_after: Duration,
    batch: Vec<C>,
    bytes: usize,
    /// When the batch leaves at the latest; none while it is empty.
    due: Option<Instant>,
    /// The height of the last piece that was sent.
    sent_through: Option<Height>,
    height_of: fn(&C) -> Height,
}

/// Why nothing more can be sent.
#[derive(Debug)]
pub(crate) enum Blocked {
    /// The wallet made no room for so long that its scan is to be cancelled.
    Stalled,
    /// The wallet's sink failed, or the wallet is gone.
    Gone(capnp::Error),
    /// No message can carry what one block yields.
    TooLarge {
        /// The block's.
        height: Height,
        /// About how much it is.
        bytes: usize,
    },
}

impl<C: Cargo> Outbox<C> {
    pub(crate) fn new(sink: C::Sink, stalled_after: Duration, height_of: fn(&C) -> Height) -> Self {
        Self { sink, stalled_after, batch: Vec::new(), bytes: 0, due: None, sent_through: None, height_of }
    }

    /// The height up to which everything that was put in has been sent.
    pub(crate) fn sent_through(&self) -> Option<Height> {
        self.sent_through
    }

    /// Puts a piece in, and sends what has to be sent.
    pub(crate) async fn put(&mut self, piece: C) -> Result<(), Blocked> {
        let bytes = piece.bytes();
        if bytes > PIECE_BYTES_MAX {
            self.flush().await?;
            return Err(Blocked::TooLarge { height: (self.height_of)(&piece), bytes });
        }
        if !self.batch.is_empty() && self.bytes.saturating_add(bytes) > C::BATCH_BYTES_MAX {
            self.flush().await?;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.batch.push(piece);
        self.due.get_or_insert_with(|| Instant::now() + BATCH_AGE_MAX);
        if self.sent_through.is_none() || self.bytes >= C::BATCH_BYTES_MAX {
            self.flush().await?;
        }
        Ok(())
    }

    /// Waits until the batch has to leave; for ever while it is empty.
    pub(crate) async fn due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Sends the batch, then says that everything up to a block has been sent.
    pub(crate) async fn mark(&mut self, mark: &ResumePoint) -> Result<(), Blocked> {
        self.flush().await?;
        let room = C::mark(&self.sink, mark).map_err(Blocked::Gone)?;
        self.wait_for(room).await
    }

    /// Sends the batch, and waits until there is room for another.
    pub(crate) async fn flush(&mut self) -> Result<(), Blocked> {
        let Some(last) = self.batch.last() else { return Ok(()) };
        let through = (self.height_of)(last);
        let room = C::push(&self.sink, &self.batch).map_err(Blocked::Gone)?;
        // From here on it is the transport's to deliver, whether or not there is room for more.
        self.sent_through = Some(through);
        self.batch.clear();
        self.bytes = 0;
        self.due = None;
        self.wait_for(room).await
    }

    async fn wait_for(&self, room: Promise<(), capnp::Error>) -> Result<(), Blocked> {
        match timeout(self.stalled_after, room).await {
            Ok(kept) => kept.map_err(Blocked::Gone),
            Err(_elapsed) => Err(Blocked::Stalled),
        }
    }
}
