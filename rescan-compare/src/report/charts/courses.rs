//! Curves: bytes as the answer grows, time and bytes as more blocks match.

use super::super::Method;
use super::super::columns::time as shown_time;
use super::super::crossover::Crossover;
use super::super::figures;
use super::axis::Axis;
use super::canvas::Labels;
use super::ink::Ink;
use super::lines::{self, Axes, Dots, Mark, Series};
use super::{Chart, Comparison, Key, KeyShape, Table, Width};
use crate::{CurveRun, units};

/// The methods whose curves are compared.
const RIVALS: (Method, Method) = (Method::Summaries, Method::BlocksMatched);

/// Rows a method in a table of a line; `report.json` has every point.
const ROWS_PER_METHOD: usize = 10;

/// Bytes received by each method as its answer grew.
pub(super) fn bytes_over_blocks(comparison: &Comparison) -> Option<Chart> {
    let runs =
        figures::measured(comparison).into_iter().filter_map(|report| Some((report.report, report.typical_run()?)));
    let courses: Vec<_> = runs.filter(|(_, run)| !run.progress.is_empty()).collect();
    let points = || courses.iter().flat_map(|(_, run)| &run.progress);
    let (from, to) = (points().map(|point| point.height).min()?, points().map(|point| point.height).max()?);
    let most = points().map(|point| point.received_bytes).max()?;
    let of = |run: &super::super::Run| -> Vec<(u64, u64)> {
        run.progress.iter().map(|point| (point.height.into(), point.received_bytes)).collect()
    };
    let series: Vec<Series> =
        courses.iter().map(|(report, run)| Series { ink: Ink::Method(report.method), points: of(run) }).collect();
    let axes = Axes { across: Axis::heights("height settled", from, to), up: Axis::bytes("received", most) };
    let ends =
        courses.iter().filter_map(|(report, run)| Some((report, units::bytes(run.progress.last()?.received_bytes))));
    let ends: Vec<_> = ends.collect();
    let spoken: Vec<String> = ends.iter().map(|(report, end)| format!("{}: {end} at the end.", report.title)).collect();
    let (id, title) = ("bytes-over-blocks", "Bytes over blocks");
    let svg = lines::draw(&Labels { id, title, description: &spoken.join(" ") }, &axes, Dots::Last, &series, None);
    let key =
        |report: &super::super::MethodReport, end: &str| line_key(report.method, format!("{}: {end}", report.title));
    let legend = ends.iter().map(|(report, end)| key(report, end)).collect();
    let rows = courses.iter().flat_map(|(report, run)| {
        sampled(&run.progress).map(|point| {
            vec![report.title.clone(), units::grouped(point.height.into()), units::bytes(point.received_bytes)]
        })
    });
    let table = Table {
        head: ["Method", "Height", "Received"].map(ToOwned::to_owned).to_vec(),
        rows: rows.collect(),
        note: Some("About ten points of each line; report.json has them all.".to_owned()),
    };
    let caption = "Bytes that the wallet had received when its answer had reached a height, in the median run. \
                   The lines of methods that ship every block coincide."
        .to_owned();
    Some(Chart { id, title, width: Width::Whole, caption, legend, svg, table })
}

/// Time as more blocks match.
pub(super) fn time_over_matches(comparison: &Comparison) -> Option<Chart> {
    let figure =
        Figure { id: "time-over-matches", title: "A busy wallet: time", of: |run| run.wall_us, show: shown_time };
    over_matches(comparison, &figure, |most| Axis::time("wall time", most))
}

/// Bytes received as more blocks match.
pub(super) fn bytes_over_matches(comparison: &Comparison) -> Option<Chart> {
    let figure = Figure {
        id: "bytes-over-matches",
        title: "A busy wallet: bytes",
        of: |run| run.received_bytes,
        show: units::bytes,
    };
    over_matches(comparison, &figure, |most| Axis::bytes("received", most))
}

/// A curve's figure of a run.
struct Figure {
    id: &'static str,
    title: &'static str,
    of: fn(&CurveRun) -> u64,
    show: fn(u64) -> String,
}

