//! What a follower does while its chain ends below the range: a node that is told to leave blocks, or that comes back from a
//! crash, may for a while have less than the wallet's first height.
//!
//! No scan can be begun there. So the follower asks which block still stands, takes back what was told above it, and waits.

use futures::FutureExt;
use rescan_core::report::BlockId;

use super::recent::RecentBlocks;
use super::{FollowEvent, Follower, Stage};
use crate::error::ScanError;

impl Follower {
    /// There is nothing to scan until the chain is as high again; but what was told is to be taken back.
    pub(super) fn fall(&mut self) {
        let told = self.recent.as_ref().map(RecentBlocks::hashes).unwrap_or_default();
        let client = self.client.clone();
        self.stage = Stage::Falling(async move { client.locate(told).await }.boxed());
    }

    /// Leaves all blocks above `standing`, which is the highest of those that were told and are in the chain.
    pub(super) fn fall_to(&mut self, standing: Option<BlockId>) -> Result<(), ScanError> {
        match (standing, &mut self.recent) {
            (Some(standing), Some(recent)) => {
                let left = recent.leave_above(standing.height);
                self.scan.take_back(standing);
                while let Some(event) = self.scan.pop() {
                    self.take_in(event)?;
                }
                // After a restart they are void already, and it begins anew.
                if self.recent.is_some() {
                    self.events.extend(left.into_iter().map(FollowEvent::Disconnected));
                    self.events.push_back(FollowEvent::Settled);
                    self.stage = Stage::Sending;
                } else {
                    self.stage = Stage::Reading;
                }
            }
            // Not all that were left can be named.
            _ => {
                self.scan.start_over();
                self.stage = Stage::Reading;
            }
        }
        Ok(())
    }
}
