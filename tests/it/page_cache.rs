//! The page cache is the node's: a scan leaves it as it found it, as `fincore` of util-linux sees
//! it.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use bitcoin::ScriptBuf;
use rescan_client::ScanRequest;
use rescan_fixtures::block_file_writer::BlockFileLayout;
use rescan_fixtures::bulk::{BulkSpec, Busyness, ChainLength, write_block_files};
use rescan_server::blocks::page_cache::PageCache;
use rescan_tests::{Manner, TestServer, patiently, scan};
use rustix::fs::{Advice, fadvise};

const CHAIN_BYTES: u64 = 40_000_000;
const FILE_BYTES: u32 = 12_000_000;
/// The tolerance: a page at each end of the cached range, and pages that the kernel does not drop
/// at once.
const SLACK_BYTES: u64 = 4 << 20;

/// A chain in several files, served, all of which was read once.
struct Place {
    server: TestServer,
    files: Vec<PathBuf>,
}

impl Place {
    fn new(manner: Manner) -> Self {
        let mut server = TestServer::new(manner);
        let mut spec = BulkSpec::new(ChainLength::Bytes(CHAIN_BYTES));
        spec.busyness = Busyness::Absent;
        let layout = BlockFileLayout { file_bytes_max: FILE_BYTES, ..BlockFileLayout::default() };
        write_block_files(spec, &server.datadir(), layout).unwrap();
        let listed = std::fs::read_dir(server.blocks_dir()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = listed.filter(|path| path.extension().is_some_and(|is| is == "dat")).collect();
        files.sort();
        assert!(files.len() > 3);
        server.start();
        let place = Self { server, files };
        place.scan();
        place
    }

    fn scan(&self) {
        patiently(async {
            let request = ScanRequest::new().script(ScriptBuf::from_bytes(vec![0x51; 30]));
            let scanned = scan(&self.server.client().await, request).await;
            assert!(scanned.summary().bytes_scanned > CHAIN_BYTES / 2);
        });
    }

    /// Takes the files out of the cache; false where that cannot be done or seen.
    fn make_cold(&self) -> bool {
        for path in &self.files {
            let file = File::open(path).unwrap();
            file.sync_all().unwrap();
            fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        }
        self.cached().is_some_and(|cached| cached.iter().sum::<u64>() < SLACK_BYTES)
    }

    /// How many bytes of each file are cached.
    fn cached(&self) -> Option<Vec<u64>> {
        let mut command = Command::new("fincore");
        let output = command.args(["--bytes", "--noheadings", "--output", "RES"]).args(&self.files).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let bytes: Option<Vec<u64>> = text.lines().map(|line| line.trim().parse().ok()).collect();
        bytes.filter(|bytes| bytes.len() == self.files.len())
    }
}

fn both_arms(page_cache: PageCache) -> impl Iterator<Item = Place> {
    [false, true].into_iter().map(move |is_mapped| Place::new(Manner { is_mapped, page_cache, ..Manner::default() }))
}

fn total(place: &Place) -> u64 {
    place.cached().expect("fincore ran before").iter().sum()
}

#[test]
fn what_was_cold_before_a_scan_is_cold_after_it() {
    for place in both_arms(PageCache::Restore) {
        if !place.make_cold() {
            println!("skipped: no fincore, or a file system whose pages cannot be dropped");
            return;
        }
        place.scan();
        let left = total(&place);
        assert!(left < SLACK_BYTES, "{left} bytes are left in the cache");
    }
}

#[test]
fn what_was_warm_before_a_scan_is_warm_after_it_and_the_rest_of_the_file_is_not() {
    for place in both_arms(PageCache::Restore) {
        if !place.make_cold() {
            println!("skipped: no fincore, or a file system whose pages cannot be dropped");
            return;
        }
        // All of one file, the middle of another.
        let mut bytes = vec![0; FILE_BYTES as usize];
        let whole = File::open(&place.files[0]).unwrap();
        let _count = whole.read_at(&mut bytes, 0).unwrap();
        let half = File::open(&place.files[1]).unwrap();
        half.read_exact_at(&mut bytes[..4_000_000], 3_000_000).unwrap();
        let before = place.cached().unwrap();
        assert!(before[0] > 8_000_000 && before[1] >= 4_000_000, "{before:?}");
        place.scan();
        let after = place.cached().unwrap();
        for (before, after) in before.iter().zip(&after) {
            assert!(before.abs_diff(*after) < SLACK_BYTES, "{before} bytes were cached, {after} are now");
        }
    }
}

#[test]
fn what_a_scan_reads_stays_where_that_was_asked_for() {
    for place in both_arms(PageCache::Keep) {
        if !place.make_cold() {
            println!("skipped: no fincore, or a file system whose pages cannot be dropped");
            return;
        }
        place.scan();
        let kept = total(&place);
        assert!(kept > CHAIN_BYTES / 10 * 9, "{kept} bytes are left in the cache");
    }
}
