//! The calls of a fill: matching heights as ascending runs of blocks.
//!
//! A call has a price, and so has a block in which nothing matches. Two matches share a call if the
//! blocks between them cost less than another call. Long runs are cut: progress shows, and an
//! interrupt waits for little.

use std::collections::BTreeMap;

use rescan_node::RpcClient;
use serde::de::IgnoredAny;

use crate::error::FillError;

/// Most blocks of one call: mainnet's take Core some ten seconds.
const RUN_BLOCKS_MAX: u32 = 1_000;

/// Blocks of one `rescanblockchain` call, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The lowest height.
    pub first: u32,
    /// The highest height.
    pub last: u32,
    /// The matching heights, ascending; the first and the last of a run that was not cut are its
    /// ends.
    pub matches: Vec<u32>,
}

impl Run {
    /// Number of blocks.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// The run of one height.
    pub(crate) fn single(height: u32) -> Self {
        Self { first: height, last: height, matches: vec![height] }
    }
}

/// Most blocks without a match between two matches of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeGap(pub u32);

impl MergeGap {
    /// For a node that looks at each block: a full one takes it ten times as long as a call, and
    /// those that take less are soon done in any case (docs/filling.md).
    pub const WITHOUT_FILTERS: Self = Self(0);
    /// For a node with `-blockfilterindex`. A call builds the set of all scripts of the wallet, which
    /// costs as much as a look at four or five filters, whatever their number.
    pub const WITH_FILTERS: Self = Self(4);

    /// For a node by its `getindexinfo`.
    ///
    /// # Errors
    /// [`FillError::Node`].
    pub fn of(node: &RpcClient) -> Result<Self, FillError> {
        let indexes: BTreeMap<String, IgnoredAny> = node.call("getindexinfo", &[(); 0])?;
        Ok(if indexes.contains_key("basic block filter index") { Self::WITH_FILTERS } else { Self::WITHOUT_FILTERS })
    }
}

/// All calls of a fill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In ascending order, without overlap.
    pub runs: Vec<Run>,
}

impl Plan {
    /// The calls for matching heights, which are ascending and distinct.
    #[must_use]
    pub fn of(matches: &[u32], gap: MergeGap) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for &height in matches {
            match runs.last_mut() {
                Some(run) if joins(run, height, gap) => {
                    run.last = height;
                    run.matches.push(height);
                }
                _ => runs.push(Run::single(height)),
            }
        }
        Self { runs }
    }

    /// Number of matching blocks.
    #[must_use]
    pub fn matches(&self) -> u64 {
        self.runs.iter().map(|run| count(run.matches.len())).sum()
    }

    /// Number of blocks that Core looks at.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.blocks())).sum()
    }

    /// Whether Core is spared at least half of a range of so many blocks. Otherwise a rescan of the
    /// whole range takes no longer.
    #[must_use]
    pub fn is_worthwhile(&self, range_blocks: u64) -> bool {
        self.blocks().saturating_mul(2) <= range_blocks
    }
}

fn joins(run: &Run, height: u32, gap: MergeGap) -> bool {
    let between = height.saturating_sub(run.last).saturating_sub(1);
    between <= gap.0 && height.saturating_sub(run.first) < RUN_BLOCKS_MAX
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ends(matches: &[u32], gap: u32) -> Vec<(u32, u32)> {
        Plan::of(matches, MergeGap(gap)).runs.iter().map(|run| (run.first, run.last)).collect()
    }

    #[test]
    fn matches_share_a_call_across_no_more_than_the_gap() {
        assert_eq!(ends(&[5, 6, 9, 13], 2), [(5, 9), (13, 13)]);
        assert_eq!(ends(&[5, 6, 9, 13], 0), [(5, 6), (9, 9), (13, 13)]);
        assert_eq!(ends(&[], 2), []);
    }

    #[test]
    fn a_long_run_is_cut() {
        let all: Vec<u32> = (0..2_500).collect();
        assert_eq!(ends(&all, 0), [(0, 999), (1_000, 1_999), (2_000, 2_499)]);
    }

    #[test]
    fn a_range_of_which_most_is_rescanned_is_not_worthwhile() {
        let plan = Plan::of(&[1, 2, 3, 10], MergeGap(0));
        assert_eq!((plan.matches(), plan.blocks()), (4, 4));
        assert!(plan.is_worthwhile(8) && !plan.is_worthwhile(7));
    }

    proptest! {
        #[test]
        fn runs_are_ascending_and_have_every_match_once(
            heights in prop::collection::btree_set(0u32..6_000, 0..400), gap in 0u32..30,
        ) {
            let heights: Vec<u32> = heights.into_iter().collect();
            let plan = Plan::of(&heights, MergeGap(gap));
            let matches: Vec<u32> = plan.runs.iter().flat_map(|run| run.matches.clone()).collect();
            prop_assert_eq!(&matches, &heights);
            for run in &plan.runs {
                prop_assert_eq!(Some(&run.first), run.matches.first());
                prop_assert_eq!(Some(&run.last), run.matches.last());
                prop_assert!(run.blocks() <= RUN_BLOCKS_MAX);
            }
            for pair in plan.runs.windows(2) {
                prop_assert!(pair[0].last < pair[1].first);
                let is_cut = pair[1].first - pair[0].first >= RUN_BLOCKS_MAX;
                prop_assert!(is_cut || pair[1].first - pair[0].last - 1 > gap);
            }
        }
    }
}
