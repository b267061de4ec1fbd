//! One figure a method: time, and bytes over the socket.

use super::super::columns::time as shown_time;
use super::super::figures::{self, Figures};
use super::axis::Axis;
use super::bars::{self, Bar, Form, Row};
use super::canvas::Labels;
use super::ink::Ink;
use super::{Chart, Comparison, Table, Width};
use crate::units;

/// The wall time of each method.
pub(super) fn time(comparison: &Comparison) -> Option<Chart> {
    let measured = figures::measured(comparison);
    let most = measured.iter().map(|figures| figures.wall.max).max()?;
    let row = |figures: &Figures<'_>| Row {
        name: figures.report.title.clone(),
        figure: shown_time(figures.wall.median),
        bars: vec![Bar { ink: Ink::Method(figures.report.method), from: 0, to: figures.wall.median }],
        spread: (figures.runs.len() > 1).then_some((figures.wall.min, figures.wall.max)),
    };
    let rows: Vec<Row> = measured.iter().map(row).collect();
    let several = rows.iter().any(|row| row.spread.is_some());
    let whiskers = if several { " The thin line spans the fastest to the slowest run." } else { "" };
    let (id, title) = ("time", "Time");
    let caption = format!("From the first request to the whole answer.{whiskers}");
    let labels = Labels { id, title, description: &in_words(&rows) };
    let svg = bars::draw(&labels, &Axis::time("wall time", most), Form::Stacked, &rows);
    let cells = |figures: &Figures<'_>| {
        let wall = figures.wall;
        let shown = [wall.min, wall.median, wall.max].map(shown_time);
        [vec![figures.report.title.clone()], shown.to_vec(), vec![figures.runs.len().to_string()]].concat()
    };
    let head = ["Method", "Least", "Median", "Most", "Runs"].map(ToOwned::to_owned).to_vec();
    let table = Table { head, rows: measured.iter().map(cells).collect(), note: None };
    Some(Chart { id, title, width: Width::Half, caption, legend: Vec::new(), svg, table })
}

/// Bytes over the socket in both directions, for each method.
pub(super) fn bytes(comparison: &Comparison) -> Option<Chart> {
    let measured = figures::measured(comparison);
    let least = measured.iter().map(Figures::crossed_bytes).min()?;
    let most = measured.iter().map(Figures::crossed_bytes).max()?;
    let row = |figures: &Figures<'_>| Row {
        name: figures.report.title.clone(),
        figure: units::bytes(figures.crossed_bytes()),
        bars: vec![Bar { ink: Ink::Method(figures.report.method), from: 0, to: figures.crossed_bytes() }],
        spread: None,
    };
    let rows: Vec<Row> = measured.iter().map(row).collect();
    let (id, title) = ("bytes", "Bytes over the socket");
    let labels = Labels { id, title, description: &in_words(&rows) };
    let axis = Axis::bytes_logarithmic("bytes received and sent (each line ten times the one before)", least, most);
    let svg = bars::draw(&labels, &axis, Form::Dots, &rows);
    let cells = |figures: &Figures<'_>| {
        let sizes =
            [figures.median(|run| run.received_bytes), figures.median(|run| run.sent_bytes), figures.crossed_bytes()];
        [vec![figures.report.title.clone()], sizes.map(units::bytes).to_vec()].concat()
    };
    let head = ["Method", "Received", "Sent", "Both"].map(ToOwned::to_owned).to_vec();
    let table = Table { head, rows: measured.iter().map(cells).collect(), note: None };
    let caption = "Received and sent by the wallet, on a logarithmic scale.".to_owned();
    Some(Chart { id, title, width: Width::Half, caption, legend: Vec::new(), svg, table })
}

/// The rows as sentences, for screen readers.
pub(super) fn in_words(rows: &[Row]) -> String {
    let rows: Vec<String> = rows.iter().map(|row| format!("{}: {}.", row.name, row.figure)).collect();
    rows.join(" ")
}
