//! Positions of values on an axis, and its ticks: round values, in a unit that keeps them short.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;

use crate::units;

/// An axis with its ticks.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// The measured quantity, with its unit.
    pub(super) title: String,
    pub(super) range: Range<f64>,
    ticks: Vec<(f64, String)>,
    logarithmic: bool,
}

/// A unit, by its size in microseconds or bytes.
struct Unit {
    size: u64,
    name: &'static str,
    /// The least value shown in it.
    from: u64,
}

const TIMES: [Unit; 5] = [
    Unit { size: 3_600_000_000, name: "hours", from: 2 * 3_600_000_000 },
    Unit { size: 60_000_000, name: "minutes", from: 2 * 60_000_000 },
    Unit { size: 1_000_000, name: "seconds", from: 1_000_000 },
    Unit { size: 1_000, name: "milliseconds", from: 1_000 },
    Unit { size: 1, name: "microseconds", from: 0 },
];

const SIZES: [Unit; 7] = [
    Unit { size: 1_000_000_000_000_000_000, name: "EB", from: 1_000_000_000_000_000_000 },
    Unit { size: 1_000_000_000_000_000, name: "PB", from: 1_000_000_000_000_000 },
    Unit { size: 1_000_000_000_000, name: "TB", from: 1_000_000_000_000 },
    Unit { size: 1_000_000_000, name: "GB", from: 1_000_000_000 },
    Unit { size: 1_000_000, name: "MB", from: 1_000_000 },
    Unit { size: 1_000, name: "kB", from: 1_000 },
    Unit { size: 1, name: "bytes", from: 0 },
];

impl Axis {
    /// Microseconds from 0 to at least `max`.
    pub(super) fn time(of: &str, max: u64) -> Self {
        Self::from_zero(of, unit(&TIMES, max), max)
    }

    /// Bytes from 0 to at least `max`.
    pub(super) fn bytes(of: &str, max: u64) -> Self {
        Self::from_zero(of, unit(&SIZES, max), max)
    }

    /// Thousandths from 0 to 1,000, or to `max` if that is more, as percents.
    pub(super) fn percent(of: &str, max: u64) -> Self {
        Self::from_zero(of, &Unit { size: 10, name: "%", from: 0 }, max.max(1_000))
    }

    /// Bytes by their order of magnitude, with whole powers of ten about `min` and `max`.
    pub(super) fn bytes_logarithmic(of: &str, min: u64, max: u64) -> Self {
        let low = min.max(1).ilog10();
        let high = (max.max(1).ilog10() + 1).max(low + 1);
        // With room for every third label, 1 kB and 1 MB are more familiar than 10 kB and 10 MB.
        let every = if high - low > 4 { 3 } else { 1 };
        let label = |exponent: u32| match 10u64.checked_pow(exponent) {
            Some(power) if exponent.is_multiple_of(every) => power_of_ten(power),
            _ => String::new(),
        };
        let ticks = (low..=high).map(|exponent| (f64::from(exponent), label(exponent))).collect();
        Self { title: of.to_owned(), range: f64::from(low)..f64::from(high), ticks, logarithmic: true }
    }

    /// Whole numbers with round ticks between the two.
    pub(super) fn heights(of: &str, from: u32, to: u32) -> Self {
        const TICKS_MAX: u64 = 4;
        let (from, to) = (u64::from(from), u64::from(to));
        let to = to.max(from + 1);
        let step = round_step(u128::from(to - from), TICKS_MAX, 1);
        let first = u128::from(from).div_ceil(step);
        let last = u128::from(to) / step;
        let ticks = (first..=last).map(|at| whole(at * step)).map(|at| (approximate(at), units::grouped(at))).collect();
        Self { title: of.to_owned(), range: approximate(from)..approximate(to), ticks, logarithmic: false }
    }

    fn from_zero(of: &str, unit: &Unit, max: u64) -> Self {
        const TICKS_MAX: u64 = 5;
        let max = u128::from(max.max(1));
        let step = round_step(max, TICKS_MAX, unit.size);
        let count = max.div_ceil(step);
        let at = |tick: u128| approximate(whole(tick * step));
        let ticks = (0..=count).map(|tick| (at(tick), in_unit(tick * step, step, unit.size))).collect();
        // The last tick may exceed 64 bits; the axis then ends at their maximum.
        Self { title: format!("{of}, {}", unit.name), range: 0.0..at(count).max(1.0), ticks, logarithmic: false }
    }

