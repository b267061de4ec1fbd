//! What share of the speed of reading does the walk reach? The project's bars, in one run.
//!
//! Criterion measures one thing after another; on a shared machine a ratio needs its two sides side by side. Here nine
//! rounds each time every arm once, and medians are compared. `RESCAN_BENCH_BLOCKS` may name a folder of raw blocks
//! (`*.blk`), real ones say, which are then measured too.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use rescan_benches::{Input, Masking, WATCHED_OUTPOINTS, WATCHED_SCRIPTS, strangers};
use rescan_core::watch::WatchSet;
use rescan_fixtures::bulk::Shape;

const ROUNDS: usize = 9;

fn main() {
    // `cargo test` runs benches too, to see that they run; what they measure is asked for with `cargo bench`.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let watch = strangers(WATCHED_SCRIPTS, WATCHED_OUTPOINTS);
    println!("| input | search GB/s | read GB/s | walk, clear | of reading | walk, XORed | of reading |");
    println!("|---|---|---|---|---|---|---|");
    measure(&Input::bulk("mainnet's shape", Shape::Mainnet), &watch);
    measure(&Input::bulk("small transactions", Shape::SmallTransactions), &watch);
    if let Some(folder) = std::env::var_os("RESCAN_BENCH_BLOCKS") {
        measure(&Input::repeated("given blocks", &blocks_in(Path::new(&folder))), &watch);
    }
}

fn measure(input: &Input, watch: &WatchSet) {
    let mut times: [Vec<Duration>; 4] = Default::default();
    // As much memory as the input's without a byte that is searched for: shows that `read` is an honest baseline.
    let ones = vec![1; usize::try_from(input.block_bytes()).expect("the input is in memory")];
    for _ in 0..ROUNDS {
        let arms: [&dyn Fn() -> u64; 4] = [
            &|| memchr::memchr(0, &ones).map_or(0, |at| at as u64),
            &|| input.read(),
            &|| input.walk(Masking::Clear, watch) as u64,
            &|| input.walk(Masking::Masked, watch) as u64,
        ];
        for (arm, times) in arms.iter().zip(&mut times) {
            let start = Instant::now();
            black_box(arm());
            times.push(start.elapsed());
        }
    }
    let rates = times.map(|mut times| {
        times.sort_unstable();
        input.block_bytes() as f64 / times[ROUNDS / 2].as_secs_f64() / 1e9
    });
    let [search, read, clear, masked] = rates;
    let name = input.name;
    println!(
        "| {name} | {search:.1} | {read:.1} | {clear:.1} | {:.2} | {masked:.1} | {:.2} |",
        clear / read,
        masked / read
    );
}

fn blocks_in(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("RESCAN_BENCH_BLOCKS names a folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "blk"));
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no *.blk", folder.display());
    paths.iter().map(|path| std::fs::read(path).expect("the block can be read")).collect()
}
