//! The async function of a follower.
//!
//! It waits until the server has another tip, scans from the checkpoint to that tip, and names the blocks that were
//! disconnected and connected, always those of the chain that the scan is pinned to.
//!
//! While the chain ends below the range, as beside a node that was told to invalidate blocks or that returns from a crash, no
//! scan can start. Then it asks which block still stands, reverts everything above it, and waits for a tip in the range.

use std::time::Duration;

use bitcoin::BlockHash;
use rescan_core::position::Height;
use rescan_core::report::{BlockId, Outcome, RefusalReason, Summary};

use super::recent::{self, RecentBlocks};
use super::state::State;
use super::stream::FollowEvent;
use crate::error::{CallError, LOCATE_HASHES_MAX, ScanError};
use crate::generator::Yielder;
use crate::resume::{ATTEMPTS_MAX, ResumedScan, Scanner, is_not_in_chain, locate_below};
use crate::scan::{ScanEvent, ScanHandle};

/// The longest wait in one call: a server allows no longer one.
const WAIT_MAX: Duration = rescan_core::protocol::TIP_WAIT_MAX;

pub(super) struct FollowTask {
    pub(super) scanner: Scanner,
    pub(super) yielder: Yielder<State, FollowEvent>,
    /// The start of the range, if it is a height: there is nothing to scan below.
    pub(super) lowest: Height,
    /// The height of the tip that the server returned last.
    pub(super) expected: Height,
}

/// Whether the server must be asked where the checkpoint's block is before the next scan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fork {
    /// The chain may have left the checkpoint's block.
    Unknown,
    /// The checkpoint's block was in the chain a moment ago. If it no longer is, the scan is refused.
    Located,
}

/// The end of one scan.
enum Pass {
    CaughtUp,
    Again(Fork),
    Stopped,
}

impl FollowTask {
    pub(super) async fn run(mut self) -> Result<(), ScanError> {
        self.scanner.client().check_can_wait()?;
        let mut fork = Fork::Unknown;
        loop {
            let tip = match self.scan_with_retries(fork).await {
                Ok(Pass::CaughtUp) => {
                    fork = Fork::Located;
                    self.yielder.with(|state| state.tip())
                }
                Ok(Pass::Again(next)) => {
                    fork = next;
                    continue;
                }
                Ok(Pass::Stopped) => return Ok(()),
                Err(error) if is_below_range(&error) && self.yielder.with(|state| state.checkpoint.has_begun()) => {
                    fork = Fork::Unknown;
                    None
                }
                Err(error) => return Err(error),
            };
            fork = self.wait_for_tip(tip, fork).await?;
        }
    }

    async fn scan_with_retries(&mut self, mut fork: Fork) -> Result<Pass, ScanError> {
        let mut attempts = 0;
        loop {
            if fork == Fork::Unknown {
                self.roll_back_to_fork().await?;
            }
            match self.scan().await {
                Err(error) if is_not_in_chain(&error) && attempts < ATTEMPTS_MAX => attempts += 1,
                ended => return ended,
            }
            fork = Fork::Unknown;
        }
    }

    /// Asks which of the known blocks is in the chain, and reverts everything above it.
    async fn roll_back_to_fork(&self) -> Result<(), CallError> {
        let known = self.yielder.with(|state| state.known_blocks(LOCATE_HASHES_MAX));
        if !known.is_empty() {
            let fork = self.scanner.client().locate(known).await?;
            let events = self.yielder.with(|state| state.roll_back(fork));
            self.yielder.yield_all(events).await;
        }
        Ok(())
    }

    async fn scan(&mut self) -> Result<Pass, ScanError> {
        let resume = self.yielder.with(|state| self.scanner.resume(&state.checkpoint));
        let mut scan = self.scanner.start(resume).await?;
        let Some(mut pinned) = self.align(scan.handle()).await else { return Ok(Pass::Again(Fork::Located)) };
        loop {
            match scan.next().await? {
                ScanEvent::Report(report) => {
                    self.connect(&mut pinned, report.height).await?;
                    self.yielder.with(|state| state.checkpoint.apply(&report));
                    self.yielder.yield_one(FollowEvent::Report(report)).await;
                }
                ScanEvent::Settled(mark) => {
                    self.connect(&mut pinned, mark.block.height).await?;
                    self.yielder.with(|state| state.checkpoint.settle(&mark));
                    self.yielder.yield_one(FollowEvent::Settled).await;
                }
                ScanEvent::Finished(summary) => return self.finish(&scan, pinned, summary).await,
                ScanEvent::Coin(_) => {}
            }
        }
    }

