//! Where the busy-wallet curves of two ways cross: from which share of matching blocks on the one that was ahead no longer
//! is.

use super::{Comparison, WayId};
use crate::CurveRun;

/// How two curves lie to each other, from the least share measured to the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Crossover {
    /// The first costs less throughout, or never more.
    FirstAhead,
    /// The second does.
    SecondAhead,
    /// They cross, for the first time, where so many of a thousand blocks match: between two measured points, by a
    /// straight line from the one to the other.
    At(f64),
    /// Fewer than two points have both.
    Unknown,
}

impl Crossover {
    /// Of the curves of `first` and `second`, in what `cost` takes from a run.
    pub(super) fn of(comparison: &Comparison, first: WayId, second: WayId, cost: impl Fn(&CurveRun) -> u64) -> Self {
        let mut gaps = Vec::new();
        for point in &comparison.curve {
            let of = |id| point.ways.iter().find(|run| run.id == id).map(&cost);
            if let (Some(ours), Some(theirs)) = (of(first), of(second)) {
                // Above nothing where the first costs more.
                gaps.push((f64::from(point.matching_per_mille), i128::from(ours) - i128::from(theirs)));
            }
        }
        if gaps.len() < 2 {
            return Self::Unknown;
        }
        let Some(begun) = gaps.iter().map(|(_, gap)| gap.signum()).find(|sign| *sign != 0) else {
            return Self::FirstAhead;
        };
        match gaps.windows(2).find(|pair| pair[0].1.signum() != -begun && pair[1].1.signum() == -begun) {
            Some(pair) => Self::At(crossing(pair[0], pair[1])),
            None if begun < 0 => Self::FirstAhead,
            None => Self::SecondAhead,
        }
    }
}

/// Where the straight line between two points of different sign meets nothing.
#[expect(clippy::cast_precision_loss, reason = "a place between two measured shares is shown in whole percents")]
fn crossing((from, before): (f64, i128), (to, after): (f64, i128)) -> f64 {
    from + (to - from) * (before as f64 / (before - after) as f64)
}
