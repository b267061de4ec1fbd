//! The share of matching blocks at which the busy-wallet curves of two methods cross.

use super::{Comparison, Method};
use crate::comparison::CurveRun;

/// The relation of two curves, from the least measured share to the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Crossover {
    /// The first costs less throughout, or never more.
    FirstAhead,
    /// The second costs less throughout, or never more.
    SecondAhead,
    /// The first crossing, in matching blocks of a thousand, on the straight line between two
    /// measured points.
    At(f64),
    /// Fewer than two points have both.
    Unknown,
}

impl Crossover {
    /// Compares the curves of `first` and `second`, in the figure `cost` of a run.
    pub(super) fn of(comparison: &Comparison, first: Method, second: Method, cost: impl Fn(&CurveRun) -> u64) -> Self {
        let mut gaps = Vec::new();
        for point in &comparison.curve {
            let of = |method| point.methods.iter().find(|run| run.method == method).map(&cost);
            if let (Some(ours), Some(theirs)) = (of(first), of(second)) {
                // Positive if the first costs more.
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

/// The zero of the straight line between two points of different sign.
#[expect(clippy::cast_precision_loss, reason = "a place between two measured shares is shown in whole percents")]
fn crossing((from, before): (f64, i128), (to, after): (f64, i128)) -> f64 {
    from + (to - from) * (before as f64 / (before - after) as f64)
}
