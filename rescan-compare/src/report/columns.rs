//! The columns of the table of all ways, which the page and the Markdown share.

use std::time::Duration;

use super::Comparison;
use super::figures::{self, Figures};
use crate::units;

/// What stands where nothing was measured.
pub(super) const NOT_MEASURED: &str = "\u{2013}";

/// A column: its heading, and what stands in it for a way; none where that was not measured.
pub(super) struct Column {
    pub(super) heading: &'static str,
    cell: fn(&Subject<'_>) -> Option<String>,
}

/// A way, with what its cells are held against.
struct Subject<'a> {
    own: Figures<'a>,
    first: Option<Figures<'a>>,
    nothing_matches: bool,
}

/// The columns after the way's own name.
pub(super) const COLUMNS: [Column; 11] = [
    Column { heading: "Time", cell: |way| Some(time(way.own.wall.median)) },
    Column { heading: "Least to most", cell: least_to_most },
    Column { heading: "Times the first", cell: times_the_first },
    Column { heading: "First match", cell: first_match },
    Column { heading: "CPU, wallet", cell: |way| way.own.median_if_measured(|run| run.client_cpu_us).map(time) },
    Column { heading: "CPU, server", cell: |way| way.own.median_if_measured(|run| run.server_cpu_us).map(time) },
    Column { heading: "Received", cell: |way| Some(units::bytes(way.own.median(|run| run.received_bytes))) },
    Column { heading: "Sent", cell: |way| Some(units::bytes(way.own.median(|run| run.sent_bytes))) },
    Column { heading: "Messages in\u{a0}/\u{a0}out", cell: messages },
    Column {
        heading: "Peak, wallet",
        cell: |way| way.own.median_if_measured(|run| run.client_peak_bytes).map(units::bytes),
    },
    Column {
        heading: "Peak, server",
        cell: |way| way.own.median_if_measured(|run| run.server_peak_bytes).map(units::bytes),
    },
];

/// The cells of each way that was measured, in the order of [`COLUMNS`].
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

fn least_to_most(way: &Subject<'_>) -> Option<String> {
    let wall = way.own.wall;
    Some(match way.own.runs.len() {
        1 => "one run".to_owned(),
        _ => format!("{} to {}", time(wall.min), time(wall.max)),
    })
}

fn times_the_first(way: &Subject<'_>) -> Option<String> {
    let first = way.first?;
    if std::ptr::eq(first.way, way.own.way) {
        return Some("1".to_owned());
    }
    units::times(way.own.wall.median, first.wall.median)
}

fn first_match(way: &Subject<'_>) -> Option<String> {
    let after = way.own.median_if_measured(|run| run.first_match_us).map(time);
    after.or_else(|| way.nothing_matches.then(|| "no match".to_owned()))
}

fn messages(way: &Subject<'_>) -> Option<String> {
    let received = way.own.median(|run| run.received_messages);
    let sent = way.own.median(|run| run.sent_messages);
    Some(format!("{} / {}", units::grouped(received), units::grouped(sent)))
}
