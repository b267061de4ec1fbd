//! The scan: against Bitcoin Core's own answers, and against the oracle on random chains.

#![expect(clippy::unwrap_used, reason = "tests")]

mod core_answers;
mod damaged_headers;
mod faults;
mod moved_files;
mod random_chains;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use bitcoin::{NetworkKind, ScriptBuf};
use rescan_core::descriptor::Keychain;
use rescan_core::network::Network;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{BlockReport, Failure, Origin, Outcome};
use rescan_core::request::Verify;
use rescan_core::watch::{WatchSet, WatchSetBuilder};
use rescan_server::block_file::Access;
use rescan_server::cancel::Cancel;
use rescan_server::chain::{Chain, ChainConfig};
use rescan_server::scan::{Scan, ScanPlan, ScanTotals, SegmentSize, WorkerPool};

/// A chain read from files, with its state in a directory of its own.
struct ReadChain {
    chain: Arc<Chain>,
    _state_dir: tempfile::TempDir,
}

impl ReadChain {
    fn open(blocks_dir: &Path, access: Access) -> Self {
        let state_dir = tempfile::tempdir().unwrap();
        let config = ChainConfig {
            blocks_dir: blocks_dir.to_owned(),
            network: Some(Network::Regtest),
            signet_challenge: None,
            state_dir: state_dir.path().to_owned(),
            access,
        };
        let chain = Arc::new(Chain::open(config).unwrap());
        chain.refresh(&Cancel::new()).unwrap();
        Self { chain, _state_dir: state_dir }
    }
}

/// How a scan is run; no choice of these may change its answer.
#[derive(Clone, Copy, Debug)]
struct Manner {
    workers: usize,
    verify: Verify,
    size: SegmentSize,
}

impl Manner {
    fn with_workers(workers: usize) -> Self {
        Self { workers, verify: Verify::Reported, size: SegmentSize::default() }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    reports: Vec<BlockReport>,
    totals: ScanTotals,
    outcome: Outcome,
}

fn scan(chain: &ReadChain, watch: &Arc<WatchSet>, keychain_count: u32, manner: Manner) -> Result<Answer, Failure> {
    let snapshot = chain.chain.newest().unwrap();
    let range = HeightRange::new(Height(0), snapshot.tip().unwrap().height).unwrap();
    let watch = Arc::clone(watch);
    let Manner { workers, verify, size } = manner;
    let plan = ScanPlan { snapshot, range, watch, keychain_count, verify, segment_size: size };
    let pool = WorkerPool::new(NonZeroUsize::new(workers).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut scan = Scan::start(&pool, Arc::clone(&chain.chain), plan, Cancel::new());
        let mut reports = Vec::new();
        while let Some(more) = scan.next().await? {
            reports.extend(more);
        }
        Ok(Answer { reports, totals: scan.totals(), outcome: scan.outcome().unwrap() })
    })
}

/// The watch set of ranged descriptors over the indexes 0 to 999.
fn watch_descriptors<'a>(descriptors: impl IntoIterator<Item = &'a str>) -> Arc<WatchSet> {
    let mut builder = WatchSetBuilder::new();
    for (keychain, descriptor) in (0..).zip(descriptors) {
        let parsed = Keychain::parse(descriptor, NetworkKind::Test).unwrap();
        for index in 0..1_000 {
            let mut scripts = Vec::new();
            parsed.scripts(index, &mut scripts).unwrap();
            for script in scripts {
                builder.add_script(script.as_bytes(), Origin::Keychain { keychain, index: Some(index) }).unwrap();
            }
        }
    }
    Arc::new(builder.build())
}

fn watch_scripts(scripts: &[ScriptBuf]) -> Arc<WatchSet> {
    let mut builder = WatchSetBuilder::new();
    for (number, script) in (0..).zip(scripts) {
        builder.add_script(script.as_bytes(), Origin::Script(number)).unwrap();
    }
    Arc::new(builder.build())
}