    /// The position of a value.
    pub(super) fn at(&self, value: u64) -> f64 {
        if self.logarithmic { approximate(value.max(1)).log10() } else { approximate(value) }
    }

    /// The label of a tick.
    pub(super) fn label(&self, at: f64) -> String {
        let distance = |tick: &(f64, String)| (tick.0 - at).abs();
        let nearest = self.ticks.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        nearest.map(|(_, label)| label.clone()).unwrap_or_default()
    }
}

/// The drawing library's own axis would have ticks that are round in bytes, but not in megabytes.
impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range.clone()).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let places = self.ticks.iter().map(|(at, _)| *at);
        if hint.weight().allow_light_points() { Vec::new() } else { places.collect() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

fn unit(units: &'static [Unit], max: u64) -> &'static Unit {
    units.iter().find(|unit| max >= unit.from).unwrap_or(&units[units.len() - 1])
}

/// The least of 1, 2 and 5 times a power of ten, of a thousandth of the unit or more, of which
/// `most` cover `length`.
fn round_step(length: u128, most: u64, unit: u64) -> u128 {
    let mut decade = u128::from((unit / 1_000).max(1));
    loop {
        for step in [decade, decade * 2, decade * 5] {
            if length.div_ceil(step) <= u128::from(most) {
                return step;
            }
        }
        decade *= 10;
    }
}

/// A tick in a unit, with as many places as the step between ticks needs.
fn in_unit(value: u128, step: u128, unit: u64) -> String {
    if value == 0 {
        return "0".to_owned();
    }
    let unit = u128::from(unit);
    let mut places = 0;
    let mut scale = 1;
    while places < 3 && !(step * scale).is_multiple_of(unit) {
        places += 1;
        scale *= 10;
    }
    let scaled = value * scale / unit;
    let (number, fraction) = (units::grouped(whole(scaled / scale)), scaled % scale);
    if places == 0 { number } else { format!("{number}.{fraction:0places$}") }
}

fn power_of_ten(power: u64) -> String {
    let unit = unit(&SIZES, power);
    format!("{} {}", power / unit.size, if unit.size == 1 { "B" } else { unit.name })
}

fn whole(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// As precise as a drawing needs.
#[expect(clippy::cast_precision_loss, reason = "a chart has a few thousand steps, and 53 bits tell far more apart")]
pub(super) fn approximate(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_in_a_fitting_unit() {
        let axis = Axis::time("time", 4_700_000);
        assert_eq!((axis.title.as_str(), labels(&axis)), ("time, seconds", vec!["0", "1", "2", "3", "4", "5"]));
        assert_eq!(axis.range, 0.0..5_000_000.0);
        assert_eq!(labels(&Axis::time("time", 1_100_000)), ["0", "0.5", "1.0", "1.5"]);
        assert_eq!(labels(&Axis::bytes("size", 1_077_814_507)), ["0", "0.5", "1.0", "1.5"]);
        assert_eq!(Axis::time("time", 240_000).title, "time, milliseconds");
    }

    #[test]
    fn many_orders_of_magnitude_are_labelled_a_thousandfold_apart() {
        let axis = Axis::bytes_logarithmic("bytes", 81_234, 1_077_814_507);
        assert_eq!(axis.range, 4.0..10.0);
        assert_eq!(labels(&axis), ["", "", "1 MB", "", "", "1 GB", ""]);
        assert_eq!(labels(&Axis::bytes_logarithmic("bytes", 20, 3_000)), ["10 B", "100 B", "1 kB", "10 kB"]);
    }

    #[test]
    fn heights_begin_and_end_where_the_range_does() {
        let axis = Axis::heights("height", 878_001, 880_000);
        assert_eq!(axis.range, 878_001.0..880_000.0);
        assert_eq!(labels(&axis), ["878,500", "879,000", "879,500", "880,000"]);
    }

    #[test]
    fn no_number_is_too_small_or_too_large() {
        for axis in
            [Axis::time("", 0), Axis::time("", u64::MAX), Axis::bytes("", u64::MAX), Axis::percent("", u64::MAX)]
        {
            assert!(axis.range.start < axis.range.end && axis.ticks.len() <= 6, "{:?}", axis.range);
        }
        assert!(Axis::heights("", u32::MAX, 0).range == (4_294_967_295.0..4_294_967_296.0));
        assert_eq!(Axis::bytes_logarithmic("", 0, u64::MAX).range, 0.0..20.0);
    }
}
