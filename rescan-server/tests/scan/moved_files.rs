//! Block files that a node prunes, truncates or rewrites after the snapshot of a scan was taken.

use std::collections::BTreeSet;

use rescan_core::position::{FileNumber, Height};
use rescan_core::report::Outcome;
use rescan_fixtures::chain_builder::{ChainBuilder, WrittenChain};
use rescan_fixtures::private_access::mapped_access;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::blocks::block_file::Access;
use rescan_server::scan::SegmentSize;

use crate::{Answer, ReadChain, RunConfig, scan, watch_scripts};

const KEY: [u8; 8] = [3, 1, 4, 1, 5, 9, 2, 6];

/// A chain in which every block pays the wallet, in files of about 25 blocks.
fn paying_chain() -> ChainBuilder {
    let mut chain = ChainBuilder::new();
    pay(&mut chain, 300);
    chain.xor(KEY).file_bytes_max(8000).preallocate(1 << 14);
    chain
}

fn pay(chain: &mut ChainBuilder, blocks: u32) {
    let script = TestWallet::new("moved").script(ScriptKind::P2wpkh, 0);
    for _ in 0..blocks {
        chain.coinbase_to(&script).mine_block();
    }
}

/// Scans for the script that every block pays, with segments of one block.
fn scan_all(chain: &ReadChain, workers: usize) -> Answer {
    let script = TestWallet::new("moved").script(ScriptKind::P2wpkh, 0);
    let size = SegmentSize { first_bytes: 1, bytes_max: 1, blocks_max: 1 };
    scan(chain, &watch_scripts(&[script]), RunConfig { size, ..RunConfig::with_workers(workers) }).unwrap()
}

/// Asserts that the reports are the start of the chain, without a gap and below `end`.
fn assert_is_start_of(answer: &Answer, chain: &ChainBuilder, end: u32) {
    for (height, report) in (1..).zip(&answer.reports) {
        assert_eq!((report.height, report.hash), (Height(height), chain.hash_at(height)));
        assert!(height < end, "height {height} was reported");
    }
}

fn both_accesses() -> [Access; 2] {
    [mapped_access(), Access::read()]
}

#[test]
fn files_that_vanish_under_a_scan_end_it_as_pruned_after_the_reports_below_them() {
    for (access, workers) in both_accesses().into_iter().flat_map(|access| [(access, 1), (access, 4)]) {
        let chain = paying_chain();
        let dir = tempfile::tempdir().unwrap();
        let mut written = chain.write(dir.path()).unwrap();
        let read = ReadChain::open(dir.path(), access);
        let gone = FileNumber(4);
        written.files().prune(gone).unwrap();
        let heights: BTreeSet<u32> = in_file(&written, gone);
        let answer = scan_all(&read, workers);
        let lowest = heights.last().unwrap() + 1;
        assert_eq!(answer.outcome, Outcome::PrunedBelow(Height(lowest)));
        assert_eq!(answer.reports.len() as u64, u64::from(heights.first().unwrap() - 1), "all below were reported");
        assert_is_start_of(&answer, &chain, *heights.first().unwrap());
    }
}

fn in_file(written: &WrittenChain, file: FileNumber) -> BTreeSet<u32> {
    let placed = written.placed().iter().filter(|placed| placed.span.file == file);
    placed.map(|placed| placed.height).collect()
}

#[test]
fn files_that_a_restarted_node_rewrote_end_a_scan_as_reorganised_and_nothing_false_is_reported() {
    for (access, workers) in both_accesses().into_iter().flat_map(|access| [(access, 1), (access, 4)]) {
        let mut chain = paying_chain();
        let dir = tempfile::tempdir().unwrap();
        let mut written = chain.write(dir.path()).unwrap();
        let read = ReadChain::open(dir.path(), access);
        // The node restarts with file 0 as of height 10: it truncates that file, removes the later
        // ones, and extends another branch.
        let end = written.span(&chain.hash_at(10)).unwrap().end();
        let files_before = written.files().current_file();
        written.files().rewind_to_file(FileNumber(0), u32::try_from(end).unwrap()).unwrap();
        (1..=files_before.0).for_each(|number| written.files().prune(FileNumber(number)).unwrap());
        chain.rewind(290);
        pay(&mut chain, 40);
        written.append(&chain).unwrap();
        let answer = scan_all(&read, workers);
        assert_eq!(answer.outcome, Outcome::ReorganisedFrom(Height(11)));
        assert_is_start_of(&answer, &chain, 11);
        let again = scan_all(&read, workers);
        assert_eq!((again.outcome, again.reports.len()), (Outcome::Complete, 50), "the next scan reads the new files");
    }
}

#[test]
fn a_finished_file_that_is_truncated_to_its_data_is_scanned_before_and_after() {
    for access in both_accesses() {
        let mut chain = paying_chain();
        let dir = tempfile::tempdir().unwrap();
        let mut written = chain.write(dir.path()).unwrap();
        let read = ReadChain::open(dir.path(), access);
        assert_eq!(scan_all(&read, 2).reports.len(), 300);
        let growing = written.files().current_file();
        let path = written.files().path(growing);
        let preallocated = path.metadata().unwrap().len();
        pay(&mut chain, 60);
        written.append(&chain).unwrap();
        assert!(path.metadata().unwrap().len() < preallocated, "the node truncates a finished file");
        let answer = scan_all(&read, 2);
        assert_eq!((answer.outcome, answer.reports.len()), (Outcome::Complete, 300), "pinned to the earlier chain");
        assert_eq!(scan_all(&read, 2).reports.len(), 360, "that scan refreshed the chain at its end");
    }
}
