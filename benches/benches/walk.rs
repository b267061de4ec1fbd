//! How fast is the walk, against reading the same bytes in order?
//!
//! Inputs of 1 GB in memory that no cache holds, warm by nature; one thread; 20,000 scripts and 10,000 outpoints watched,
//! none of which occurs.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rescan_benches::{Input, Masking, WATCHED_OUTPOINTS, WATCHED_SCRIPTS, strangers};
use rescan_fixtures::bulk::Shape;

fn walk(criterion: &mut Criterion) {
    let watch = strangers(WATCHED_SCRIPTS, WATCHED_OUTPOINTS);
    for (name, shape) in [("mainnet-shape", Shape::Mainnet), ("small-transactions", Shape::SmallTransactions)] {
        let input = Input::bulk(name, shape);
        let mut group = criterion.benchmark_group(format!("walk/{name}"));
        group
            .throughput(Throughput::Bytes(input.block_bytes()))
            .sample_size(10)
            .measurement_time(Duration::from_secs(4));
        group.bench_function("read", |bencher| bencher.iter(|| black_box(input.read())));
        group.bench_function("clear", |bencher| bencher.iter(|| black_box(input.walk(Masking::Clear, &watch))));
        group.bench_function("xored", |bencher| bencher.iter(|| black_box(input.walk(Masking::Masked, &watch))));
        group.finish();
    }
}

criterion_group!(benches, walk);
criterion_main!(benches);
