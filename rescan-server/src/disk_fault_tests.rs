//! Every kind of read fault at every offset of a small chain: the result is right, or an error names file and offset. Once
//! the fault is gone, the result is right.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bitcoin::ScriptBuf;
use rescan_core::causes::with_causes;
use rescan_core::chain::network::Network;
use rescan_core::position::{FileNumber, Height, HeightRange, RecordSpan};
use rescan_core::report::{BlockReport, Origin, Outcome};
use rescan_core::request::{Deliver, Extras, Verify};
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};
use rescan_fixtures::chain_builder::{ChainBuilder, Record, WrittenChain};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use tokio::runtime::Runtime;

use crate::blocks::block_file::Access;
use crate::blocks::disk::faults::{Armed, Fault, Often};
use crate::cancel::Cancel;
use crate::chain::{Chain, ChainConfig};
use crate::scan::{LookaheadConfig, Scan, ScanPlan, SegmentSize, WorkerPool};

/// Magic and size before each block.
const PREFIX_BYTES: u64 = 8;

/// Bytes on both sides of the start of a record or block that are tested whatever the stride.
const NEAR: u64 = 3;

/// When a fault is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before the first refresh.
    Walk,
    /// Between the refresh and the scan.
    Scan,
}

/// The result of a scan.
#[derive(Clone, Debug, PartialEq)]
struct Scanned {
    reports: Vec<BlockReport>,
    outcome: Outcome,
    tip: Height,
}

struct Scene {
    directory: tempfile::TempDir,
    chain: ChainBuilder,
    written: WrittenChain,
    watch: Arc<WatchSet>,
    pool: WorkerPool,
    runtime: Runtime,
}

impl Scene {
    fn new(make: impl FnOnce(&mut ChainBuilder, &ScriptBuf)) -> Self {
        let script = TestWallet::new("dora").script(ScriptKind::P2wpkh, 0);
        let mut chain = ChainBuilder::new();
        make(&mut chain, &script);
        let directory = tempfile::tempdir().unwrap();
        let written = chain.write(&directory.path().join("blocks")).unwrap();
        let mut builder = WatchSetBuilder::new();
        builder.add_script(script.as_bytes(), Origin::Script(0)).unwrap();
        // A file in place of the state directory: no state is kept between cases.
        fs::write(directory.path().join("state"), "").unwrap();
        Self {
            directory,
            chain,
            written,
            watch: Arc::new(builder.build()),
            pool: WorkerPool::new(NonZeroUsize::MIN).unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
        }
    }

    fn open(&self) -> Arc<Chain> {
        let config = ChainConfig {
            blocks_dir: self.directory.path().join("blocks"),
            network: Some(Network::Regtest),
            signet_challenge: None,
            state_dir: self.directory.path().join("state"),
            access: Access::read(),
        };
        Arc::new(Chain::open(config).unwrap())
    }

    fn path(&self, file: FileNumber) -> PathBuf {
        self.directory.path().join("blocks").join(file.file_name())
    }

    /// Sets the modification time of all files.
    fn set_modified(&self, time: SystemTime) {
        for file in self.files() {
            File::options().write(true).open(self.path(file)).unwrap().set_modified(time).unwrap();
        }
    }

    fn files(&self) -> BTreeSet<FileNumber> {
        self.spans().map(|span| span.file).collect()
    }

    fn spans(&self) -> impl Iterator<Item = RecordSpan> {
        self.written.placed().iter().map(|placed| placed.span).filter(|span| self.path(span.file).exists())
    }

    /// Refreshes the chain, then scans all blocks, as the server does for a wallet.
    fn refresh_and_scan(&self, chain: &Arc<Chain>, verify: Verify) -> Result<Scanned, String> {
        chain.refresh(&Cancel::new()).map_err(|error| with_causes(&error))?;
        self.scan(chain, verify)
    }