fn over_matches(comparison: &Comparison, figure: &Figure, up: fn(u64) -> Axis) -> Option<Chart> {
    let runs = || comparison.curve.iter().flat_map(|point| point.methods.iter().map(move |run| (point, run)));
    let most = runs().map(|(_, run)| (figure.of)(run)).max()?;
    let widest = comparison.curve.iter().map(|point| point.matching_per_mille).max()?;
    let mut ids: Vec<Method> = runs().map(|(_, run)| run.method).collect();
    ids.sort_unstable();
    ids.dedup();
    let series: Vec<Series> = ids
        .iter()
        .map(|id| {
            let own = runs().filter(|(_, run)| run.method == *id);
            let points = own.map(|(point, run)| (point.matching_per_mille.into(), (figure.of)(run))).collect();
            Series { ink: Ink::Method(*id), points }
        })
        .collect();
    let crossover = Crossover::of(comparison, RIVALS.0, RIVALS.1, figure.of);
    let mark = match crossover {
        Crossover::At(per_mille) => {
            Some(Mark { at: per_mille, label: format!("they cross at {}", percent(per_mille)) })
        }
        _ => None,
    };
    let caption = crossing(comparison, crossover);
    let axes = Axes { across: Axis::percent("share of blocks with a match", widest.into()), up: up(most) };
    let rows: Vec<Vec<String>> = runs()
        .map(|(point, run)| {
            let share = percent(point.matching_per_mille.into());
            vec![
                share,
                units::grouped(point.matching_blocks),
                title(comparison, run.method),
                (figure.show)((figure.of)(run)),
            ]
        })
        .collect();
    let spoken: Vec<String> = rows.iter().map(|row| row.join(", ")).collect();
    let description = format!("{caption} {}.", spoken.join("; "));
    let labels = Labels { id: figure.id, title: figure.title, description: &description };
    let svg = lines::draw(&labels, &axes, Dots::Each, &series, mark.as_ref());
    let head = ["Share", "Blocks", "Method", "Median"].map(ToOwned::to_owned).to_vec();
    let legend = ids.iter().map(|id| line_key(*id, title(comparison, *id))).collect();
    Some(Chart {
        id: figure.id,
        title: figure.title,
        width: Width::Half,
        caption,
        legend,
        svg,
        table: Table { head, rows, note: None },
    })
}

/// The crossing of the curves, in a sentence.
fn crossing(comparison: &Comparison, crossover: Crossover) -> String {
    let (first, second) = (title(comparison, RIVALS.0), title(comparison, RIVALS.1));
    match crossover {
        Crossover::At(per_mille) => format!("The two cross where about {} of the blocks match.", percent(per_mille)),
        Crossover::FirstAhead => {
            format!("They do not cross: \u{201c}{first}\u{201d} never costs more, however many blocks match.")
        }
        Crossover::SecondAhead => {
            format!("They do not cross: \u{201c}{second}\u{201d} never costs more, however few blocks match.")
        }
        Crossover::Unknown => "Too few points have both methods to say whether they cross.".to_owned(),
    }
}

/// The method's title in the comparison; a curve may have a method that the comparison lacks.
fn title(comparison: &Comparison, id: Method) -> String {
    let named = comparison.methods.iter().find(|report| report.method == id).map(|report| report.title.clone());
    named.unwrap_or_else(|| Ink::Method(id).name().replace('-', " "))
}

/// Thousandths as percents, with a decimal only for small shares.
fn percent(per_mille: f64) -> String {
    if per_mille < 100.0 && per_mille % 10.0 != 0.0 {
        format!("{:.1} %", per_mille / 10.0)
    } else {
        format!("{:.0} %", per_mille / 10.0)
    }
}

fn line_key(id: Method, name: String) -> Key {
    Key { ink: Ink::Method(id), shape: KeyShape::Line, name }
}

/// About [`ROWS_PER_METHOD`] of the points, evenly, and the last.
fn sampled<T>(points: &[T]) -> impl Iterator<Item = &T> {
    let step = points.len().div_ceil(ROWS_PER_METHOD).max(1);
    let last = points.len().saturating_sub(1);
    points.iter().enumerate().filter(move |(at, _)| at % step == 0 || *at == last).map(|(_, point)| point)
}
