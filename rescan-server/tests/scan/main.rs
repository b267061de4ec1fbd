//! The scan: against Bitcoin Core's own answers, and against the oracle on random chains.

#![expect(clippy::unwrap_used, reason = "tests")]

mod closure;
mod core_answers;
mod damaged_headers;
mod faults;
mod moved_files;
mod random_chains;
mod rematched;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use bitcoin::{NetworkKind, ScriptBuf};
use rescan_core::chain::network::Network;
use rescan_core::history::History;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{BlockReport, Failure, KeychainUse, Origin, Outcome};
use rescan_core::request::{Deliver, Extras, GivenKeychain, Verify};
use rescan_core::watching::descriptor::Keychain;
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};
use rescan_server::blocks::block_file::Access;
use rescan_server::cancel::Cancel;
use rescan_server::chain::{Chain, ChainConfig};
use rescan_server::scan::{
    GapLimit, LookaheadConfig, Scan, ScanPlan, ScanTotals, SegmentSize, WatchedKeychain, WorkerPool,
};

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

impl Answer {
    /// Without what may depend on timing: how much was derived ahead, and when.
    fn timeless(mut self) -> Self {
        self.totals.passes = 0;
        self.totals.watched_through.clear();
        self
    }
}

/// What is looked for to begin with, and the keychains that it may grow by.
#[derive(Clone)]
struct Wanted {
    watch: Arc<WatchSet>,
    keychains: Arc<[WatchedKeychain]>,
}

/// A scan of all of a chain for all history, nothing covered before.
fn plan(chain: &ReadChain, wanted: &Wanted, manner: Manner) -> ScanPlan {
    let snapshot = chain.chain.newest().unwrap();
    ScanPlan {
        range: HeightRange::new(Height(0), snapshot.tip().unwrap().height).unwrap(),
        snapshot,
        scanned: None,
        watch: Arc::clone(&wanted.watch),
        keychains: Arc::clone(&wanted.keychains),
        scripts_max: 1_000_000,
        verify: manner.verify,
        deliver: Deliver::History,
        extras: Extras::default(),
        segment_size: manner.size,
        lookahead: LookaheadConfig::default(),
    }
}

fn scan(chain: &ReadChain, wanted: &Wanted, manner: Manner) -> Result<Answer, Failure> {
    run(chain, plan(chain, wanted, manner), manner.workers)
}

/// Runs a scan to its end. What came late is merged into the rest.
fn run(chain: &ReadChain, plan: ScanPlan, workers: usize) -> Result<Answer, Failure> {
    let pool = WorkerPool::new(NonZeroUsize::new(workers).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut scan = Scan::start(&pool, Arc::clone(&chain.chain), plan, Cancel::new());
        let mut history = History::new();
        while let Some(more) = scan.next().await? {
            more.into_iter().for_each(|report| history.add(report));
        }
        Ok(Answer {
            reports: history.into_reports().collect(),
            totals: scan.totals(),
            outcome: scan.outcome().unwrap(),
        })
    })
}

/// Descriptors, watched up to a gap limit of 1,000.
fn watch_descriptors<'a>(descriptors: impl IntoIterator<Item = &'a str>) -> Wanted {
    watch_keychains(descriptors.into_iter().map(GivenKeychain::from))
}

/// Keychains, and what their gap limit reaches before any use.
fn watch_keychains(given: impl IntoIterator<Item = GivenKeychain>) -> Wanted {
    let mut builder = WatchSetBuilder::new();
    let mut keychains = Vec::new();
    for (number, given) in (0..).zip(given) {
        let keychain = Keychain::parse(&given.descriptor, NetworkKind::Test).unwrap();
        let gap_limit = keychain.is_ranged().then_some(given.gap_limit);
        let rule = GapLimit { gap_limit, last_revealed: given.last_revealed };
        for index in 0..=rule.limit(KeychainUse::Unused).unwrap_or(0) {
            let mut scripts = Vec::new();
            keychain.scripts(index, &mut scripts).unwrap();
            let origin = Origin::Keychain { keychain: number, index: gap_limit.map(|_| index) };
            scripts.iter().for_each(|script| builder.add_script(script.as_bytes(), origin).unwrap());
        }
        keychains.push(WatchedKeychain { keychain, rule });
    }
    Wanted { watch: Arc::new(builder.build()), keychains: keychains.into() }
}

fn watch_scripts(scripts: &[ScriptBuf]) -> Wanted {
    let mut builder = WatchSetBuilder::new();
    for (number, script) in (0..).zip(scripts) {
        builder.add_script(script.as_bytes(), Origin::Script(number)).unwrap();
    }
    Wanted { watch: Arc::new(builder.build()), keychains: Arc::new([]) }
}
