//! How much longer does an ordinary scan take beside derivations of millions of scripts?
//!
//! The scan derives 2,000 scripts that do not occur and walks a bulk chain of 1 GB, warm and
//! mapped; its time runs from the wallet's call to the summary. Beside it, other connections have
//! watch sets of 2,000,000 scripts each derived, which takes far longer. Medians of five scans.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::time::{Duration, Instant};

use futures::StreamExt;
use rescan_benches::{input_bytes, is_measuring, is_short};
use rescan_client::{GivenKeychain, ScanEvent, ScanRequest, WatchSet};
use rescan_core::request::GAP_LIMIT_MAX;
use rescan_fixtures::block_file_writer::BlockFileLayout;
use rescan_fixtures::bulk::{BulkSpec, Busyness, ChainLength, write_block_files};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::blocks::page_cache::PageCache;
use rescan_tests::{Manner, TestServer};

fn main() {
    if !is_measuring() {
        return;
    }
    rescan_server::allocator::keep_large_buffers();
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let mut server =
        TestServer::new(Manner { workers, is_mapped: true, page_cache: PageCache::Keep, ..Manner::default() });
    let mut spec = BulkSpec::new(ChainLength::Bytes(input_bytes()));
    spec.busyness = Busyness::Absent;
    write_block_files(spec, &server.datadir(), BlockFileLayout::default()).expect("the disk has room");
    server.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        scan(&server).await;
        println!("| derivations beside it | scan | of alone | scripts derived meanwhile, a second |");
        println!("|---|---|---|---|");
        let alone = measure(&server, 0, None).await;
        for beside in [1, 3] {
            measure(&server, beside, Some(alone)).await;
        }
    });
}

/// Prints a row, and returns the scan's time.
async fn measure(server: &TestServer, beside: usize, alone: Option<Duration>) -> Duration {
    let mut watch_sets = Vec::new();
    for _ in 0..beside {
        let client = server.client().await;
        let watch_set = client.watch(keychains(GAP_LIMIT_MAX)).await.expect("the server takes a watch set");
        while derived(&watch_set).await == 0 {
            tokio::task::yield_now().await;
        }
        watch_sets.push(watch_set);
    }
    let mut times = Vec::new();
    let (start, before) = (Instant::now(), derived_of_all(&watch_sets).await);
    for _ in 0..if is_short() { 1 } else { 5 } {
        times.push(scan(server).await);
    }
    let rate = (derived_of_all(&watch_sets).await - before) as f64 / start.elapsed().as_secs_f64();
    times.sort_unstable();
    let time = times[times.len() / 2];
    let ratio = time.as_secs_f64() / alone.unwrap_or(time).as_secs_f64();
    println!("| {beside} | {:.0} ms | {ratio:.1} | {rate:.0} |", time.as_secs_f64() * 1e3);
    time
}

async fn derived_of_all(watch_sets: &[WatchSet]) -> u64 {
    let mut all = 0;
    for watch_set in watch_sets {
        all += derived(watch_set).await;
    }
    all
}

async fn derived(watch_set: &WatchSet) -> u64 {
    watch_set.progress().await.expect("the server counts").scripts_derived
}

/// Two keychains of a wallet that the chain does not have.
fn keychains(gap_limit: u32) -> ScanRequest {
    let wallet = TestWallet::new("nobody");
    [ScriptKind::P2wpkh, ScriptKind::P2pkh].into_iter().fold(ScanRequest::new(), |request, kind| {
        request.keychain(GivenKeychain::new(wallet.descriptor(kind)).gap_limit(gap_limit))
    })
}

/// The time of an ordinary scan, over a connection of its own.
async fn scan(server: &TestServer) -> Duration {
    let client = server.client().await;
    let start = Instant::now();
    let mut stream = client.scan(keychains(1_000)).await.expect("the server takes a scan");
    while let Some(event) = stream.next().await {
        if matches!(event.expect("the scan succeeds"), ScanEvent::Finished(_)) {
            return start.elapsed();
        }
    }
    panic!("a summary ends the stream");
}
