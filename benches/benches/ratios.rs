//! How fast is the walk relative to plain reading, and how much do more scripts cost? The project's
//! targets, in one run.
//!
//! Criterion measures one arm after another; on a shared machine a ratio needs its two sides side
//! by side. Therefore nine interleaved rounds, and medians. `RESCAN_BENCH_BLOCKS` may name a folder
//! of raw blocks (`*.blk`) to measure as well.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::path::Path;
use std::time::{Duration, Instant};

use bitcoin_test_data::blocks::mainnet_702861;
use rescan_benches::{
    Input, Masking, WATCHED_OUTPOINTS, WATCHED_SCRIPTS, absent_script, absent_watch_set, is_measuring, medians,
    other_libraries,
};
use rescan_core::report::Origin;
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};
use rescan_fixtures::bulk::Shape;

fn main() {
    if !is_measuring() {
        return;
    }
    let watch = absent_watch_set(WATCHED_SCRIPTS, WATCHED_OUTPOINTS);
    println!(
        "| input | search GB/s | read GB/s | walk, clear | of reading | of bitcoin_slices | walk, XORed | of reading |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let bulk = Input::bulk("mainnet's shape", Shape::Mainnet);
    against_reading(&bulk, &watch);
    against_reading(&Input::bulk("small transactions", Shape::SmallTransactions), &watch);
    against_reading(&Input::repeated("mainnet block 702,861", &[mainnet_702861().to_vec()]), &watch);
    if let Some(folder) = std::env::var_os("RESCAN_BENCH_BLOCKS") {
        against_reading(&Input::repeated("given blocks", &blocks_in(Path::new(&folder))), &watch);
    }
    println!("\n| scripts | sealed in | walk, XORed | of 1,000 scripts |");
    println!("|---|---|---|---|");
    against_fewer(&bulk);
}

fn against_reading(input: &Input, watch: &WatchSet) {
    // A search for a byte that does not occur, in as much memory: it shows that `read` is an honest
    // baseline.
    let ones = vec![1; usize::try_from(input.block_bytes()).expect("the input is in memory")];
    let coins = CoinMap::new(watch);
    let arms: [&dyn Fn() -> usize; 5] = [
        &|| memchr::memchr(0, &ones).unwrap_or(0),
        &|| usize::from(input.read() == 0),
        &|| input.walk(Masking::Clear, watch),
        &|| input.walk(Masking::Masked, watch),
        &|| input.blocks(Masking::Clear).map(|block| other_libraries::visit(block.bytes(), watch, &coins)).sum(),
    ];
    let [search, read, clear, masked, slices] = medians(arms).map(|time| rate(input, time));
    println!(
        "| {} | {search:.1} | {read:.1} | {clear:.1} | {:.2} | {:.1} | {masked:.1} | {:.2} |",
        input.name,
        clear / read,
        clear / slices,
        masked / read
    );
}

fn against_fewer(input: &Input) {
    const SIZES: [u32; 4] = [1, 1_000, 100_000, 1_000_000];
    let sealed = SIZES.map(|scripts| {
        let given: Vec<_> = (0..scripts).map(absent_script).collect();
        let start = Instant::now();
        let mut builder = WatchSetBuilder::new();
        for (script, number) in given.iter().zip(0..) {
            builder.add_script(script.as_bytes(), Origin::Script(number)).expect("it can be watched");
        }
        (builder.build(), start.elapsed())
    });
    let [one, thousand, hundred_thousand, million] =
        sealed.each_ref().map(|(watch, _)| || input.walk(Masking::Masked, watch));
    let times = medians([&one, &thousand, &hundred_thousand, &million]);
    for ((scripts, (_, sealing)), time) in SIZES.iter().zip(&sealed).zip(&times) {
        println!(
            "| {scripts} | {:.1} ms | {:.1} GB/s | {:.2} |",
            sealing.as_secs_f64() * 1e3,
            rate(input, *time),
            time.as_secs_f64() / times[1].as_secs_f64()
        );
    }
}

fn rate(input: &Input, time: Duration) -> f64 {
    input.block_bytes() as f64 / time.as_secs_f64() / 1e9
}

fn blocks_in(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("RESCAN_BENCH_BLOCKS names a folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "blk"));
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no *.blk", folder.display());
    paths.iter().map(|path| std::fs::read(path).expect("the block can be read")).collect()
}
