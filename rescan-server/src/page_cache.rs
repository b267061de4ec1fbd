//! The page cache, which is the node's: what was not in it before a scan is dropped from it afterwards.
//!
//! A file is judged in cells. A cell counts as cached if its first page is there when it is first asked about; what was
//! found absent stays judged so for as long as the file is open, since from then on it is there on our account. Nothing is
//! touched through a map that was judged absent: the kernel drops no page that a map holds, and a disk that fails
//! beneath a map ends the process, while a failed read is an error.
//!
//! Where a file system cannot say, all counts as cached, and nothing is dropped that was not ours.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::IoSliceMut;
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};

/// Bytes of a cell. Smaller ones are judged better and take more asking: at this size it is a hundredth of a walk.
const CELL_BYTES: u64 = 128 << 10;

/// Cells between two that are asked about where both are absent: to ask for an absent page fetches it, and a page that lies
/// there alone breaks the kernel's readahead in two.
const STRIDE: u64 = 8;

/// How far behind a window is judged with it, in bytes: more than the kernel reads ahead on our account, which is 256 KiB by default and
/// 16 MiB on disks that say they want it.
const AHEAD_BYTES: u64 = 32 << 20;

/// What a scan leaves in the page cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PageCache {
    /// What had to be read from disk is dropped once it is walked: the cache is as it was before
    #[default]
    Restore,
    /// What was read from disk stays until the kernel needs the room: the next scan of it is faster
    Keep,
}

/// What is known of one open file: which of its cells were absent when they were first asked about.
#[derive(Debug)]
pub(crate) struct Residency {
    page_cache: PageCache,
    absent: Mutex<BTreeSet<u64>>,
}

impl Residency {
    /// Nothing asked yet of `file`.
    pub(crate) fn new(page_cache: PageCache, file: &File) -> Self {
        // Each question would fetch what lies behind.
        advise(file, &(0..0), Advice::Random);
        Self { page_cache, absent: Mutex::default() }
    }

    /// Whether all of `range` was in the cache of a file with `len` bytes.
    pub(crate) fn was_cached(&self, file: &File, range: &Range<u64>, len: u64) -> bool {
        let mut absent = self.lock();
        if !any_absent(&mut absent, file, range) {
            return true;
        }
        match self.page_cache {
            PageCache::Restore => drop(any_absent(
                &mut absent,
                file,
                &(range.end..range.end.saturating_add(AHEAD_BYTES).min(len).max(range.end)),
            )),
            PageCache::Keep => absent.clear(),
        }
        false
    }

    /// Drops what of `range` was absent. Cells that reach beyond it wait for [`Residency::drop_all`]: others may read there.
    pub(crate) fn drop_within(&self, file: &File, range: &Range<u64>) {
        let (start, end) = (range.start.next_multiple_of(CELL_BYTES), range.end - range.end % CELL_BYTES);
        self.drop_range(file, &(start..end.max(start)));
    }

    /// Drops all that was absent.
    pub(crate) fn drop_all(&self, file: &File) {
        self.drop_range(file, &(0..u64::MAX));
    }

    fn drop_range(&self, file: &File, range: &Range<u64>) {
        let runs = runs(&self.lock(), range);
        runs.iter().for_each(|run| advise(file, run, Advice::DontNeed));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        // The set is whole after every statement.
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks about every cell of `range` that is not known to be absent, and says whether any is.
fn any_absent(absent: &mut BTreeSet<u64>, file: &File, range: &Range<u64>) -> bool {
    let is_absent =
        |absent: &BTreeSet<u64>, cell: u64| absent.contains(&cell) || !is_cached(file, cell.saturating_mul(CELL_BYTES));
    let Range { start: mut cell, end } = cells(range);
    let mut any = false;
    while cell < end {
        if is_absent(absent, cell) {
            any = true;
            absent.insert(cell);
            while cell.saturating_add(STRIDE) < end && is_absent(absent, cell.saturating_add(STRIDE)) {
                absent.extend(cell..=cell.saturating_add(STRIDE));
                cell = cell.saturating_add(STRIDE);
            }
        }
        cell = cell.saturating_add(1);
    }
    any
}

/// A handle of one's own on a file, for reading from disk in order: the kernel reads ahead by handle.
pub(crate) fn open_to_read_in_order(path: &Path) -> std::io::Result<File> {
    let file = File::open(path)?;
    advise(&file, &(0..0), Advice::Sequential);
    Ok(file)
}

/// The cells that `range` touches, by number.
fn cells(range: &Range<u64>) -> Range<u64> {
    range.start / CELL_BYTES..range.end.div_ceil(CELL_BYTES)
}

/// The absent cells of `range` as stretches of bytes, as long as can be.
fn runs(absent: &BTreeSet<u64>, range: &Range<u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for cell in absent.range(cells(range)) {
        let (start, end) = (cell.saturating_mul(CELL_BYTES), cell.saturating_add(1).saturating_mul(CELL_BYTES));
        match runs.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}

/// Whether the byte at `offset` is in the page cache.
fn is_cached(file: &File, offset: u64) -> bool {
    let mut byte = [0];
    match rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT) {
        Err(error) => error != Errno::AGAIN,
        Ok(_) => true,
    }
}

/// An empty range is all of the file.
fn advise(file: &File, range: &Range<u64>, advice: Advice) {
    let len = NonZeroU64::new(range.end.saturating_sub(range.start));
    // Advice is only advice: what is not dropped ages away.
    let _ = rustix::fs::fadvise(file, range.start, len, advice);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn of_a_stretch_within_one_cell_nothing_is_dropped_yet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, vec![7; 3 << 20]).unwrap();
        let file = File::open(&path).unwrap();
        // What is not yet on disk is not dropped.
        file.sync_all().unwrap();
        let residency = Residency::new(PageCache::Restore, &file);
        residency.lock().extend(0..24);
        residency.drop_within(&file, &(1000..2000));
        residency.drop_within(&file, &(CELL_BYTES - 1..CELL_BYTES + 1));
        assert!(is_cached(&file, 0) && is_cached(&file, CELL_BYTES));
    }

    #[test]
    fn runs_join_neighbours_and_stay_within_what_is_asked_for() {
        let absent = BTreeSet::from([1, 2, 3, 7]);
        let bytes = |cells: Range<u64>| cells.start * CELL_BYTES..cells.end * CELL_BYTES;
        assert_eq!(runs(&absent, &bytes(0..10)), [bytes(1..4), bytes(7..8)]);
        assert_eq!(runs(&absent, &bytes(2..7)), [bytes(2..4)]);
        assert_eq!(runs(&absent, &(CELL_BYTES * 3 - 1..CELL_BYTES * 3)), [bytes(2..3)]);
        assert_eq!(runs(&absent, &bytes(4..4)), []);
    }
}