    /// Yields the blocks that the scan's chain has left, and keeps those that it gained until their reports come. None if not
    /// all that were left can be named: then everything was reverted, and the scan must start again.
    async fn align(&self, handle: ScanHandle) -> Option<Pinned> {
        let Some(first) = self.yielder.with(State::begin_to_align) else {
            // It has not caught up yet.
            self.yielder.yield_one(FollowEvent::Started(handle)).await;
            return Some(Pinned(Ok(())));
        };
        let blocks = match recent::blocks_from(&handle, first, self.expected).await {
            Ok(blocks) => blocks,
            Err(error) => return Some(Pinned(Err(error))),
        };
        let (is_aligned, events) = self.yielder.with(|state| match state.align(blocks) {
            Some(left) => (true, left),
            None => (false, state.start_over()),
        });
        self.yielder.yield_all(events).await;
        is_aligned.then_some(Pinned(Ok(())))
    }

    /// Yields the scan's new blocks up to a height.
    async fn connect(&self, pinned: &mut Pinned, height: Height) -> Result<(), CallError> {
        std::mem::replace(&mut pinned.0, Ok(()))?;
        let connected = self.yielder.with(|state| state.connect_to(height));
        self.yielder.yield_all(connected).await;
        Ok(())
    }

    async fn finish(&mut self, scan: &ResumedScan, mut pinned: Pinned, summary: Summary) -> Result<Pass, ScanError> {
        match summary.outcome {
            Outcome::Complete => {
                match self.yielder.with(|state| state.recent.is_some()) {
                    true => self.connect(&mut pinned, summary.tip.height).await?,
                    false => {
                        let recent = RecentBlocks::recall(&scan.handle(), summary.tip).await?;
                        self.yielder.with(|state| state.recent = Some(recent));
                    }
                }
                let summary = self.yielder.with(|state| state.finish(summary));
                self.yielder.yield_one(FollowEvent::CaughtUp(summary)).await;
                Ok(Pass::CaughtUp)
            }
            // The next scan shows which blocks were left.
            Outcome::ReorganisedFrom(height) => {
                let known = self.yielder.with(|state| state.known_blocks(LOCATE_HASHES_MAX));
                let fork = locate_below(self.scanner.client(), known, height).await?;
                let events = self.yielder.with(|state| {
                    let events = state.roll_back(fork);
                    state.forget_ahead();
                    events
                });
                self.yielder.yield_all(events).await;
                Ok(Pass::Again(Fork::Unknown))
            }
            Outcome::Cancelled | Outcome::PrunedBelow(_) => {
                let summary = self.yielder.with(|state| state.finish(summary));
                self.yielder.yield_one(FollowEvent::Stopped(summary)).await;
                Ok(Pass::Stopped)
            }
        }
    }

    /// Waits for another tip in the range.
    async fn wait_for_tip(&mut self, mut known: Option<BlockHash>, mut fork: Fork) -> Result<Fork, ScanError> {
        loop {
            if fork == Fork::Located {
                // The next scan's watch set is compiled while it waits.
                let resume = self.yielder.with(|state| self.scanner.resume(&state.checkpoint));
                self.scanner.upload(&resume).await?;
            }
            let tip = self.scanner.client().wait_tip(known, WAIT_MAX).await?;
            match tip.filter(|tip| Some(tip.hash) != known) {
                // The time is up.
                None => {}
                Some(tip) if tip.height < self.lowest => {
                    if let Some(told) = self.yielder.with(|state| state.recent.as_ref().map(RecentBlocks::hashes)) {
                        let standing = self.scanner.client().locate(told).await?;
                        self.fall_to(standing).await;
                        fork = Fork::Located;
                    }
                    known = Some(tip.hash);
                }
                Some(tip) => {
                    self.expected = tip.height;
                    return Ok(fork);
                }
            }
        }
    }

    /// The chain ends below the range: reverts and disconnects everything above `standing`, the highest of the yielded blocks
    /// that is in the chain.
    async fn fall_to(&self, standing: Option<BlockId>) {
        let events = self.yielder.with(|state| state.fall_to(standing));
        self.yielder.yield_all(events).await;
    }
}

/// Whether the blocks of the scan's chain are known. The error matters once the scan has something to report: one that is
/// refused is started again.
struct Pinned(Result<(), CallError>);

fn is_below_range(error: &ScanError) -> bool {
    matches!(error, ScanError::Refused(refusal) if refusal.reason == RefusalReason::BadRange)
}
