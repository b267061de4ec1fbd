//! The blocks that every run scans: their heights, and the hash of the last, which commits to all
//! below it.

use bitcoin::BlockHash;
use rescan_client::{CallError, Client, ScanError};
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{Outcome, Summary};
use rescan_core::request::{RangeEnd, RangeRequest, RangeStart};

use crate::error::CompareError;
use crate::request::{BLOCKS_DEFAULT, CompareRequest};

/// A range of blocks of one branch of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PinnedBlocks {
    pub(crate) range: HeightRange,
    /// The hash of the block at the last height.
    pub(crate) tip: BlockHash,
}

/// The requested range, on the server's chain as it is now.
///
/// # Errors
/// [`CompareError::NoBlocks`] where it has none.
pub(crate) async fn choose_range(client: &Client, request: &CompareRequest) -> Result<RangeRequest, CompareError> {
    // For any result: the server refreshes its view of the files for it, and its info is then
    // fresh.
    client.locate(vec![client.server_info().chain.genesis]).await?;
    let chain = client.info().await?.chain;
    let tip = chain.tip.ok_or(CompareError::NoBlocks)?.height;
    let last = request.to_height.map_or(tip, Height);
    let from = request.from_height.map_or_else(
        || {
            let lowest = last.0.saturating_sub(BLOCKS_DEFAULT.saturating_sub(1));
            // A pruned node lacks lower blocks. The server refuses a range above the tip.
            Height(lowest.max(chain.lowest_height.0.min(last.0)))
        },
        Height,
    );
    Ok(RangeRequest { from: RangeStart::Height(from), to: RangeEnd::Height(last) })
}

impl PinnedBlocks {
    /// The blocks of the first scan.
    ///
    /// # Errors
    /// If that scan ended early.
    pub(crate) fn of(summary: &Summary) -> Result<Self, CompareError> {
        complete(summary)?;
        Ok(Self { range: summary.range, tip: summary.tip.hash })
    }

    /// The last of these blocks, at most this many.
    pub(crate) fn last_blocks(self, blocks: u32) -> Self {
        let last = self.range.last();
        let first = Height(last.0.saturating_sub(blocks.saturating_sub(1))).max(self.range.first());
        Self { range: HeightRange::new(first, last).unwrap_or(self.range), ..self }
    }

    /// The range as a request names it.
    pub(crate) fn request(self) -> RangeRequest {
        RangeRequest { from: RangeStart::Height(self.range.first()), to: RangeEnd::Height(self.range.last()) }
    }

    /// Checks that a scan or shipment covered exactly these blocks.
    ///
    /// # Errors
    /// [`CompareError`] with the difference.
    pub(crate) fn check(self, summary: &Summary) -> Result<(), CompareError> {
        complete(summary)?;
        if summary.range != self.range {
            let detail = format!("a summary of heights {:?}, expected {:?}", summary.range, self.range);
            return Err(ScanError::Call(CallError::Protocol { detail }).into());
        }
        self.check_tip(summary.tip.hash)
    }

    /// Checks that the block at the last height is unchanged.
    ///
    /// # Errors
    /// [`CompareError::Reorganised`] if it is another.
    pub(crate) fn check_tip(self, found: BlockHash) -> Result<(), CompareError> {
        if found == self.tip { Ok(()) } else { Err(CompareError::Reorganised { from: self.range.first() }) }
    }

    /// Checks that the server's chain still has these blocks.
    ///
    /// # Errors
    /// [`CompareError::Reorganised`] if not.
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
        // No scan here is cancelled.
        Outcome::Cancelled => {
            let detail = "a scan ended as cancelled, without a request for it".to_owned();
            Err(ScanError::Call(CallError::Protocol { detail }).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::Amount;
    use bitcoin::hashes::Hash;
    use rescan_core::report::BlockId;

    use super::*;

    fn heights(first: u32, last: u32) -> HeightRange {
        HeightRange::new(Height(first), Height(last)).expect("it ascends")
    }

    fn summary(outcome: Outcome, range: HeightRange, tip: u8) -> Summary {
        Summary {
            outcome,
            range,
            tip: BlockId { height: range.last(), hash: BlockHash::from_byte_array([tip; 32]), time: 0 },
            transactions: 0,
            unspent_count: 0,
            unspent: Amount::ZERO,
            keychains: Vec::new(),
            blocks_scanned: range.count(),
            bytes_scanned: 0,
            watched_through: Vec::new(),
            prepare_micros: 0,
            elapsed_micros: 0,
            locator: Vec::new(),
            passes: 1,
        }
    }

    #[test]
    fn a_run_over_other_blocks_ends_the_comparison() {
        let pinned = PinnedBlocks::of(&summary(Outcome::Complete, heights(3, 9), 1)).expect("it is complete");
        assert!(pinned.check(&summary(Outcome::Complete, heights(3, 9), 1)).is_ok());
        let other_tip = pinned.check(&summary(Outcome::Complete, heights(3, 9), 2));
        assert!(matches!(other_tip, Err(CompareError::Reorganised { from: Height(3) })), "{other_tip:?}");
        let other_range = pinned.check(&summary(Outcome::Complete, heights(4, 9), 1));
        assert!(matches!(other_range, Err(CompareError::Scan(_))), "{other_range:?}");
    }

    #[test]
    fn a_scan_that_ended_early_is_an_error_with_its_reason() {
        let ended = |outcome| PinnedBlocks::of(&summary(outcome, heights(3, 9), 1)).expect_err("it is not complete");
        assert!(matches!(ended(Outcome::ReorganisedFrom(Height(5))), CompareError::Reorganised { from: Height(5) }));
        assert!(matches!(ended(Outcome::PrunedBelow(Height(6))), CompareError::Pruned { lowest: Height(6) }));
        assert!(matches!(ended(Outcome::Cancelled), CompareError::Scan(_)));
    }

    #[test]
    fn the_last_blocks_are_no_more_than_there_are() {
        let pinned = PinnedBlocks { range: heights(3, 9), tip: BlockHash::all_zeros() };
        assert_eq!(pinned.last_blocks(2).range, heights(8, 9));
        assert_eq!(pinned.last_blocks(7).range, heights(3, 9));
        assert_eq!(pinned.last_blocks(100).range, heights(3, 9));
    }
}
