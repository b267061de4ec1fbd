//! The page cache, which is the node's: what was not in it before a scan is dropped from it afterwards.
//!
//! A file is judged in cells. A cell counts as cached if its first page is there when it is first asked about; what was
//! found absent stays judged so for as long as the file is open, since from then on it is there on our account. Nothing is
//! touched through a map that was judged absent: the kernel drops no page that a map holds, and a disk that fails
//! beneath a map ends the process, while a failed read is an error. It is read past the cache where the file system can do
//! that: there is nothing to drop then, and no page to find, fill and copy.
//!
//! Where a file system cannot say, all counts as cached, and nothing is dropped that was not ours.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Advice, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use crate::blocks::disk;

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

    /// Whether what is read from disk is to leave no trace.
    pub(crate) fn restores(&self) -> bool {
        self.page_cache == PageCache::Restore
    }

    /// Whether all of `range` was in the cache.
    pub(crate) fn was_cached(&self, file: &File, range: &Range<u64>) -> bool {
        let mut absent = self.lock();
        let was_cached = !any_absent(&mut absent, file, range);
        if !self.restores() {
            absent.clear();
        }
        was_cached
    }

    /// Judges what the kernel may read on its own account when it reads up to `from`, in a file with `len` bytes.
    pub(crate) fn judge_ahead(&self, file: &File, from: u64, len: u64) {
        any_absent(&mut self.lock(), file, &(from..from.saturating_add(AHEAD_BYTES).min(len).max(from)));
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

/// A handle on a file through which the disk is read past the page cache, with [`read_direct`]. Some file systems have none.
pub(crate) fn open_direct(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::DIRECT.bits()).map_err(io::Error::other)?;
    File::options().read(true).custom_flags(flags).open(path)
}

/// A handle of one's own on a file, for reading from disk in order: the kernel reads ahead by handle.
pub(crate) fn open_to_read_in_order(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    advise(&file, &(0..0), Advice::Sequential);
    Ok(file)
}

/// What a disk is read in units of, past the page cache, and where in memory they may be put: none asks for more.
const DIRECT_UNIT: usize = 4096;

/// How much more than it asks for [`read_direct`] needs in its buffer.
pub(crate) const DIRECT_SLACK: usize = 3 * DIRECT_UNIT;

/// Reads `range` past the page cache into `buffer`, which has [`DIRECT_SLACK`] more bytes, and says where in it they are.
///
/// # Errors
/// What the operating system says, `InvalidInput` where it will not read like this; `UnexpectedEof` where the file is shorter.
pub(crate) fn read_direct(file: &File, buffer: &mut [u8], range: &Range<u64>) -> io::Result<Range<usize>> {
    let place = |at: u64| usize::try_from(at).map_err(io::Error::other);
    let start = range.start - range.start % DIRECT_UNIT as u64;
    let (skipped, end) = (place(range.start - start)?, place(range.end - start)?);
    let aligned = buffer.as_ptr().align_offset(DIRECT_UNIT);
    let too_small = || io::Error::new(io::ErrorKind::InvalidInput, "the buffer has no room for whole units");
    let into =
        buffer.get_mut(aligned..aligned.saturating_add(end.next_multiple_of(DIRECT_UNIT))).ok_or_else(too_small)?;
    let mut read = 0;
    while read < end {
        // A read ends within a unit only at the end of a file: the next then says so, or is refused.
        match disk::read_at(file, &mut into[read..], start + read as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => read += more,
        }
    }
    Ok(aligned + skipped..aligned + end)
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
    #[expect(clippy::print_stderr, reason = "a skip is said aloud")]
    fn what_is_read_past_the_cache_is_what_the_file_holds_wherever_it_begins_and_ends() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = dir.path().join("file");
        let bytes: Vec<u8> =
            (0..50_001_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect();
        std::fs::write(&path, &bytes).unwrap();
        let Ok(file) = open_direct(&path) else {
            eprintln!("skipped: the file system under the checkout has no O_DIRECT");
            return;
        };
        let mut buffer = vec![0; 50_001 + DIRECT_SLACK];
        for (start, end) in
            [(0, 1), (1, 4096), (4095, 4097), (4096, 8192), (123, 50_001), (49_152, 50_001), (0, 50_001)]
        {
            let place = read_direct(&file, &mut buffer, &(start as u64..end as u64)).unwrap();
            assert_eq!(buffer[place], bytes[start..end], "{start}..{end}");
        }
        let beyond = read_direct(&file, &mut buffer, &(49_000..50_002)).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
        let small = read_direct(&file, &mut [0; 100], &(0..90)).unwrap_err();
        assert_eq!(small.kind(), io::ErrorKind::InvalidInput);
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
