//! Figures of both sides, the wallet's and the server's: processor time with waiting, and memory.
//! Any may be missing.

use super::super::Run;
use super::super::columns::{NOT_MEASURED, time as shown_time};
use super::super::figures::{self, Figures};
use super::axis::Axis;
use super::bars::{self, Bar, Form, Row};
use super::canvas::Labels;
use super::ink::Ink;
use super::methods::in_words;
use super::{Chart, Comparison, Key, KeyShape, Table, Width};
use crate::units;

/// A figure of a run that may be missing.
type Figure = fn(&Run) -> Option<u64>;

/// A part of a method's cost: its ink, its name in a legend and its figure.
struct Part {
    ink: Ink,
    name: &'static str,
    heading: &'static str,
    figure: Figure,
}

/// A method's cost: the median of each part.
struct Cost<'a> {
    method: Figures<'a>,
    medians: Vec<Option<u64>>,
}

/// Wall time divided into both sides' processor time and waiting, in one stacked bar.
pub(super) fn processor(comparison: &Comparison) -> Option<Chart> {
    let parts = [
        Part { ink: Ink::Wallet, name: "wallet", heading: "Wallet", figure: |run| run.client_cpu_us },
        Part { ink: Ink::Server, name: "server or node", heading: "Server or node", figure: |run| run.server_cpu_us },
        Part { ink: Ink::Waiting, name: "waiting", heading: "Waiting", figure: |run| run.waiting_us },
    ];
    let costs = costs(comparison, &parts);
    let sum = |cost: &Cost<'_>| cost.medians.iter().flatten().fold(0, |sum: u64, part| sum.saturating_add(*part));
    let most = costs.iter().map(sum).max()?;
    let bars = |cost: &Cost<'_>| {
        let mut from = 0u64;
        let stacked = parts.iter().zip(&cost.medians).filter_map(|(part, median)| {
            let to = from.saturating_add((*median)?);
            let bar = Bar { ink: part.ink, from, to };
            from = to;
            (bar.to > bar.from).then_some(bar)
        });
        stacked.collect()
    };
    let rows: Vec<Row> = costs.iter().map(|cost| row(cost, bars(cost), shown_time)).collect();
    let (id, title) = ("cpu", "Processor time and waiting");
    let labels = Labels { id, title, description: &format!("Wallet / server / waiting. {}", in_words(&rows)) };
    let svg = bars::draw(&labels, &Axis::time("processor time and waiting", most), Form::Stacked, &rows);
    let caption = "Processor time of each process, and waiting: the wall time beyond both. Processes that compute at \
                   once, or on several cores, spend more than the wall time and show no waiting."
        .to_owned();
    let table = table(&costs, &parts, shown_time);
    Some(Chart { id, title, width: Width::Half, caption, legend: legend(&parts), svg, table })
}

/// Peak memory of either side. Peaks at different times do not add up: their bars are not stacked.
pub(super) fn memory(comparison: &Comparison) -> Option<Chart> {
    let parts = [
        Part { ink: Ink::Wallet, name: "wallet", heading: "Wallet", figure: |run| run.client_peak_bytes },
        Part {
            ink: Ink::Server,
            name: "server or node",
            heading: "Server or node",
            figure: |run| run.server_peak_bytes,
        },
    ];
    let costs = costs(comparison, &parts);
    let most = costs.iter().flat_map(|cost| &cost.medians).flatten().max().copied()?;
    let bars = |cost: &Cost<'_>| {
        let bars = parts.iter().zip(&cost.medians);
        bars.filter_map(|(part, median)| median.map(|to| Bar { ink: part.ink, from: 0, to })).collect()
    };
    let rows: Vec<Row> = costs.iter().map(|cost| row(cost, bars(cost), units::bytes)).collect();
    let (id, title) = ("memory", "Memory");
    let labels = Labels { id, title, description: &format!("Wallet / server. {}", in_words(&rows)) };
    let svg = bars::draw(&labels, &Axis::bytes("peak above the memory before", most), Form::Beside, &rows);
    let caption = "Peak memory of each process above its memory before the first run, without mapped files.".to_owned();
    let table = table(&costs, &parts, units::bytes);
    Some(Chart { id, title, width: Width::Half, caption, legend: legend(&parts), svg, table })
}

/// The methods with at least one part measured.
fn costs<'a>(comparison: &'a Comparison, parts: &[Part]) -> Vec<Cost<'a>> {
    let costs = figures::measured(comparison).into_iter().map(|method| Cost {
        method,
        medians: parts.iter().map(|part| method.median_if_measured(part.figure)).collect(),
    });
    costs.filter(|cost| cost.medians.iter().any(Option::is_some)).collect()
}

fn row(cost: &Cost<'_>, bars: Vec<Bar>, show: fn(u64) -> String) -> Row {
    Row { name: cost.method.report.title.clone(), figure: shown(cost, show).join(" / "), bars, spread: None }
}

fn shown(cost: &Cost<'_>, show: fn(u64) -> String) -> Vec<String> {
    cost.medians.iter().map(|median| median.map_or_else(|| NOT_MEASURED.to_owned(), show)).collect()
}

fn legend(parts: &[Part]) -> Vec<Key> {
    parts.iter().map(|part| Key { ink: part.ink, shape: KeyShape::Bar, name: part.name.to_owned() }).collect()
}

fn table(costs: &[Cost<'_>], parts: &[Part], show: fn(u64) -> String) -> Table {
    let head = std::iter::once("Method").chain(parts.iter().map(|part| part.heading)).map(ToOwned::to_owned).collect();
    let cells = |cost: &Cost<'_>| [vec![cost.method.report.title.clone()], shown(cost, show)].concat();
    Table { head, rows: costs.iter().map(cells).collect(), note: None }
}
