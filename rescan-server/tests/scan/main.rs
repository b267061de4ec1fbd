//! Scans, compared with Bitcoin Core's own answers and with the oracle on random chains.

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

/// A chain read from files, with a temporary state directory.
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

/// The configuration of a run; no choice may change the answer.
#[derive(Clone, Copy, Debug)]
struct RunConfig {
    workers: usize,
    verify: Verify,
    size: SegmentSize,
    lookahead: LookaheadConfig,
}

impl RunConfig {
    fn with_workers(workers: usize) -> Self {
        Self { workers, verify: Verify::Reported, size: SegmentSize::default(), lookahead: LookaheadConfig::default() }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    reports: Vec<BlockReport>,
    totals: ScanTotals,
    outcome: Outcome,
}

impl Answer {
    /// Clears the fields that depend on timing: those of look-ahead.
    fn without_timing(mut self) -> Self {
        self.totals.passes = 0;
        self.totals.watched_through.clear();
        self
    }
}

/// The initial watch set, and the keychains by which it may grow.
#[derive(Clone)]
struct WatchInput {
    watch: Arc<WatchSet>,
    keychains: Arc<[WatchedKeychain]>,
}

/// A first scan of a whole chain for all history.
fn plan(chain: &ReadChain, input: &WatchInput, config: RunConfig) -> ScanPlan {
    let snapshot = chain.chain.newest().unwrap();
    ScanPlan {
        range: HeightRange::new(Height(0), snapshot.tip().unwrap().height).unwrap(),
        snapshot,
        scanned: None,
        watch: Arc::clone(&input.watch),
        keychains: Arc::clone(&input.keychains),
        scripts_max: 1_000_000,
        verify: config.verify,
        deliver: Deliver::History,
        extras: Extras::default(),
        segment_size: config.size,
        lookahead: config.lookahead,
    }
}

fn scan(chain: &ReadChain, input: &WatchInput, config: RunConfig) -> Result<Answer, Failure> {
    run(chain, plan(chain, input, config), config.workers)
}

/// Runs a scan to its end, and merges late reports.
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
fn watch_descriptors<'a>(descriptors: impl IntoIterator<Item = &'a str>) -> WatchInput {
    watch_keychains(descriptors.into_iter().map(GivenKeychain::from))
}

/// Keychains up to their gap limit before any use.
fn watch_keychains(given: impl IntoIterator<Item = GivenKeychain>) -> WatchInput {
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
    WatchInput { watch: Arc::new(builder.build()), keychains: keychains.into() }
}

fn watch_scripts(scripts: &[ScriptBuf]) -> WatchInput {
    let mut builder = WatchSetBuilder::new();
    for (number, script) in (0..).zip(scripts) {
        builder.add_script(script.as_bytes(), Origin::Script(number)).unwrap();
    }
    WatchInput { watch: Arc::new(builder.build()), keychains: Arc::new([]) }
}
