//! How does the cost of a walk grow with the watch set, from one script to a million, for wallets
//! with no history, with some, and with a match in every block?
//!
//! A bulk chain of 1 GB in memory, more than any cache holds, XORed like a fresh datadir, always
//! warm; one thread. *Quiet* watches scripts that do not occur, *ordinary* one script of every
//! hundredth block, *busy* one of every block. Matches are read in full and compared exactly, and
//! nothing is proven. `read` is the XOR of all words in order.

use std::hint::black_box;
use std::time::Duration;

use bitcoin::ScriptBuf;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rescan_benches::{Input, Masking, WATCHED_OUTPOINTS, watch_set_with};
use rescan_fixtures::bulk::Shape;

fn matching(criterion: &mut Criterion) {
    let input = Input::bulk("mainnet-shape", Shape::Mainnet);
    let mut group = criterion.benchmark_group("matching");
    group.throughput(Throughput::Bytes(input.block_bytes())).sample_size(10).measurement_time(Duration::from_secs(4));
    group.bench_function("read", |bencher| bencher.iter(|| black_box(input.read())));
    let wallets =
        [("quiet", Vec::new()), ("ordinary", input.scripts_of_every(100)), ("busy", input.scripts_of_every(1))];
    for (name, own) in &wallets {
        for scripts in [1, 1_000, 20_000, 100_000, 1_000_000] {
            // A wallet with history watches more than one script.
            let Some(others) = others(scripts, own) else { continue };
            let watch = watch_set_with(own, others, WATCHED_OUTPOINTS);
            group.bench_function(BenchmarkId::new(*name, scripts), |bencher| {
                bencher.iter(|| black_box(input.walk(Masking::Masked, &watch)));
            });
        }
    }
    group.finish();
}

/// The number of scripts that are missing to `all`; `None` if the wallet's own are more.
fn others(all: u32, own: &[ScriptBuf]) -> Option<u32> {
    all.checked_sub(u32::try_from(own.len()).ok()?)
}

criterion_group!(benches, matching);
criterion_main!(benches);
