//! A small chain, every read of which goes wrong in every way, at every place in turn: the answer is right, or an error
//! names the file and the place; and once the fault is gone, it is right.

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

use super::faults::{Armed, Fault, Often};
use crate::blocks::block_file::Access;
use crate::cancel::Cancel;
use crate::chain::{Chain, ChainConfig};
use crate::scan::{LookaheadConfig, Scan, ScanPlan, SegmentSize, WorkerPool};

/// Before a block come its magic and its size.
const PREFIX_BYTES: u64 = 8;

/// Bytes on both sides of the start of a record or of a block each of which has its turn, whatever the stride.
const NEAR: u64 = 3;

/// When a fault is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before the first look at the files.
    Walk,
    /// Between the look and the scan.
    Scan,
}

/// What a wallet hears.
#[derive(Clone, Debug, PartialEq)]
struct Told {
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
        // A file where the state directory should be: nothing is remembered from one case to the next.
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

    /// When the files were written last.
    fn written_at(&self, time: SystemTime) {
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

    /// What a server does for a wallet: a look at the files, then a scan of all blocks.
    fn ask(&self, chain: &Arc<Chain>, verify: Verify) -> Result<Told, String> {
        chain.refresh(&Cancel::new()).map_err(|error| with_causes(&error))?;
        self.scan(chain, verify)
    }

    fn scan(&self, chain: &Arc<Chain>, verify: Verify) -> Result<Told, String> {
        let snapshot = chain.newest().unwrap();
        let first = Height(self.lowest());
        let Some(tip) = snapshot.tip().map(|tip| tip.height).filter(|tip| *tip >= first) else {
            return Ok(Told { reports: Vec::new(), outcome: Outcome::PrunedBelow(first), tip: first });
        };
        let range = HeightRange::new(first, tip).unwrap();
        match snapshot.lowest_complete_to(tip) {
            Some(lowest) if lowest <= first => {}
            lowest => {
                let outcome = Outcome::PrunedBelow(lowest.unwrap_or(tip));
                return Ok(Told { reports: Vec::new(), outcome, tip });
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
            Ok(Told { reports, outcome: scan.outcome().unwrap(), tip })
        })
    }

    /// The lowest height that is on disk.
    fn lowest(&self) -> u32 {
        let on_disk = |height: &u32| {
            self.written.span(&self.chain.hash_at(*height)).is_some_and(|span| self.path(span.file).exists())
        };
        (0..=self.chain.tip_height()).find(on_disk).unwrap()
    }

    /// Every so many bytes of each file up to the end of its last record, and each byte near the start of a record or of a
    /// block.
    fn places(&self, stride: u64) -> Vec<(FileNumber, u64)> {
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

    /// One fault at one place, met in one phase: what is heard while it lasts, and that it is right once it is over.
    /// Whether the fault was met, and whether the answer was right in spite of it.
    fn meet(
        &self,
        truth: &Told,
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
        // What hides a match in a block of which nothing matches is seen only where all blocks are proven.
        let verify = if is_torn { Verify::All } else { Verify::Reported };
        let heard = match phase {
            Phase::Walk => self.ask(&chain, verify),
            Phase::Scan => self.scan(&chain, verify),
        };
        let was_met = armed.met() > 0;
        drop(armed);
        let is_right = heard.as_ref() == Ok(truth);
        match &heard {
            Err(error) => {
                assert!(was_met && fault != Fault::Partial, "{case}: {error}");
                let path = self.path(file).display().to_string();
                assert!(error.contains(&path) && error.contains("offset"), "{case}: the place is not named: {error}");
            }
            Ok(told) if !is_right => {
                assert!(was_met && is_torn && phase == Phase::Walk, "{case}: {told:?}");
                let is_true = |report: &BlockReport| truth.reports.contains(report);
                assert!(told.reports.iter().all(is_true), "{case}: a false report: {told:?}");
                if told.outcome == Outcome::Complete {
                    let below = truth.reports.iter().filter(|report| report.height <= told.tip).count();
                    assert_eq!(told.reports.len(), below, "{case}: a report is missing: {told:?}");
                }
            }
            Ok(_) => {}
        }
        if phase == Phase::Scan && often == Often::Once {
            assert!(is_right, "{case}: what is tried again succeeds: {heard:?}");
        }
        assert_eq!(self.ask(&chain, Verify::Reported).as_ref(), Ok(truth), "{case}, once it is over");
        (was_met, is_right)
    }

    /// Every fault at every place in both phases.
    #[expect(clippy::print_stdout, reason = "how many faults are met tells what the test is worth")]
    fn meet_all(&self, stride: u64) {
        let truth = self.ask(&self.open(), Verify::All).unwrap();
        assert_eq!((truth.outcome, truth.tip.0), (Outcome::Complete, self.chain.tip_height()));
        assert!(truth.reports.len() > 2);
        let places = self.places(stride);
        for phase in [Phase::Walk, Phase::Scan] {
            for fault in Fault::ALL {
                let is_torn = matches!(fault, Fault::Unwritten | Fault::Flipped);
                for often in [Often::Once, Often::Always] {
                    // Bytes that are always other ones are another file, and one of its files is being written.
                    if is_torn && often == Often::Always {
                        continue;
                    }
                    // A read that comes short once is a partial one.
                    if fault == Fault::Partial && often == Often::Once {
                        continue;
                    }
                    let (mut met, mut right) = (0, 0);
                    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
                    for place in &places {
                        self.written_at(if is_torn && phase == Phase::Walk { SystemTime::now() } else { long_ago });
                        let (was_met, is_right) = self.meet(&truth, *place, fault, often, phase);
                        met += usize::from(was_met);
                        right += usize::from(was_met && is_right);
                    }
                    assert!(met > places.len() / 4, "{fault:?} {phase:?}: {met} of {} places are read", places.len());
                    println!(
                        "{phase:?} {fault:?} {often:?}: {} places, {met} met, {right} of these answered right",
                        places.len()
                    );
                }
            }
        }
    }
}

/// How far apart the places are: `RESCAN_FAULT_STRIDE=1` has every byte.
fn stride() -> u64 {
    std::env::var("RESCAN_FAULT_STRIDE").map_or(53, |stride| stride.parse().unwrap())
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
fn every_fault_at_every_place_of_a_chain_gives_the_right_answer_or_names_the_place() {
    let scene = Scene::new(|chain, script| {
        pay(chain, script, 6);
        let twice = chain.hash_at(3);
        chain.insert_after(chain.hash_at(5), Record::Block(twice));
        chain.xor([8, 7, 6, 5, 4, 3, 2, 1]).file_bytes_max(900).preallocate(1 << 11);
    });
    assert!(scene.files().len() > 1);
    scene.meet_all(stride());
}

/// Here each block is also asked for the height that its coinbase names.
#[test]
fn every_fault_at_every_place_of_a_pruned_chain_gives_the_right_answer_or_names_the_place() {
    let scene = Scene::new(|chain, script| {
        pay(chain, script, 9);
        chain.xor([8, 7, 6, 5, 4, 3, 2, 1]).file_bytes_max(600).prune_below(4);
    });
    assert!(scene.lowest() > 0);
    scene.meet_all(stride());
}