    fn scan(&self, chain: &Arc<Chain>, verify: Verify) -> Result<Scanned, String> {
        let snapshot = chain.newest().unwrap();
        let first = Height(self.lowest());
        let Some(tip) = snapshot.tip().map(|tip| tip.height).filter(|tip| *tip >= first) else {
            return Ok(Scanned { reports: Vec::new(), outcome: Outcome::PrunedBelow(first), tip: first });
        };
        let range = HeightRange::new(first, tip).unwrap();
        match snapshot.lowest_complete_to(tip) {
            Some(lowest) if lowest <= first => {}
            lowest => {
                let outcome = Outcome::PrunedBelow(lowest.unwrap_or(tip));
                return Ok(Scanned { reports: Vec::new(), outcome, tip });
            }
        }
        let plan = ScanPlan {
            range,
            snapshot,
            scanned: None,
            watch: Arc::clone(&self.watch),
            keychains: Arc::new([]),
            scripts_max: 1_000,
            verify,
            deliver: Deliver::History,
            extras: Extras::default(),
            segment_size: SegmentSize::default(),
            lookahead: LookaheadConfig::default(),
        };
        self.runtime.block_on(async {
            let mut scan = Scan::start(&self.pool, Arc::clone(chain), plan, Cancel::new());
            let mut reports = Vec::new();
            while let Some(more) = scan.next().await.map_err(|failure| failure.to_string())? {
                reports.extend(more);
            }
            Ok(Scanned { reports, outcome: scan.outcome().unwrap(), tip })
        })
    }

    /// The lowest height on disk.
    fn lowest(&self) -> u32 {
        let on_disk = |height: &u32| {
            self.written.span(&self.chain.hash_at(*height)).is_some_and(|span| self.path(span.file).exists())
        };
        (0..=self.chain.tip_height()).find(on_disk).unwrap()
    }

    /// Every `stride`th offset of each file up to the end of its last record, and each offset near the start of a record or
    /// block.
    fn offsets(&self, stride: u64) -> Vec<(FileNumber, u64)> {
        let mut places = BTreeSet::new();
        for file in self.files() {
            let spans: Vec<RecordSpan> = self.spans().filter(|span| span.file == file).collect();
            let end = spans.iter().map(|span| span.end()).max().unwrap() + NEAR;
            let starts = spans.iter().flat_map(|span| [u64::from(span.offset), u64::from(span.offset) - PREFIX_BYTES]);
            let near = starts.flat_map(|start| start.saturating_sub(NEAR)..start + NEAR);
            let len = fs::metadata(self.path(file)).unwrap().len();
            places
                .extend((0..end).filter(|at| at % stride == 0).chain(near).filter(|at| *at < len).map(|at| (file, at)));
        }
        places.into_iter().collect()
    }

    /// Checks the results of one fault at one offset in one phase: during the fault, and once it is gone. Returns whether
    /// the fault hit a read, and whether the result during the fault was right.
    fn check_fault(
        &self,
        truth: &Scanned,
        (file, at): (FileNumber, u64),
        fault: Fault,
        often: Often,
        phase: Phase,
    ) -> (bool, bool) {
        let is_torn = matches!(fault, Fault::Unwritten | Fault::Flipped);
        let case = format!("{fault:?} {often:?} at {at} of {file}, before the {phase:?}");
        let chain = self.open();
        if phase == Phase::Scan {
            chain.refresh(&Cancel::new()).unwrap();
        }
        let armed = Armed::at(&self.path(file), at, fault, often);
        // A hidden match in an otherwise unmatched block is detected only if all blocks are proven.
        let verify = if is_torn { Verify::All } else { Verify::Reported };
        let result = match phase {
            Phase::Walk => self.refresh_and_scan(&chain, verify),
            Phase::Scan => self.scan(&chain, verify),
        };
        let was_hit = armed.hits() > 0;
        drop(armed);
        let is_right = result.as_ref() == Ok(truth);
        match &result {
            Err(error) => {
                assert!(was_hit && fault != Fault::Partial, "{case}: {error}");
                let path = self.path(file).display().to_string();
                assert!(error.contains(&path) && error.contains("offset"), "{case}: the offset is not named: {error}");
            }
            Ok(scanned) if !is_right => {
                assert!(was_hit && is_torn && phase == Phase::Walk, "{case}: {scanned:?}");
                let is_true = |report: &BlockReport| truth.reports.contains(report);
                assert!(scanned.reports.iter().all(is_true), "{case}: a false report: {scanned:?}");
                if scanned.outcome == Outcome::Complete {
                    let below = truth.reports.iter().filter(|report| report.height <= scanned.tip).count();
                    assert_eq!(scanned.reports.len(), below, "{case}: a report is missing: {scanned:?}");
                }
            }
            Ok(_) => {}
        }
        if phase == Phase::Scan && often == Often::Once {
            assert!(is_right, "{case}: a second attempt succeeds: {result:?}");
        }
        assert_eq!(
            self.refresh_and_scan(&chain, Verify::Reported).as_ref(),
            Ok(truth),
            "{case}, once the fault is gone"
        );
        (was_hit, is_right)
    }

