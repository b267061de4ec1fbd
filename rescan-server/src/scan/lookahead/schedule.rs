//! The schedule of look-ahead: when to derive more scripts, how many, and when to watch them.
//!
//! Pure: it derives nothing and reads no clock. Its state is whether scripts were derived before,
//! and the next width:
//!
//! - The first derivation begins once the gap limit has exhausted the look-ahead or the walk has
//!   taken a while. Each later one begins only when the look-ahead is exhausted again.
//! - A derivation in flight is due when it is needed. At the start and at the end of the walk it is
//!   worth waiting for: the start has nothing to rescan yet, and the end has nothing else to do. In
//!   between, the walk continues until it is ready.
//! - One that is not needed yet is due only while at most 1/8 of the range is settled, since that
//!   part must be rescanned.
//! - Widths double, so that the number of passes is at most 2 + ceil(log2((highest used index + 1)
//!   / first width)).

use std::time::Duration;

use super::config::LookaheadConfig;
use crate::scan::gap_rule::{GapRule, IndexRange};
use crate::scan::progress::ScanProgress;

/// Watch look-ahead scripts at once if at most this part of the range is settled, since that part
/// must be rescanned; otherwise wait until the gap limit needs them.
const EARLY_PART: u64 = 8;

/// The position of the walk in its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scan) enum WalkPosition {
    /// Nothing is settled.
    Start,
    /// At most 1/8 of the range is settled.
    Early,
    /// More is settled.
    Late,
    /// No segment is left.
    End,
}

impl WalkPosition {
    /// The position of a walk that has settled some of its segments.
    pub(in crate::scan) fn within(progress: &ScanProgress) -> Self {
        let is_early = progress.bytes_done().saturating_mul(EARLY_PART) <= progress.bytes_total();
        if is_early { Self::Early } else { Self::Late }
    }
}

/// The state that decides about the next derivation.
#[derive(Debug)]
pub(super) struct Schedule {
    config: LookaheadConfig,
    /// `None` if no keychain is ranged.
    width: Option<Width>,
    has_begun: bool,
}

/// The number of indexes that the next derivation adds to each keychain beyond its gap limit.
#[derive(Clone, Copy, Debug)]
struct Width {
    max: u32,
    /// However short the walk was: this bounds the number of passes.
    min: u32,
}

impl Schedule {
    pub(super) fn new(config: LookaheadConfig, rule: &GapRule) -> Self {
        let width = config.first_width(rule.ranged_count()).map(|max| Width { max, min: config.each_min });
        Self { config, width, has_begun: false }
    }

    /// Begins a derivation if one is needed and none is in flight: returns its indexes. `walk` is
    /// the time since the scan started.
    pub(super) fn begin(&mut self, rule: &GapRule, position: WalkPosition, walk: Duration) -> Option<Vec<IndexRange>> {
        let has_waited = position != WalkPosition::End && !self.has_begun && walk >= self.config.after;
        if !rule.is_exhausted() && !has_waited {
            return None;
        }
        self.has_begun = true;
        let width = self.width?;
        let ranges = match (rule.is_exhausted(), position) {
            (false, _) => rule.extension(width.max),
            // The whole range was walked, and unused keychains stay unused.
            (true, WalkPosition::End) => rule.extension_of_used(self.worthwhile(width, walk, rule.used_count())),
            (true, _) => rule.extension(self.worthwhile(width, walk, rule.ranged_count())),
        };
        self.width = Some(Width { max: width.max.saturating_mul(2), min: width.min.saturating_mul(2) });
        Some(ranges)
    }

    /// Makes the next width the smallest one.
    pub(super) fn shrink(&mut self) {
        if let Some(width) = &mut self.width {
            width.max = self.config.each_min;
        }
    }

    /// At most the width that takes as long to derive as the walk has taken, which is the most that
    /// a rescan of it costs: deriving then costs no more than the walk.
    fn worthwhile(&self, width: Width, walk: Duration, keychains: usize) -> u32 {
        width.max.min(self.config.affordable(walk, keychains).max(width.min))
    }
}

/// Whether to take the derivation in flight now, and to wait for it if it is not finished.
pub(super) fn is_due(rule: &GapRule, position: WalkPosition, is_finished: bool) -> bool {
    match position {
        WalkPosition::Start => is_finished || rule.is_exhausted(),
        WalkPosition::Early => is_finished,
        WalkPosition::Late => is_finished && rule.is_exhausted(),
        WalkPosition::End => rule.is_exhausted(),
    }
}

#[cfg(test)]
mod tests;
