//! The tables of a comparison: the median of the runs for each figure.

use std::time::Duration;

use rescan_compare::{Comparison, CurvePoint, CurveRun, Run, Way, WayId, WayResult, units};

use super::tables::{lines, table};

/// A finished comparison: times, then bytes and memory, then the curve, then the limits of the measurement.
pub(crate) fn text(comparison: &Comparison) -> String {
    let mut parts = vec![subject(comparison), times(&comparison.ways), weights(&comparison.ways)];
    parts.extend(comparison.ways.iter().filter_map(|way| match &way.result {
        WayResult::LeftOut(why) => Some(format!("{} was left out: {why}\n", way.title)),
        WayResult::Measured(_) => None,
    }));
    if !comparison.curve.is_empty() {
        parts.push(curve(&comparison.curve));
    }
    let left_out = comparison.not_measured.iter().map(|sentence| format!("  {sentence}\n"));
    parts.push(format!("not measured:\n{}", left_out.collect::<String>()));
    parts.join("\n")
}

fn subject(comparison: &Comparison) -> String {
    let Comparison { range, wallet, machine, .. } = comparison;
    let runs = comparison.ways.iter().map(|way| way.runs().len()).max().unwrap_or(0);
    format!(
        "heights {} to {}: {} ({}); {} watched, {} in {}\n{}, {} cores; each way after one run that is not counted, medians of \
         {runs}; all gave the same answer\n",
        range.from_height,
        range.to_height,
        units::counted(range.blocks, "block"),
        units::bytes(range.bytes),
        units::counted(wallet.scripts, "script"),
        units::counted(wallet.transactions, "matching transaction"),
        units::counted(wallet.matching_blocks, "block"),
        machine.processor,
        machine.cores,
    )
}

fn times(ways: &[Way]) -> String {
    let mut table =
        table(&["way", "time", "of the first", "first match", "wallet's CPU", "server's CPU"], &[1, 2, 3, 4, 5]);
    let first = ways.first().and_then(|way| way.median(|run| Some(run.wall_us)));
    for way in ways.iter().filter(|way| !way.runs().is_empty()) {
        let wall = way.median(|run| Some(run.wall_us));
        let time = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), duration);
        table.add_row([
            way.title.clone(),
            time(wall),
            times_of(wall, first),
            time(way.median(|run| run.first_match_us)),
            time(way.median(|run| run.client_cpu_us)),
            time(way.median(|run| run.server_cpu_us)),
        ]);
    }
    lines(&table)
}

fn weights(ways: &[Way]) -> String {
    let header =
        ["way", "received", "of the first", "sent", "messages in", "out", "wallet's memory", "server's memory"];
    let mut table = table(&header, &[1, 2, 3, 4, 5, 6, 7]);
    let first = ways.first().and_then(|way| way.median(|run| Some(run.received_bytes)));
    for way in ways.iter().filter(|way| !way.runs().is_empty()) {
        let of = |figure: fn(&Run) -> Option<u64>| way.median(figure);
        let bytes = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), units::bytes);
        let count = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), units::grouped);
        table.add_row([
            way.title.clone(),
            bytes(of(|run| Some(run.received_bytes))),
            times_of(of(|run| Some(run.received_bytes)), first),
            bytes(of(|run| Some(run.sent_bytes))),
            count(of(|run| Some(run.received_messages))),
            count(of(|run| Some(run.sent_messages))),
            bytes(of(|run| run.client_peak_bytes)),
            bytes(of(|run| run.server_peak_bytes)),
        ]);
    }
    lines(&table)
}

fn curve(points: &[CurvePoint]) -> String {
    let mut ids: Vec<WayId> = points.iter().flat_map(|point| &point.ways).map(|run| run.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let name = |id: &WayId| match id {
        WayId::Summaries => "summaries",
        _ => "blocks",
    };
    let mut header = vec!["blocks that match".to_owned(), "of 1,000".to_owned()];
    header.extend(ids.iter().map(|id| format!("{}: time", name(id))));
    header.extend(ids.iter().map(|id| format!("{}: received", name(id))));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = table(&header, &(0..header.len()).collect::<Vec<_>>());
    for point in points {
        let of = |id: &WayId| point.ways.iter().find(|run| run.id == *id);
        let shown =
            |figure: fn(&CurveRun) -> String| ids.iter().map(move |id| of(id).map_or_else(|| "-".to_owned(), figure));
        let mut row = vec![units::grouped(point.matching_blocks), units::grouped(point.matching_per_mille.into())];
        row.extend(shown(|run| duration(run.wall_us)));
        row.extend(shown(|run| units::bytes(run.received_bytes)));
        table.add_row(row);
    }
    lines(&table)
}

/// The ratio to the first method.
fn times_of(value: Option<u64>, first: Option<u64>) -> String {
    value.zip(first).and_then(|(value, first)| units::times(value, first)).unwrap_or_else(|| "-".to_owned())
}

fn duration(micros: u64) -> String {
    units::duration(Duration::from_micros(micros))
}
