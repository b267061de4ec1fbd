//! Whole blocks as the server sends them.

use futures::StreamExt;
use rescan_client::{BlockEvent, BlockStream, CallError, Client, ScanError};
use rescan_core::report::{FullBlock, Summary};

use super::PinnedBlocks;
use crate::error::CompareError;

/// Bytes of blocks between two yields to other tasks, Ctrl-C among them: some tens of milliseconds
/// of work.
const BYTES_PER_TURN: usize = 4 << 20;

/// The pinned blocks in chain order, with a yield now and then.
pub(crate) struct Shipment {
    stream: BlockStream,
    bytes_since_yield: usize,
}

/// A block, or the shipment's end.
pub(crate) enum ShipmentEvent {
    Block(FullBlock),
    End(Box<Summary>),
}

impl Shipment {
    /// Requests the blocks.
    pub(crate) async fn begin(client: &Client, pinned: PinnedBlocks) -> Result<Self, CompareError> {
        Ok(Self { stream: client.blocks(pinned.request()).await?, bytes_since_yield: 0 })
    }

    pub(crate) async fn next(&mut self) -> Result<ShipmentEvent, CompareError> {
        if self.bytes_since_yield > BYTES_PER_TURN {
            self.bytes_since_yield = 0;
            tokio::task::yield_now().await;
        }
        match self.stream.next().await.transpose()? {
            Some(BlockEvent::Block(block)) => {
                self.bytes_since_yield = self.bytes_since_yield.saturating_add(block.data.len());
                Ok(ShipmentEvent::Block(block))
            }
            Some(BlockEvent::Finished(summary)) => Ok(ShipmentEvent::End(Box::new(summary))),
            // An event of a newer library is neither; no event at all is a stream that ended early.
            _ => Err(missing_summary()),
        }
    }
}

/// The error for a stream that ends with neither summary nor error.
pub(crate) fn missing_summary() -> CompareError {
    ScanError::Call(CallError::Protocol { detail: "a stream ended without a summary".to_owned() }).into()
}
