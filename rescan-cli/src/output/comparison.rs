//! The tables of a comparison for a terminal: medians of the runs.

use std::time::Duration;

use rescan_compare::{Comparison, CurvePoint, CurveRun, Method, MethodReport, MethodResult, Run, units};

use super::tables::{lines, table};

/// A finished comparison: times, then traffic and memory, then the curve, then missing figures.
pub(crate) fn text(comparison: &Comparison) -> String {
    let mut parts = vec![subject(comparison), times(&comparison.methods), weights(&comparison.methods)];
    parts.extend(comparison.methods.iter().filter_map(|report| match &report.result {
        MethodResult::LeftOut(reason) => Some(format!("{} was left out: {reason}\n", report.title)),
        MethodResult::Measured(_) => None,
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
    let runs = comparison.methods.iter().map(|report| report.runs().len()).max().unwrap_or(0);
    format!(
        "heights {} to {}: {} ({}); {} watched, {} in {}\n{}, {} cores; each method after one run that is not counted, medians \
         of {runs}; all gave the same answer\n",
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

fn times(methods: &[MethodReport]) -> String {
    let mut table = table(
        &["method", "time", "of the first", "first match", "wallet's CPU", "server's CPU", "waiting"],
        &[1, 2, 3, 4, 5, 6],
    );
    let first = methods.first().and_then(|report| report.median(|run| Some(run.wall_us)));
    for report in methods.iter().filter(|report| !report.runs().is_empty()) {
        let wall = report.median(|run| Some(run.wall_us));
        let time = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), duration);
        table.add_row([
            report.title.clone(),
            time(wall),
            times_of(wall, first),
            time(report.median(|run| run.first_match_us)),
            time(report.median(|run| run.client_cpu_us)),
            time(report.median(|run| run.server_cpu_us)),
            time(report.median(|run| run.waiting_us)),
        ]);
    }
    lines(&table)
}

fn weights(methods: &[MethodReport]) -> String {
    let header =
        ["method", "received", "of the first", "sent", "messages in", "out", "wallet's memory", "server's memory"];
    let mut table = table(&header, &[1, 2, 3, 4, 5, 6, 7]);
    let first = methods.first().and_then(|report| report.median(|run| Some(run.received_bytes)));
    for report in methods.iter().filter(|report| !report.runs().is_empty()) {
        let of = |figure: fn(&Run) -> Option<u64>| report.median(figure);
        let bytes = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), units::bytes);
        let count = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), units::grouped);
        table.add_row([
            report.title.clone(),
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
    let mut methods: Vec<Method> = points.iter().flat_map(|point| &point.methods).map(|run| run.method).collect();
    methods.sort_unstable();
    methods.dedup();
    let name = |method: &Method| match method {
        Method::Summaries => "summaries",
        _ => "blocks",
    };
    let mut header = vec!["blocks that match".to_owned(), "of 1,000".to_owned()];
    header.extend(methods.iter().map(|method| format!("{}: time", name(method))));
    header.extend(methods.iter().map(|method| format!("{}: received", name(method))));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = table(&header, &(0..header.len()).collect::<Vec<_>>());
    for point in points {
        let of = |method: &Method| point.methods.iter().find(|run| run.method == *method);
        let shown = |figure: fn(&CurveRun) -> String| {
            methods.iter().map(move |method| of(method).map_or_else(|| "-".to_owned(), figure))
        };
        let mut row = vec![units::grouped(point.matching_blocks), units::grouped(point.matching_per_mille.into())];
        row.extend(shown(|run| duration(run.wall_us)));
        row.extend(shown(|run| units::bytes(run.received_bytes)));
        table.add_row(row);
    }
    lines(&table)
}

/// The value as a multiple of the first.
fn times_of(value: Option<u64>, first: Option<u64>) -> String {
    value.zip(first).and_then(|(value, first)| units::times(value, first)).unwrap_or_else(|| "-".to_owned())
}

fn duration(micros: u64) -> String {
    units::duration(Duration::from_micros(micros))
}
