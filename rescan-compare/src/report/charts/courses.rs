//! How something goes: bytes as the answer grows, time and bytes as more blocks match.

use super::super::WayId;
use super::super::columns::time as shown_time;
use super::super::crossover::Crossover;
use super::super::figures;
use super::axis::Axis;
use super::canvas::Words;
use super::ink::Ink;
use super::lines::{self, Axes, Dots, Mark, Series};
use super::{Chart, Comparison, Key, KeyShape, Table, Width};
use crate::{CurveRun, units};

/// The ways whose curves are held against each other.
const RIVALS: (WayId, WayId) = (WayId::Summaries, WayId::BlocksMatched);

/// So many rows a way tell how a line goes; `report.json` has every point.
const ROWS_A_WAY: usize = 10;

/// What each way had received as its answer grew.
pub(super) fn bytes_over_blocks(comparison: &Comparison) -> Option<Chart> {
    let runs = figures::measured(comparison).into_iter().filter_map(|way| Some((way.way, way.typical_run()?)));
    let courses: Vec<_> = runs.filter(|(_, run)| !run.progress.is_empty()).collect();
    let points = || courses.iter().flat_map(|(_, run)| &run.progress);
    let (from, to) = (points().map(|point| point.height).min()?, points().map(|point| point.height).max()?);
    let most = points().map(|point| point.received_bytes).max()?;
    let of = |run: &super::super::Run| -> Vec<(u64, u64)> {
        run.progress.iter().map(|point| (point.height.into(), point.received_bytes)).collect()
    };
    let series: Vec<Series> =
        courses.iter().map(|(way, run)| Series { ink: Ink::Way(way.id), points: of(run) }).collect();
    let axes = Axes { across: Axis::heights("height settled", from, to), up: Axis::bytes("received", most) };
    let ends = courses.iter().filter_map(|(way, run)| Some((way, units::bytes(run.progress.last()?.received_bytes))));
    let ends: Vec<_> = ends.collect();
    let spoken: Vec<String> = ends.iter().map(|(way, end)| format!("{}: {end} at the end.", way.title)).collect();
    let (id, title) = ("bytes-over-blocks", "Bytes over blocks");
    let svg = lines::draw(&Words { id, title, description: &spoken.join(" ") }, &axes, Dots::Last, &series, None);
    let key = |way: &super::super::Way, end: &str| line_key(way.id, format!("{}: {end}", way.title));
    let legend = ends.iter().map(|(way, end)| key(way, end)).collect();
    let rows = courses.iter().flat_map(|(way, run)| {
        sampled(&run.progress).map(|point| {
            vec![way.title.clone(), units::grouped(point.height.into()), units::bytes(point.received_bytes)]
        })
    });
    let table = Table {
        head: ["Way", "Height", "Received"].map(ToOwned::to_owned).to_vec(),
        rows: rows.collect(),
        note: Some("About ten points of each line; report.json has them all.".to_owned()),
    };
    let says = "What the wallet had received when its answer had reached a height, in the median run. \
                Ways that ship every block lie on one another."
        .to_owned();
    Some(Chart { id, title, width: Width::Whole, says, legend, svg, table })
}

/// How long it takes as more blocks match.
pub(super) fn time_over_matches(comparison: &Comparison) -> Option<Chart> {
    let figure =
        Figure { id: "time-over-matches", title: "A busy wallet: time", of: |run| run.wall_us, show: shown_time };
    over_matches(comparison, &figure, |most| Axis::time("wall time", most))
}

/// How much crosses as more blocks match.
pub(super) fn bytes_over_matches(comparison: &Comparison) -> Option<Chart> {
    let figure = Figure {
        id: "bytes-over-matches",
        title: "A busy wallet: bytes",
        of: |run| run.received_bytes,
        show: units::bytes,
    };
    over_matches(comparison, &figure, |most| Axis::bytes("received", most))
}

/// What of a run a curve shows.
struct Figure {
    id: &'static str,
    title: &'static str,
    of: fn(&CurveRun) -> u64,
    show: fn(u64) -> String,
}

