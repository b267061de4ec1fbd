//! How fast is a block walked and matched, against reading the same bytes, and against other
//! libraries?
//!
//! Inputs of 1 GB in memory, more than any cache holds, always warm; one thread; 20,000 scripts and
//! 10,000 outpoints watched, none of which occurs. `read` is the XOR of all words in order.
//! `bitcoin_slices` and `bitcoin` read in the clear, use the same filters, and compare nothing
//! exactly.

use std::hint::black_box;
use std::time::Duration;

use bitcoin_test_data::blocks::mainnet_702861;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rescan_benches::{Input, Masking, WATCHED_OUTPOINTS, WATCHED_SCRIPTS, absent_watch_set, other_libraries};
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::watch_set::WatchSet;
use rescan_fixtures::bulk::Shape;

fn walk(criterion: &mut Criterion) {
    let watch = absent_watch_set(WATCHED_SCRIPTS, WATCHED_OUTPOINTS);
    measure(criterion, &Input::repeated("mainnet-702861", &[mainnet_702861().to_vec()]), &watch);
    measure(criterion, &Input::bulk("mainnet-shape", Shape::Mainnet), &watch);
    measure(criterion, &Input::bulk("small-transactions", Shape::SmallTransactions), &watch);
}

fn measure(criterion: &mut Criterion, input: &Input, watch: &WatchSet) {
    let coins = CoinMap::new(watch);
    let passed = |by: fn(&[u8], &WatchSet, &CoinMap) -> usize| -> usize {
        input.blocks(Masking::Clear).map(|block| by(block.bytes(), watch, &coins)).sum()
    };
    assert_eq!(
        passed(other_libraries::visit),
        passed(other_libraries::decode),
        "both parsers find the same inputs and outputs"
    );

    let mut group = criterion.benchmark_group(format!("walk/{}", input.name));
    group.throughput(Throughput::Bytes(input.block_bytes())).sample_size(10).measurement_time(Duration::from_secs(4));
    group.bench_function("read", |bencher| bencher.iter(|| black_box(input.read())));
    group.bench_function("clear", |bencher| bencher.iter(|| black_box(input.walk(Masking::Clear, watch))));
    group.bench_function("xored", |bencher| bencher.iter(|| black_box(input.walk(Masking::Masked, watch))));
    group.bench_function("bitcoin_slices", |bencher| bencher.iter(|| black_box(passed(other_libraries::visit))));
    group.bench_function("bitcoin", |bencher| bencher.iter(|| black_box(passed(other_libraries::decode))));
    group.finish();
}

criterion_group!(benches, walk);
criterion_main!(benches);
