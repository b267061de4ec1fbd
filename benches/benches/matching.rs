//! What does it cost to look for more: watch sets of one script to a million, for wallets with no history, with some, and
//! with a match in every block?
//!
//! A bulk chain of 1 GB in memory that no cache holds, XORed as a fresh datadir is, warm by nature; one thread. *Quiet* is
//! scripts that do not occur. *Ordinary* and *busy* have a script in them of every hundredth block, and of every block:
//! what matches is read in full and compared exactly, nothing is proven. `read` is the XOR of all words in order.

use std::hint::black_box;
use std::time::Duration;

use bitcoin::ScriptBuf;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rescan_benches::{Input, Masking, WATCHED_OUTPOINTS, strangers_and};
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
            // A wallet with history has more than one script.
            let Some(others) = others(scripts, own) else { continue };
            let watch = strangers_and(own, others, WATCHED_OUTPOINTS);
            group.bench_function(BenchmarkId::new(*name, scripts), |bencher| {
                bencher.iter(|| black_box(input.walk(Masking::Masked, &watch)));
            });
        }
    }
    group.finish();
}

/// How many scripts are to be added to a wallet's own to make `all`.
fn others(all: u32, own: &[ScriptBuf]) -> Option<u32> {
    all.checked_sub(u32::try_from(own.len()).ok()?)
}

criterion_group!(benches, matching);
criterion_main!(benches);