    /// Every fault at every offset in both phases.
    #[expect(clippy::print_stdout, reason = "the number of hits shows the value of the test")]
    fn check_all_faults(&self, stride: u64) {
        let truth = self.refresh_and_scan(&self.open(), Verify::All).unwrap();
        assert_eq!((truth.outcome, truth.tip.0), (Outcome::Complete, self.chain.tip_height()));
        assert!(truth.reports.len() > 2);
        let offsets = self.offsets(stride);
        for phase in [Phase::Walk, Phase::Scan] {
            for fault in Fault::ALL {
                let is_torn = matches!(fault, Fault::Unwritten | Fault::Flipped);
                for often in [Often::Once, Often::Always] {
                    // Permanently changed bytes are simply another file.
                    if is_torn && often == Often::Always {
                        continue;
                    }
                    // A single short read equals a partial one.
                    if fault == Fault::Partial && often == Often::Once {
                        continue;
                    }
                    let (mut hits, mut right) = (0, 0);
                    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
                    for offset in &offsets {
                        self.set_modified(if is_torn && phase == Phase::Walk { SystemTime::now() } else { long_ago });
                        let (was_hit, is_right) = self.check_fault(&truth, *offset, fault, often, phase);
                        hits += usize::from(was_hit);
                        right += usize::from(was_hit && is_right);
                    }
                    assert!(
                        hits > offsets.len() / 4,
                        "{fault:?} {phase:?}: {hits} of {} offsets were read",
                        offsets.len()
                    );
                    println!(
                        "{phase:?} {fault:?} {often:?}: {} offsets, {hits} hit, {right} of these with the right result",
                        offsets.len()
                    );
                }
            }
        }
    }
}

/// The distance of tested offsets: `RESCAN_FAULT_STRIDE=1` tests every byte.
fn stride() -> u64 {
    std::env::var("RESCAN_FAULT_STRIDE").map_or(97, |stride| stride.parse().unwrap())
}

fn pay(chain: &mut ChainBuilder, script: &ScriptBuf, heights: u32) {
    for height in 0..heights {
        if height % 2 == 0 {
            chain.coinbase_to(script);
        }
        chain.mine_block();
    }
}

#[test]
fn every_fault_at_every_offset_of_a_chain_gives_the_right_result_or_names_the_offset() {
    let scene = Scene::new(|chain, script| {
        pay(chain, script, 6);
        let twice = chain.hash_at(3);
        chain.insert_after(chain.hash_at(5), Record::Block(twice));
        chain.xor([8, 7, 6, 5, 4, 3, 2, 1]).file_bytes_max(900).preallocate(1 << 11);
    });
    assert!(scene.files().len() > 1);
    scene.check_all_faults(stride());
}

/// Without genesis, the height in each coinbase is read too.
#[test]
fn every_fault_at_every_offset_of_a_pruned_chain_gives_the_right_result_or_names_the_offset() {
    let scene = Scene::new(|chain, script| {
        pay(chain, script, 9);
        chain.xor([8, 7, 6, 5, 4, 3, 2, 1]).file_bytes_max(600).prune_below(4);
    });
    assert!(scene.lowest() > 0);
    scene.check_all_faults(stride());
}
