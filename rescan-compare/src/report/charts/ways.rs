//! One figure a way: how long it took, and how much crossed.

use super::super::columns::time as shown_time;
use super::super::figures::{self, Figures};
use super::axis::Axis;
use super::bars::{self, Bar, Form, Row};
use super::canvas::Words;
use super::ink::Ink;
use super::{Chart, Comparison, Table, Width};
use crate::units;

/// How long each way took.
pub(super) fn time(comparison: &Comparison) -> Option<Chart> {
    let measured = figures::measured(comparison);
    let most = measured.iter().map(|figures| figures.wall.max).max()?;
    let row = |figures: &Figures<'_>| Row {
        name: figures.way.title.clone(),
        figure: shown_time(figures.wall.median),
        bars: vec![Bar { ink: Ink::Way(figures.way.id), from: 0, to: figures.wall.median }],
        spread: (figures.runs.len() > 1).then_some((figures.wall.min, figures.wall.max)),
    };
    let rows: Vec<Row> = measured.iter().map(row).collect();
    let several = rows.iter().any(|row| row.spread.is_some());
    let whiskers = if several { " The thin line reaches from the fastest run to the slowest." } else { "" };
    let (id, title) = ("time", "Time");
    let says = format!("From the first request to the whole answer.{whiskers}");
    let words = Words { id, title, description: &in_words(&rows) };
    let svg = bars::draw(&words, &Axis::time("wall time", most), Form::Stacked, &rows);
    let cells = |figures: &Figures<'_>| {
        let wall = figures.wall;
        let shown = [wall.min, wall.median, wall.max].map(shown_time);
        [vec![figures.way.title.clone()], shown.to_vec(), vec![figures.runs.len().to_string()]].concat()
    };
    let head = ["Way", "Least", "Median", "Most", "Runs"].map(ToOwned::to_owned).to_vec();
    let table = Table { head, rows: measured.iter().map(cells).collect(), note: None };
    Some(Chart { id, title, width: Width::Half, says, legend: Vec::new(), svg, table })
}

/// What crossed the socket, both ways, for each way.
pub(super) fn bytes(comparison: &Comparison) -> Option<Chart> {
    let measured = figures::measured(comparison);
    let least = measured.iter().map(Figures::crossed_bytes).min()?;
    let most = measured.iter().map(Figures::crossed_bytes).max()?;
    let row = |figures: &Figures<'_>| Row {
        name: figures.way.title.clone(),
        figure: units::bytes(figures.crossed_bytes()),
        bars: vec![Bar { ink: Ink::Way(figures.way.id), from: 0, to: figures.crossed_bytes() }],
        spread: None,
    };
    let rows: Vec<Row> = measured.iter().map(row).collect();
    let (id, title) = ("bytes", "Bytes over the socket");
    let words = Words { id, title, description: &in_words(&rows) };
    let axis = Axis::bytes_logarithmic("bytes received and sent (each line ten times the one before)", least, most);
    let svg = bars::draw(&words, &axis, Form::Dots, &rows);
    let cells = |figures: &Figures<'_>| {
        let sizes =
            [figures.median(|run| run.received_bytes), figures.median(|run| run.sent_bytes), figures.crossed_bytes()];
        [vec![figures.way.title.clone()], sizes.map(units::bytes).to_vec()].concat()
    };
    let head = ["Way", "Received", "Sent", "Both"].map(ToOwned::to_owned).to_vec();
    let table = Table { head, rows: measured.iter().map(cells).collect(), note: None };
    let says = "Received and sent by the wallet, on a logarithmic scale.".to_owned();
    Some(Chart { id, title, width: Width::Half, says, legend: Vec::new(), svg, table })
}

/// The rows for those who hear them.
pub(super) fn in_words(rows: &[Row]) -> String {
    let rows: Vec<String> = rows.iter().map(|row| format!("{}: {}.", row.name, row.figure)).collect();
    rows.join(" ")
}
