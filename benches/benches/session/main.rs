//! How much cheaper is a rescan if only summaries cross the socket instead of full blocks? The
//! project's main comparison.
//!
//! The methods of `rescan compare`, by its own code: same files, same wallet, same socket, answers
//! checked equal. The server is a separate process, so that processor time and memory are measured
//! for each side. A chain of 1 GB, whole and its last blocks alone, for three wallets: a quiet one
//! with transactions in a few blocks, one with a match in every tenth block, and one with a match
//! in every block. For reference, the bandwidth of the idle transport: shipped blocks far below it
//! would be a straw man.
//!
//! Requires the server's program in the same profile: `cargo build --release -p rescan-server`.
//! `RESCAN_BENCH_DIR` names a folder on a disk for the chain; an existing one is reused.
//! `RESCAN_BENCH_SHORT` makes everything small, to see that it runs.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its table and its steps")]

mod table;
mod transport;

use std::num::NonZeroU32;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use bitcoin::consensus::deserialize;
use bitcoin::{Block, ScriptBuf};
use futures::StreamExt;
use rescan_benches::{is_measuring, is_short};
use rescan_client::position::Height;
use rescan_client::{BlockEvent, Client, GivenKeychain, RangeEnd, RangeRequest, RangeStart};
use rescan_compare::{CompareRequest, Comparison, Curve, RUNS_DEFAULT, compare};
use rescan_fixtures::block_file_writer::BlockFileLayout;
use rescan_fixtures::bulk::{BulkSpec, Busyness, ChainLength, write_block_files};
use rescan_tests::{Manner, ServerProcess, TestServer};

/// Bytes of the whole chain: more than any cache holds.
const BYTES: u64 = 1_000_000_000;

/// Blocks of the small range, at the end of the chain.
const SMALL_RANGE_BLOCKS: u32 = 20;

/// The ordinary wallet has a match in every block of this many.
const ORDINARY_EVERY: usize = 10;

fn main() {
    if !is_measuring() {
        return;
    }
    // Like the server.
    rescan_server::allocator::keep_large_buffers();
    let (bytes, runs) = if is_short() { (20_000_000, NonZeroU32::MIN) } else { (BYTES, RUNS_DEFAULT) };
    let made = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let directory = std::env::var_os("RESCAN_BENCH_DIR").map_or_else(|| made.path().to_owned(), PathBuf::from);
    let mut spec = BulkSpec::new(ChainLength::Bytes(bytes));
    spec.busyness = Busyness::Quiet;
    let datadir = directory.join("quiet");
    if !datadir.join("wallet.json").exists() {
        write_block_files(spec, &datadir, BlockFileLayout::default()).expect("the disk has room");
    }
    let place = TestServer::new(Manner::default());
    symlink(datadir.canonicalize().expect("it is there"), place.datadir()).expect("nothing lies there yet");
    let server = ServerProcess::start(&program(), &place, &["--network", "regtest", "--page-cache", "keep"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(&server, &spec.descriptors(), bytes, runs));
}

/// The server's program, in the parent of this bench's directory.
fn program() -> PathBuf {
    let own = std::env::current_exe().expect("the system names the running program");
    let profile = own.parent().and_then(Path::parent).expect("benches are built two levels below the target directory");
    profile.join("rescan-server")
}

async fn measure(server: &ServerProcess, descriptors: &[String], bytes: u64, runs: NonZeroU32) {
    let client = server.client().await;
    let scripts = scripts_of_blocks(&client).await;
    let every = |step: usize| scripts.iter().step_by(step).map(raw).collect::<Vec<_>>();
    let wallets = [
        ("quiet", descriptors.iter().map(GivenKeychain::from).collect()),
        ("ordinary", every(ORDINARY_EVERY)),
        ("busy", every(1)),
    ];
    let tip = client.info().await.expect("it answers").chain.tip.expect("there are blocks").height.0;
    for (range, from) in [("whole", 0), ("small", tip.saturating_sub(SMALL_RANGE_BLOCKS - 1))] {
        for (name, keychains) in &wallets {
            let curve = if (range, *name) == ("whole", "quiet") { Curve::Measured } else { Curve::LeftOut };
            // A machine's speed differs from minute to minute: measure the transport before and
            // after the comparison.
            let transport = || transport::bytes_per_second(bytes);
            let mut rates = vec![transport(), transport()];
            let comparison = compared(&client, keychains, from, runs, curve).await;
            rates.extend([transport(), transport()]);
            table::print(range, name, &comparison);
            // The figures of a short run mean nothing.
            if range == "whole" && bytes >= BYTES {
                table::print_bars(name, &comparison, &rates);
            }
        }
    }
}

async fn compared(
    client: &Client,
    keychains: &[GivenKeychain],
    from: u32,
    runs: NonZeroU32,
    curve: Curve,
) -> Comparison {
    let request = CompareRequest {
        keychains: keychains.to_vec(),
        from_height: Some(from),
        to_height: None,
        runs,
        curve,
        node: None,
        command: "cargo bench -p rescan-benches --bench session".to_owned(),
    };
    let mut tell = |step: &rescan_compare::Step| eprintln!("{}/{}: {}", step.done, step.total, step.doing);
    compare(client, &request, &mut tell).await.unwrap_or_else(|error| panic!("no comparison: {error}"))
}

fn raw(script: &ScriptBuf) -> GivenKeychain {
    GivenKeychain::new(format!("raw({})", script.to_hex_string()))
}

/// The first output of the last transaction of each block.
async fn scripts_of_blocks(client: &Client) -> Vec<ScriptBuf> {
    let range = RangeRequest { from: RangeStart::Height(Height(1)), to: RangeEnd::Tip };
    let mut blocks = client.blocks(range).await.expect("it takes requests");
    let mut scripts = Vec::new();
    while let Some(event) = blocks.next().await {
        if let BlockEvent::Block(block) = event.expect("the chain is whole") {
            let block: Block = deserialize(&block.data).expect("it is a block");
            let output = block.txdata.last().and_then(|transaction| transaction.output.first());
            scripts.extend(output.map(|output| output.script_pubkey.clone()));
        }
    }
    scripts
}
