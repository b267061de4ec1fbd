//! Figures over the runs of one method: medians with least and most. Never a mean, which one slow
//! run would shift.

use super::{Comparison, Method, MethodReport, MethodResult, Run};

/// Least, median and most of several values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) min: u64,
    pub(super) median: u64,
    pub(super) max: u64,
}

impl Spread {
    /// None without values. Of an even number of values, the median is the lower of the middle two:
    /// always a measured value.
    pub(super) fn of(values: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        let (min, max) = (*values.first()?, *values.last()?);
        let median = *values.get((values.len() - 1) / 2)?;
        Some(Self { min, median, max })
    }

    /// Whether the spreads overlap: their medians then do not tell them apart.
    pub(super) fn overlaps(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

/// A method with at least one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures<'a> {
    pub(super) report: &'a MethodReport,
    pub(super) runs: &'a [Run],
    /// Of [`Run::wall_us`].
    pub(super) wall: Spread,
}

impl<'a> Figures<'a> {
    /// None if the method was left out or has no runs.
    pub(super) fn of(report: &'a MethodReport) -> Option<Self> {
        let MethodResult::Measured(runs) = &report.result else { return None };
        Some(Self { report, runs, wall: Spread::of(runs.iter().map(|run| run.wall_us))? })
    }

    /// The median of a figure that every run has.
    pub(super) fn median(&self, of: impl Fn(&Run) -> u64) -> u64 {
        Spread::of(self.runs.iter().map(of)).map_or(0, |spread| spread.median)
    }

    /// The median of an optional figure; none if a run lacks it.
    pub(super) fn median_if_measured(&self, of: impl Fn(&Run) -> Option<u64>) -> Option<u64> {
        let values: Option<Vec<u64>> = self.runs.iter().map(of).collect();
        Spread::of(values?).map(|spread| spread.median)
    }

    /// Bytes over the socket in both directions: median.
    pub(super) fn crossed_bytes(&self) -> u64 {
        self.median(|run| run.received_bytes.saturating_add(run.sent_bytes))
    }

    /// A run with the median wall time, for charts that show one run.
    pub(super) fn typical_run(&self) -> Option<&'a Run> {
        self.runs.iter().find(|run| run.wall_us == self.wall.median)
    }
}

/// The measured methods, in the comparison's order.
pub(super) fn measured(comparison: &Comparison) -> Vec<Figures<'_>> {
    comparison.methods.iter().filter_map(Figures::of).collect()
}

/// The method that the others are compared with, if measured.
pub(super) fn first(comparison: &Comparison) -> Option<Figures<'_>> {
    comparison.methods.first().and_then(Figures::of)
}

/// A method, if measured.
pub(super) fn of_method(comparison: &Comparison, method: Method) -> Option<Figures<'_>> {
    comparison.methods.iter().filter(|report| report.method == method).find_map(Figures::of)
}

/// The fewest and the most runs of a measured method; none if none was measured.
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
    fn the_median_is_the_middle_in_any_order() {
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
