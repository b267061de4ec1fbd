//! The ways to rescan over rescan's own socket, each as a wallet would do it that had no other.
//!
//! All look for the same scripts in the same blocks, with nothing known but the scripts when the clock starts: a coin is
//! watched from the moment in which it is found. Each gives its answer and what it took; nobody judges here.

mod blocks_decoded;
mod blocks_matched;
mod request_per_block;
mod summaries;

pub(crate) use blocks_decoded::DecodingWallet;

use futures::StreamExt;
use rescan_core::report::{FullBlock, Summary};

use super::answer::Answer;
use super::comparison::{Run, WayId};
use super::error::CompareError;
use super::meter::Meter;
use super::pinned::Pinned;
use super::watched::Watched;
use rescan_client::Client;
use rescan_client::{BlockEvent, BlockStream};
use rescan_client::{CallError, ScanError};

/// A way over rescan's own socket, in the order in which a table shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SocketWay {
    Summaries,
    BlocksMatched,
    BlocksDecoded,
    RequestPerBlock,
}

impl SocketWay {
    pub(crate) const ALL: [Self; 4] =
        [Self::Summaries, Self::BlocksMatched, Self::BlocksDecoded, Self::RequestPerBlock];

    /// Its name in a report.
    pub(crate) fn id(self) -> WayId {
        match self {
            Self::Summaries => WayId::Summaries,
            Self::BlocksMatched => WayId::BlocksMatched,
            Self::BlocksDecoded => WayId::BlocksDecoded,
            Self::RequestPerBlock => WayId::RequestPerBlock,
        }
    }

    /// Goes it once.
    ///
    /// # Errors
    /// [`CompareError`] where it does not come to an answer over the pinned blocks.
    pub(crate) async fn go(self, ground: Ground<'_>) -> Result<Gone, CompareError> {
        match self {
            Self::Summaries => summaries::go(ground).await,
            Self::BlocksMatched => blocks_matched::go(ground).await,
            Self::BlocksDecoded => blocks_decoded::go(ground).await,
            Self::RequestPerBlock => request_per_block::go(ground).await,
        }
    }
}

/// What came of going a way once.
pub(crate) enum Gone {
    /// It came to an answer, and took this.
    Came(Run, Answer),
    /// It cannot be gone with this server or for so many scripts, and why.
    LeftOut(String),
}

/// What a way is given: whom it asks, the server or the node, and a meter of that.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'g, Asked = &'g Client> {
    pub(crate) asked: Asked,
    pub(crate) meter: &'g Meter,
    pub(crate) pinned: Pinned,
    pub(crate) watched: &'g Watched,
}

impl WayId {
    /// What a table calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Summaries => "summaries",
            Self::BlocksMatched => "blocks, matched by the wallet",
            Self::BlocksDecoded => "blocks, decoded by the wallet",
            Self::RequestPerBlock => "a request for each block",
            Self::NodeScanBlocks => "the node's scanblocks",
            Self::NodeGetBlock => "the node's getblock",
        }
    }

    /// What it does, and where it is favoured.
    pub(crate) fn explanation(self) -> &'static str {
        match self {
            Self::Summaries => {
                "The server looks through the blocks, proves those that match against their headers, and sends what matched."
            }
            Self::BlocksMatched => {
                "Every block crosses the socket, and the wallet looks through it with the matcher that the server uses; it \
                 proves nothing."
            }
            Self::BlocksDecoded => {
                "Every block crosses the socket, and the wallet decodes it with the bitcoin crate and compares each output \
                 and input. A generous baseline: it hashes only what matches, where wallets today hash every transaction, \
                 and proves nothing."
            }
            Self::RequestPerBlock => {
                "One request after another, one for each block, each with all scripts and the coins known so far; a block \
                 that matches comes back whole, and the wallet looks through it. So the Chain interface proposed for \
                 Bitcoin Core would have it."
            }
            Self::NodeScanBlocks => {
                "The node looks through its block filters for blocks that may match (scanblocks), and says what those hold \
                 (getdescriptoractivity)."
            }
            Self::NodeGetBlock => {
                "The node is asked for one block after another over its RPC (getblock), and the wallet decodes each with the \
                 bitcoin crate and compares."
            }
        }
    }
}

/// Bytes of blocks that are worked on before others get their turn, Ctrl-C among them: some tens of milliseconds.
const BYTES_A_TURN: usize = 4 << 20;

/// Blocks as they arrive, with a pause for others now and then.
pub(crate) struct Shipment {
    stream: BlockStream,
    since_pause: usize,
}

impl Shipment {
    /// Asks for the blocks.
    pub(crate) async fn begin(client: &Client, pinned: Pinned) -> Result<Self, CompareError> {
        Ok(Self { stream: client.blocks(pinned.request()).await?, since_pause: 0 })
    }

    /// The next block, or what the shipment came to.
    pub(crate) async fn next(&mut self) -> Result<Shipped, CompareError> {
        if self.since_pause > BYTES_A_TURN {
            self.since_pause = 0;
            tokio::task::yield_now().await;
        }
        match self.stream.next().await.transpose()? {
            Some(BlockEvent::Block(block)) => {
                self.since_pause = self.since_pause.saturating_add(block.data.len());
                Ok(Shipped::Block(block))
            }
            Some(BlockEvent::Finished(summary)) => Ok(Shipped::End(Box::new(summary))),
            // An event of a newer library is none of these, and none at all is a stream that ended early.
            _ => Err(unsaid()),
        }
    }
}

/// Has every pinned block shipped and looked through by `matches`, which says whether anything in it matched.
async fn look_through_shipment(
    ground: Ground<'_>,
    mut matches: impl FnMut(&FullBlock) -> Result<bool, CompareError>,
) -> Result<Run, CompareError> {
    let Ground { asked: client, meter, pinned, .. } = ground;
    let mut running = meter.start(pinned.range.count()).await?;
    let mut shipment = Shipment::begin(client, pinned).await?;
    loop {
        match shipment.next().await? {
            Shipped::Block(block) => {
                if matches(&block)? {
                    running.matched();
                }
                running.reached(block.height);
            }
            Shipped::End(summary) => {
                let run = running.finish(pinned.range.last());
                pinned.check(&summary)?;
                return Ok(run);
            }
        }
    }
}

/// What came of a shipment.
pub(crate) enum Shipped {
    Block(FullBlock),
    End(Box<Summary>),
}

/// A stream ends with a summary or an error; one that does not is at fault.
pub(crate) fn unsaid() -> CompareError {
    ScanError::Call(CallError::Protocol { detail: "a stream ended without a summary".to_owned() }).into()
}
