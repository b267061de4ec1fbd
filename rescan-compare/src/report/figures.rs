//! What the runs of one way come to: medians with the least and the most, never a mean, which one slow run would drag
//! along.

use super::{Comparison, Run, Way, WayId, WayResult};

/// Of several values the least, the middle one, and the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) min: u64,
    pub(super) median: u64,
    pub(super) max: u64,
}

impl Spread {
    /// None of no values. Of an even number of values, the median is the lower of the two in the middle, so that it is always
    /// a value that was measured.
    pub(super) fn of(values: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        let (min, max) = (*values.first()?, *values.last()?);
        let median = *values.get((values.len() - 1) / 2)?;
        Some(Self { min, median, max })
    }

    /// Whether some run of the one came out like some run of the other: their medians then do not tell them apart.
    pub(super) fn overlaps(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

/// A way that was run at least once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures<'a> {
    pub(super) way: &'a Way,
    pub(super) runs: &'a [Run],
    /// Of [`Run::wall_us`].
    pub(super) wall: Spread,
}

impl<'a> Figures<'a> {
    /// None of a way that was left out, and of one without runs.
    pub(super) fn of(way: &'a Way) -> Option<Self> {
        let WayResult::Measured(runs) = &way.result else { return None };
        Some(Self { way, runs, wall: Spread::of(runs.iter().map(|run| run.wall_us))? })
    }

    /// The median of something that every run has.
    pub(super) fn median(&self, of: impl Fn(&Run) -> u64) -> u64 {
        Spread::of(self.runs.iter().map(of)).map_or(0, |spread| spread.median)
    }

    /// The median of something that may not have been measured; none if a run lacks it.
    pub(super) fn median_if_measured(&self, of: impl Fn(&Run) -> Option<u64>) -> Option<u64> {
        let values: Option<Vec<u64>> = self.runs.iter().map(of).collect();
        Spread::of(values?).map(|spread| spread.median)
    }

    /// Bytes that crossed the socket, both ways: median.
    pub(super) fn crossed_bytes(&self) -> u64 {
        self.median(|run| run.received_bytes.saturating_add(run.sent_bytes))
    }

    /// A run that took the median of all: the one to draw, where only one can be.
    pub(super) fn typical_run(&self) -> Option<&'a Run> {
        self.runs.iter().find(|run| run.wall_us == self.wall.median)
    }
}

/// The ways that were run, in the comparison's order.
pub(super) fn measured(comparison: &Comparison) -> Vec<Figures<'_>> {
    comparison.ways.iter().filter_map(Figures::of).collect()
}

/// The way that the others are held against, if it was run.
pub(super) fn first(comparison: &Comparison) -> Option<Figures<'_>> {
    comparison.ways.first().and_then(Figures::of)
}

/// A way by its name, if it was run.
pub(super) fn named(comparison: &Comparison, id: WayId) -> Option<Figures<'_>> {
    comparison.ways.iter().filter(|way| way.id == id).find_map(Figures::of)
}

/// The fewest and the most runs that a measured way had; none where nothing was measured.
pub(super) fn run_counts(comparison: &Comparison) -> Option<(usize, usize)> {
    let counts = || measured(comparison).into_iter().map(|figures| figures.runs.len());
    Some((counts().min()?, counts().max()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: &[u64]) -> Spread {
        Spread::of(values.iter().copied()).expect("there are values")
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(spread(&[9, 1, 5]), Spread { min: 1, median: 5, max: 9 });
        assert_eq!(spread(&[4, 1, 2, 9]).median, 2);
        assert_eq!(spread(&[u64::MAX, u64::MAX]).median, u64::MAX);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn spreads_overlap_when_they_share_a_value() {
        assert!(spread(&[1, 5]).overlaps(spread(&[5, 9])));
        assert!(spread(&[1, 9]).overlaps(spread(&[4])));
        assert!(!spread(&[1, 4]).overlaps(spread(&[5, 9])));
    }
}
