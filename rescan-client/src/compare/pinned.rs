//! The blocks that all ways go over: heights from first to last, and the hash of the last, which stands for all below it.

use bitcoin::BlockHash;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{Outcome, Summary};
use rescan_core::request::{RangeEnd, RangeRequest, RangeStart};

use super::error::CompareError;
use super::request::{BLOCKS_DEFAULT, CompareRequest};
use crate::client::Client;
use crate::error::{CallError, ScanError};

/// A range of blocks of one branch of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    pub(crate) range: HeightRange,
    /// The hash of the block at the last height.
    pub(crate) tip: BlockHash,
}

/// The range that is meant, as the server's chain stands now.
///
/// # Errors
/// [`CompareError::NoBlocks`] where it has none.
pub(crate) async fn choose(client: &Client, request: &CompareRequest) -> Result<RangeRequest, CompareError> {
    // Whatever it finds: the server looks at its files anew for it, and what it then says of itself is fresh.
    client.locate(vec![client.greeting().chain.genesis]).await?;
    let chain = client.info().await?.chain;
    let tip = chain.tip.ok_or(CompareError::NoBlocks)?.height;
    let last = request.to_height.map_or(tip, Height);
    let from = request.from_height.map_or_else(
        || {
            let lowest = last.0.saturating_sub(BLOCKS_DEFAULT.saturating_sub(1));
            // A node that is pruned has what it has; above the tip, the server refuses.
            Height(lowest.max(chain.lowest_height.0.min(last.0)))
        },
        Height,
    );
    Ok(RangeRequest { from: RangeStart::Height(from), to: RangeEnd::Height(last) })
}

impl Pinned {
    /// The range that the first scan went over.
    ///
    /// # Errors
    /// If that scan did not come to its end.
    pub(crate) fn of(summary: &Summary) -> Result<Self, CompareError> {
        complete(summary)?;
        Ok(Self { range: summary.range, tip: summary.tip.hash })
    }

    /// The last of these blocks, so many at most.
    pub(crate) fn last_blocks(self, blocks: u32) -> Self {
        let last = self.range.last();
        let first = Height(last.0.saturating_sub(blocks.saturating_sub(1))).max(self.range.first());
        Self { range: HeightRange::new(first, last).unwrap_or(self.range), ..self }
    }

    /// As it is asked for.
    pub(crate) fn request(self) -> RangeRequest {
        RangeRequest { from: RangeStart::Height(self.range.first()), to: RangeEnd::Height(self.range.last()) }
    }

    /// That a scan or shipment went over these very blocks, and all of them.
    ///
    /// # Errors
    /// If it did not.
    pub(crate) fn check(self, summary: &Summary) -> Result<(), CompareError> {
        complete(summary)?;
        if summary.range != self.range {
            let detail = format!("a summary of heights {:?}, expected {:?}", summary.range, self.range);
            return Err(ScanError::Call(CallError::Protocol { detail }).into());
        }
        self.check_tip(summary.tip.hash)
    }

    /// That the block at the last height is still the one it was.
    ///
    /// # Errors
    /// [`CompareError::Reorganised`] if it is not.
    pub(crate) fn check_tip(self, found: BlockHash) -> Result<(), CompareError> {
        if found == self.tip { Ok(()) } else { Err(CompareError::Reorganised { from: self.range.first() }) }
    }

    /// That the chain still has these blocks.
    ///
    /// # Errors
    /// [`CompareError::Reorganised`] if it has not.
    pub(crate) async fn check_now(self, client: &Client) -> Result<(), CompareError> {
        match client.locate(vec![self.tip]).await? {
            Some(_still_there) => Ok(()),
            None => Err(CompareError::Reorganised { from: self.range.first() }),
        }
    }
}

fn complete(summary: &Summary) -> Result<(), CompareError> {
    match summary.outcome {
        Outcome::Complete => Ok(()),
        Outcome::PrunedBelow(lowest) => Err(CompareError::Pruned { lowest }),
        Outcome::ReorganisedFrom(from) => Err(CompareError::Reorganised { from }),
        // Nobody here asks for it.
        Outcome::Cancelled => {
            let detail = "a scan ended as cancelled, and nobody had cancelled it".to_owned();
            Err(ScanError::Call(CallError::Protocol { detail }).into())
        }
    }
}