fn over_matches(comparison: &Comparison, figure: &Figure, up: fn(u64) -> Axis) -> Option<Chart> {
    let runs = || comparison.curve.iter().flat_map(|point| point.ways.iter().map(move |run| (point, run)));
    let most = runs().map(|(_, run)| (figure.of)(run)).max()?;
    let widest = comparison.curve.iter().map(|point| point.matching_per_mille).max()?;
    let mut ids: Vec<WayId> = runs().map(|(_, run)| run.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let series: Vec<Series> = ids
        .iter()
        .map(|id| {
            let own = runs().filter(|(_, run)| run.id == *id);
            let points = own.map(|(point, run)| (point.matching_per_mille.into(), (figure.of)(run))).collect();
            Series { ink: Ink::Way(*id), points }
        })
        .collect();
    let crossover = Crossover::of(comparison, RIVALS.0, RIVALS.1, figure.of);
    let mark = match crossover {
        Crossover::At(per_mille) => Some(Mark { at: per_mille, says: format!("they cross at {}", percent(per_mille)) }),
        _ => None,
    };
    let says = verdict(comparison, crossover);
    let axes = Axes { across: Axis::percent("share of blocks with a match", widest.into()), up: up(most) };
    let rows: Vec<Vec<String>> = runs()
        .map(|(point, run)| {
            let share = percent(point.matching_per_mille.into());
            vec![
                share,
                units::grouped(point.matching_blocks),
                title(comparison, run.id),
                (figure.show)((figure.of)(run)),
            ]
        })
        .collect();
    let spoken: Vec<String> = rows.iter().map(|row| row.join(", ")).collect();
    let description = format!("{says} {}.", spoken.join("; "));
    let words = Words { id: figure.id, title: figure.title, description: &description };
    let svg = lines::draw(&words, &axes, Dots::Each, &series, mark.as_ref());
    let head = ["Share", "Blocks", "Way", "Median"].map(ToOwned::to_owned).to_vec();
    let legend = ids.iter().map(|id| line_key(*id, title(comparison, *id))).collect();
    Some(Chart {
        id: figure.id,
        title: figure.title,
        width: Width::Half,
        says,
        legend,
        svg,
        table: Table { head, rows, note: None },
    })
}

/// What the curve says, in a sentence.
fn verdict(comparison: &Comparison, crossover: Crossover) -> String {
    let (first, second) = (title(comparison, RIVALS.0), title(comparison, RIVALS.1));
    match crossover {
        Crossover::At(per_mille) => format!("The two cross where about {} of the blocks match.", percent(per_mille)),
        Crossover::FirstAhead => {
            format!("They do not cross: \u{201c}{first}\u{201d} never costs more, however many blocks match.")
        }
        Crossover::SecondAhead => {
            format!("They do not cross: \u{201c}{second}\u{201d} never costs more, however few blocks match.")
        }
        Crossover::Unknown => "Too few points have both ways to say whether they cross.".to_owned(),
    }
}

/// What the comparison calls a way; a curve may have one that the comparison has not.
fn title(comparison: &Comparison, id: WayId) -> String {
    let named = comparison.ways.iter().find(|way| way.id == id).map(|way| way.title.clone());
    named.unwrap_or_else(|| Ink::Way(id).name().replace('-', " "))
}

/// Thousandths as percents, without a place that says nothing.
fn percent(per_mille: f64) -> String {
    if per_mille < 100.0 && per_mille % 10.0 != 0.0 {
        format!("{:.1} %", per_mille / 10.0)
    } else {
        format!("{:.0} %", per_mille / 10.0)
    }
}

fn line_key(id: WayId, name: String) -> Key {
    Key { ink: Ink::Way(id), shape: KeyShape::Line, name }
}

/// About [`ROWS_A_WAY`] of the points, evenly, and the last.
fn sampled<T>(points: &[T]) -> impl Iterator<Item = &T> {
    let step = points.len().div_ceil(ROWS_A_WAY).max(1);
    let last = points.len().saturating_sub(1);
    points.iter().enumerate().filter(move |(at, _)| at % step == 0 || *at == last).map(|(_, point)| point)
}
