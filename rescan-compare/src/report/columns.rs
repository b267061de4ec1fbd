//! The columns of the table of all methods, for the page and the Markdown.

use std::time::Duration;

use super::Comparison;
use super::figures::{self, Figures};
use crate::units;

/// The cell of a missing figure.
pub(super) const NOT_MEASURED: &str = "\u{2013}";

/// A column: its heading, and its cell for a method; none if the figure is missing.
pub(super) struct Column {
    pub(super) heading: &'static str,
    cell: fn(&Subject<'_>) -> Option<String>,
}

/// A method, and the first one, for comparison.
struct Subject<'a> {
    own: Figures<'a>,
    first: Option<Figures<'a>>,
    nothing_matches: bool,
}

/// The columns after the method's name.
pub(super) const COLUMNS: [Column; 12] = [
    Column { heading: "Time", cell: |subject| Some(time(subject.own.wall.median)) },
    Column { heading: "Least to most", cell: least_to_most },
    Column { heading: "Times the first", cell: times_the_first },
    Column { heading: "First match", cell: first_match },
    Column {
        heading: "CPU, wallet",
        cell: |subject| subject.own.median_if_measured(|run| run.client_cpu_us).map(time),
    },
    Column {
        heading: "CPU, server",
        cell: |subject| subject.own.median_if_measured(|run| run.server_cpu_us).map(time),
    },
    Column { heading: "Waiting", cell: |subject| subject.own.median_if_measured(|run| run.waiting_us).map(time) },
    Column { heading: "Received", cell: |subject| Some(units::bytes(subject.own.median(|run| run.received_bytes))) },
    Column { heading: "Sent", cell: |subject| Some(units::bytes(subject.own.median(|run| run.sent_bytes))) },
    Column { heading: "Messages in\u{a0}/\u{a0}out", cell: messages },
    Column {
        heading: "Peak, wallet",
        cell: |subject| subject.own.median_if_measured(|run| run.client_peak_bytes).map(units::bytes),
    },
    Column {
        heading: "Peak, server",
        cell: |subject| subject.own.median_if_measured(|run| run.server_peak_bytes).map(units::bytes),
    },
];

/// The cells of each measured method, in the order of [`COLUMNS`].
pub(super) fn rows(comparison: &Comparison) -> Vec<(Figures<'_>, Vec<Option<String>>)> {
    let first = figures::first(comparison);
    let nothing_matches = comparison.wallet.matching_blocks == 0;
    let row =
        |own| (own, COLUMNS.iter().map(|column| (column.cell)(&Subject { own, first, nothing_matches })).collect());
    figures::measured(comparison).into_iter().map(row).collect()
}

/// Microseconds as a table shows them.
pub(super) fn time(us: u64) -> String {
    units::duration(Duration::from_micros(us))
}

fn least_to_most(subject: &Subject<'_>) -> Option<String> {
    let wall = subject.own.wall;
    Some(match subject.own.runs.len() {
        1 => "one run".to_owned(),
        _ => format!("{} to {}", time(wall.min), time(wall.max)),
    })
}

fn times_the_first(subject: &Subject<'_>) -> Option<String> {
    let first = subject.first?;
    if std::ptr::eq(first.report, subject.own.report) {
        return Some("1".to_owned());
    }
    units::times(subject.own.wall.median, first.wall.median)
}

fn first_match(subject: &Subject<'_>) -> Option<String> {
    let after = subject.own.median_if_measured(|run| run.first_match_us).map(time);
    after.or_else(|| subject.nothing_matches.then(|| "no match".to_owned()))
}

fn messages(subject: &Subject<'_>) -> Option<String> {
    let received = subject.own.median(|run| run.received_messages);
    let sent = subject.own.median(|run| run.sent_messages);
    Some(format!("{} / {}", units::grouped(received), units::grouped(sent)))
}
