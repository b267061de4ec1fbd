//! The measurements, as tables for the README.

use rescan_compare::{Comparison, Method, MethodReport, Run};

/// Prints the figures of one range and wallet: medians, one row for each method.
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
    for way in &comparison.methods {
        if !way.runs().is_empty() {
            println!("| {} | {}", way.title, row(way));
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
        let of = |id: Method| point.methods.iter().find(|way| way.method == id);
        if let (Some(summaries), Some(blocks)) = (of(Method::Summaries), of(Method::BlocksMatched)) {
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

fn row(way: &MethodReport) -> String {
    let walls = || way.runs().iter().map(|run| run.wall_us);
    let count =
        |figure: fn(&Run) -> Option<u64>| way.median(figure).map_or_else(|| "-".to_owned(), |value| value.to_string());
    let time = |figure: fn(&Run) -> Option<u64>| {
        way.median(figure).map_or_else(|| "-".to_owned(), |micros| format!("{:.1}", ms(micros)))
    };
    format!(
        "{} ({:.1} to {:.1}) | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        time(|run| Some(run.wall_us)),
        ms(walls().min().unwrap_or(0)),
        ms(walls().max().unwrap_or(0)),
        time(|run| run.first_match_us),
        time(|run| run.client_cpu_us),
        time(|run| run.server_cpu_us),
        count(|run| Some(run.received_bytes)),
        count(|run| Some(run.sent_bytes)),
        count(|run| Some(run.received_messages)),
        count(|run| Some(run.sent_messages)),
        count(|run| Some(run.client_peak_bytes? / 1_000)),
        count(|run| Some(run.server_peak_bytes? / 1_000)),
    )
}

/// Prints the project's targets, met or not.
pub(crate) fn print_bars(wallet: &str, comparison: &Comparison, rates: &[f64]) {
    let median = |id: Method, figure: fn(&Run) -> Option<u64>| {
        let way = comparison.methods.iter().find(|way| way.method == id);
        way.and_then(|way| way.median(figure)).unwrap_or(0) as f64
    };
    let wall = |id: Method| median(id, |run| Some(run.wall_us));
    let received = |id: Method| median(id, |run| Some(run.received_bytes));
    let summaries = wall(Method::Summaries);
    let mut sorted = rates.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let rate = sorted[sorted.len() / 2];
    let shipped = comparison.range.bytes as f64 / (wall(Method::BlocksMatched) / 1e6);
    println!("\n| bar, {wallet} wallet | found | |");
    println!("|---|---|---|");
    let bar = |name: &str, found: f64, least: f64| {
        println!("| {name} at least {least} | {found:.2} | {} |", if found >= least { "met" } else { "not met" });
    };
    println!("| the transport alone, GB/s | {:.2} | |", rate / 1e9);
    bar("blocks shipped and matched, of the transport alone: else this comparison is void,", shipped / rate, 0.7);
    bar("summaries against blocks matched, times", wall(Method::BlocksMatched) / summaries, 4.0);
    bar("summaries against blocks decoded, times", wall(Method::BlocksDecoded) / summaries, 20.0);
    let bytes = received(Method::BlocksMatched) / received(Method::Summaries);
    if wallet == "quiet" {
        bar("bytes of blocks against summaries, times", bytes, 1_000.0);
    } else {
        println!("| bytes of blocks against summaries, times | {bytes:.1} | |");
    }
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1e3
}
