//! The summary of a scan that was cancelled while its watch set was uploaded or compiled.

use std::time::Instant;

use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{BlockId, Summary};
use rescan_core::request::{RangeEnd, RangeRequest, RangeStart};
use rescan_core::rescan_capnp::rescan;

use crate::calls;
use crate::error::ScanError;

/// A scan that the server was not asked for yet.
pub(super) struct UnstartedScan {
    pub(super) range: RangeRequest,
    pub(super) keychains: usize,
    pub(super) ordered: Instant,
}

impl UnstartedScan {
    /// A summary without blocks, of the range as far as it is known.
    pub(super) async fn summary(self, rescan: rescan::Client) -> Result<Summary, ScanError> {
        let Self { range, keychains, ordered } = self;
        let chain = calls::info(&rescan).await?.chain;
        let tip = chain.tip.unwrap_or(BlockId { height: Height::GENESIS, hash: chain.genesis, time: 0 });
        let (first, locator) = match range.from {
            RangeStart::Height(height) => (height, Vec::new()),
            RangeStart::Birthday(_) => (Height::GENESIS, Vec::new()),
            // The next scan can resume from the same locator.
            RangeStart::After(locator) => match calls::locate(&rescan, &locator).await? {
                Some(block) => (Height(block.height.0.saturating_add(1)), locator),
                None => (Height::GENESIS, locator),
            },
        };
        let last = match range.to {
            RangeEnd::Tip => tip.height,
            RangeEnd::Height(height) => height,
        };
        let range = HeightRange::new(first, last.max(first)).expect("no height is above itself or a higher one");
        Ok(Summary::cancelled(range, tip, keychains, locator, ordered.elapsed()))
    }
}
