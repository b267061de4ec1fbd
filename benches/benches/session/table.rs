//! What was measured, as tables for the README.

use rescan_client::compare::{Comparison, Run, WayId, WayResult};

/// Figures of one range and wallet: medians, a row for each way.
pub(crate) fn print(range: &str, wallet: &str, comparison: &Comparison) {
    let of = &comparison.range;
    println!(
        "\n{range} range, {wallet} wallet: {} blocks, {:.0} MB, {} scripts, {} transactions in {} blocks\n",
        of.blocks,
        of.bytes as f64 / 1e6,
        comparison.wallet.scripts,
        comparison.wallet.transactions,
        comparison.wallet.matching_blocks,
    );
    println!(
        "| way | ms (least to most) | first match ms | CPU ms wallet | server | received | sent | messages in | out | memory kB wallet | server |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for way in &comparison.ways {
        match &way.result {
            WayResult::LeftOut(why) => println!("| {} | left out: {why} |", way.title),
            WayResult::Measured(runs) => println!("| {} | {}", way.title, row(runs)),
        }
    }
    if comparison.curve.is_empty() {
        return;
    }
    println!(
        "\n| blocks that match | summaries ms | blocks ms | summaries' bytes | blocks' bytes | blocks / summaries |"
    );
    println!("|---|---|---|---|---|---|");
    for point in &comparison.curve {
        let of = |id: WayId| point.ways.iter().find(|way| way.id == id);
        if let (Some(summaries), Some(blocks)) = (of(WayId::Summaries), of(WayId::BlocksMatched)) {
            println!(
                "| {} | {:.1} | {:.1} | {} | {} | {:.1} |",
                point.matching_blocks,
                ms(summaries.wall_us),
                ms(blocks.wall_us),
                summaries.received_bytes,
                blocks.received_bytes,
                blocks.wall_us as f64 / summaries.wall_us as f64,
            );
        }
    }
}

fn row(runs: &[Run]) -> String {
    let walls = || runs.iter().map(|run| run.wall_us);
    let shown = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let time = |what: fn(&Run) -> Option<u64>| {
        median(runs, what).map_or_else(|| "-".to_owned(), |micros| format!("{:.1}", ms(micros)))
    };
    format!(
        "{} ({:.1} to {:.1}) | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        time(|run| Some(run.wall_us)),
        ms(walls().min().unwrap_or(0)),
        ms(walls().max().unwrap_or(0)),
        time(|run| run.first_match_us),
        time(|run| run.client_cpu_us),
        time(|run| run.server_cpu_us),
        shown(median(runs, |run| Some(run.received_bytes))),
        shown(median(runs, |run| Some(run.sent_bytes))),
        shown(median(runs, |run| Some(run.received_messages))),
        shown(median(runs, |run| Some(run.sent_messages))),
        shown(median(runs, |run| Some(run.client_peak_bytes? / 1_000))),
        shown(median(runs, |run| Some(run.server_peak_bytes? / 1_000))),
    )
}

/// The project's bars, met or not.
pub(crate) fn print_bars(wallet: &str, comparison: &Comparison, rates: &[f64]) {
    let wall = |id: WayId| median(runs(comparison, id), |run| Some(run.wall_us)).unwrap_or(0) as f64;
    let received = |id: WayId| median(runs(comparison, id), |run| Some(run.received_bytes)).unwrap_or(0) as f64;
    let summaries = wall(WayId::Summaries);
    let mut sorted = rates.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let rate = sorted[sorted.len() / 2];
    let shipped = comparison.range.bytes as f64 / (wall(WayId::BlocksMatched) / 1e6);
    println!("\n| bar, {wallet} wallet | found | |");
    println!("|---|---|---|");
    let bar = |what: &str, found: f64, least: f64| {
        println!("| {what} at least {least} | {found:.2} | {} |", if found >= least { "met" } else { "not met" });
    };
    println!("| the transport alone, GB/s | {:.2} | |", rate / 1e9);
    bar("blocks shipped and matched, of the transport alone: else this comparison is void,", shipped / rate, 0.7);
    bar("summaries against blocks matched, times", wall(WayId::BlocksMatched) / summaries, 4.0);
    bar("summaries against blocks decoded, times", wall(WayId::BlocksDecoded) / summaries, 20.0);
    let bytes = received(WayId::BlocksMatched) / received(WayId::Summaries);
    if wallet == "quiet" {
        bar("bytes of blocks against summaries, times", bytes, 1_000.0);
    } else {
        println!("| bytes of blocks against summaries, times | {bytes:.1} | |");
    }
}

fn runs(comparison: &Comparison, id: WayId) -> &[Run] {
    let way = comparison.ways.iter().find(|way| way.id == id);
    match way.map(|way| &way.result) {
        Some(WayResult::Measured(runs)) => runs,
        _ => &[],
    }
}

/// None where a run has no figure.
fn median(runs: &[Run], what: impl Fn(&Run) -> Option<u64>) -> Option<u64> {
    let mut values = runs.iter().map(what).collect::<Option<Vec<u64>>>()?;
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1e3
}
