//! The state of a follower: its checkpoint and the last blocks of its chain. Each change returns the events that report it.

use bitcoin::BlockHash;
use rescan_core::position::Height;
use rescan_core::report::{BlockId, Summary};

use super::recent::RecentBlocks;
use super::stream::FollowEvent;
use crate::checkpoint::{Checkpoint, Rollback};

/// See the module.
pub(super) struct State {
    pub(super) checkpoint: Checkpoint,
    /// The last connected blocks; none until it has caught up.
    pub(super) recent: Option<RecentBlocks>,
}

impl State {
    /// Blocks to be located, the highest first: those of the checkpoint, and those that were connected. The more are known,
    /// the less is scanned again.
    pub(super) fn known_blocks(&self, count_max: usize) -> Vec<BlockHash> {
        let connected = self.recent.iter().flat_map(RecentBlocks::hashes);
        self.checkpoint.known_blocks().into_iter().chain(connected).take(count_max).collect()
    }

    /// The last block that was connected: the server is asked for another.
    pub(super) fn tip(&self) -> Option<BlockHash> {
        let connected = self.recent.as_ref().and_then(RecentBlocks::tip);
        connected.or_else(|| self.checkpoint.scanned_to()).map(|block| block.hash)
    }

    /// Reverts everything above a block of the chain.
    pub(super) fn roll_back(&mut self, fork: Option<BlockId>) -> Vec<FollowEvent> {
        let rollback = self.checkpoint.roll_back(fork);
        self.events(rollback)
    }

    /// Reverts or voids everything: the next scan starts at the range's start.
    pub(super) fn start_over(&mut self) -> Vec<FollowEvent> {
        let rollback = self.checkpoint.start_over();
        self.events(rollback)
    }

    /// Reverts and disconnects everything above a connected block; everything, where none is given.
    pub(super) fn fall_to(&mut self, standing: Option<BlockId>) -> Vec<FollowEvent> {
        let (left, mut events) = match (standing, &mut self.recent) {
            (Some(standing), Some(recent)) => (recent.leave_above(standing.height), self.roll_back(Some(standing))),
            // Not all that were left can be named.
            _ => (Vec::new(), self.start_over()),
        };
        // After a restart they are void already.
        if self.recent.is_some() {
            events.extend(left.into_iter().map(FollowEvent::Disconnected));
        }
        if !events.is_empty() {
            events.push(FollowEvent::Settled);
        }
        events
    }

    /// See [`RecentBlocks::begin_to_align`]; none until it has caught up.
    pub(super) fn begin_to_align(&mut self) -> Option<Height> {
        let scanned = self.scanned_height();
        self.recent.as_mut().map(|recent| recent.begin_to_align(scanned))
    }

    /// Aligns the blocks with those of a scan's chain; none if not all that were left can be named.
    pub(super) fn align(&mut self, blocks: Vec<BlockId>) -> Option<Vec<FollowEvent>> {
        let scanned = self.scanned_height();
        let left = self.recent.as_mut()?.align(scanned, blocks)?;
        Some(left.into_iter().map(FollowEvent::Disconnected).collect())
    }

    /// Connects the scan's blocks up to a height.
    pub(super) fn connect_to(&mut self, height: Height) -> Vec<FollowEvent> {
        let Some(recent) = &mut self.recent else { return Vec::new() };
        std::iter::from_fn(|| recent.connect_next(height)).map(FollowEvent::Connected).collect()
    }

    /// Forgets blocks that are to be connected: the next scan has them again.
    pub(super) fn forget_ahead(&mut self) {
        if let Some(recent) = &mut self.recent {
            recent.forget_ahead();
        }
    }

    /// Applies the end of a scan, and returns the summary of all scans.
    pub(super) fn finish(&mut self, summary: Summary) -> Summary {
        self.checkpoint.finish(&summary);
        self.checkpoint.summary(summary)
    }

    fn scanned_height(&self) -> Option<Height> {
        self.checkpoint.scanned_to().map(|block| block.height)
    }

    fn events(&mut self, rollback: Rollback) -> Vec<FollowEvent> {
        let Rollback { reverted, is_restart } = rollback;
        if is_restart {
            self.recent = None;
        }
        let reverted = reverted.into_iter().map(FollowEvent::Reverted);
        reverted.chain(is_restart.then_some(FollowEvent::Restarted)).collect()
    }
}
