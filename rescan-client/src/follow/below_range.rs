//! What a follower does while its chain ends below the range: a node that is told to leave blocks, or that comes back from a
//! crash, may for a while have less than the wallet's first height.
//!
//! No scan can be begun there. So the follower asks which block still stands, takes back what was told above it, and waits for
//! other tips until one is in the range.

use bitcoin::BlockHash;
use futures::FutureExt;
use rescan_core::report::BlockId;

use super::recent::RecentBlocks;
use super::{FollowEvent, Follower, Stage};
use crate::error::ScanError;

impl Follower {
    /// The chain ends at `tip`: there is nothing to scan until it is as high again, but what was told is to be taken back.
    pub(super) fn fall(&mut self, tip: BlockHash) {
        self.stage = match self.recent.as_ref().map(RecentBlocks::hashes) {
            Some(told) => {
                let client = self.client.clone();
                Stage::Falling(tip, async move { client.locate(told).await }.boxed())
            }
            None => Stage::Sending(Some(tip)),
        };
    }

    /// Leaves all blocks above `standing`, which is the highest of those that were told and are in the chain.
    pub(super) fn fall_to(&mut self, standing: Option<BlockId>, tip: BlockHash) -> Result<(), ScanError> {
        let told_before = self.events.len();
        let left = match (standing, &mut self.recent) {
            (Some(standing), Some(recent)) => {
                let left = recent.leave_above(standing.height);
                self.scan.take_back(standing);
                left
            }
            // Not all that were left can be named.
            _ => {
                self.scan.start_over();
                Vec::new()
            }
        };
        while let Some(event) = self.scan.pop() {
            self.take_in(event)?;
        }
        // After a restart they are void already.
        if self.recent.is_some() {
            self.events.extend(left.into_iter().map(FollowEvent::Disconnected));
        }
        if self.events.len() > told_before {
            self.events.push_back(FollowEvent::Settled);
        }
        self.stage = Stage::Sending(Some(tip));
        Ok(())
    }
}
