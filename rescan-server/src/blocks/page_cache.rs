//! The page cache belongs to the node: pages that were absent before a scan are dropped afterwards.
//!
//! A file is divided into chunks. A chunk counts as cached if its first page is cached at the first check. An absent chunk
//! stays marked absent while the file is open, since from then on the scan itself caches its pages. Absent chunks are never
//! touched through a map: the kernel drops no page that a map holds, and a disk failure beneath a map ends the process,
//! while a failed read is an error. They are read past the cache if the file system supports it: then there is nothing to
//! drop, and no page to find, fill and copy.
//!
//! If a file system cannot report residency, everything counts as cached and nothing is dropped.

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

/// Bytes of a chunk. Smaller chunks are more precise and take more checks: at this size, checks take a hundredth of a walk.
const CHUNK_BYTES: u64 = 128 << 10;

/// Distance between checked chunks within an absent stretch: a check of an absent page fetches it, and a single cached page
/// splits the kernel's readahead.
const STRIDE: u64 = 8;

/// Bytes behind a window that are checked with it. This exceeds the kernel's readahead, which is 256 KiB by default and up to
/// 16 MiB on disks that request it.
const AHEAD_BYTES: u64 = 32 << 20;

/// The effect of a scan on the page cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PageCache {
    /// Drop pages read from disk once they are walked: the cache stays as it was
    #[default]
    Restore,
    /// Keep pages read from disk until the kernel needs the memory: the next scan of them is faster
    Keep,
}

/// The chunks of one open file that were absent at their first check.
#[derive(Debug)]
pub(crate) struct Residency {
    page_cache: PageCache,
    absent: Mutex<BTreeSet<u64>>,
}

impl Residency {
    /// A file without any check yet.
    pub(crate) fn new(page_cache: PageCache, file: &File) -> Self {
        // Otherwise each check would trigger readahead.
        advise(file, &(0..0), Advice::Random);
        Self { page_cache, absent: Mutex::default() }
    }

    /// Whether pages read from disk must be dropped.
    pub(crate) fn restores(&self) -> bool {
        self.page_cache == PageCache::Restore
    }

    /// Whether all of `range` was cached.
    pub(crate) fn was_cached(&self, file: &File, range: &Range<u64>) -> bool {
        let mut absent = self.lock();
        let was_cached = !any_absent(&mut absent, file, range);
        if !self.restores() {
            absent.clear();
        }
        was_cached
    }

    /// Checks the chunks that the kernel may read ahead after a read up to `from`, in a file of `len` bytes.
    pub(crate) fn check_ahead(&self, file: &File, from: u64, len: u64) {
        any_absent(&mut self.lock(), file, &(from..from.saturating_add(AHEAD_BYTES).min(len).max(from)));
    }

    /// Drops the absent chunks within `range`. Chunks that extend beyond it wait for [`Residency::drop_all`]: other windows may read
    /// them.
    pub(crate) fn drop_within(&self, file: &File, range: &Range<u64>) {
        let (start, end) = (range.start.next_multiple_of(CHUNK_BYTES), range.end - range.end % CHUNK_BYTES);
        self.drop_range(file, &(start..end.max(start)));
    }

    /// Drops all absent chunks.
    pub(crate) fn drop_all(&self, file: &File) {
        self.drop_range(file, &(0..u64::MAX));
    }

    fn drop_range(&self, file: &File, range: &Range<u64>) {
        let runs = runs(&self.lock(), range);
        runs.iter().for_each(|run| advise(file, run, Advice::DontNeed));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        // The set is valid after every statement.
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks every chunk of `range` not yet marked absent. Returns whether any is absent.
fn any_absent(absent: &mut BTreeSet<u64>, file: &File, range: &Range<u64>) -> bool {
    let is_absent = |absent: &BTreeSet<u64>, chunk: u64| {
        absent.contains(&chunk) || !is_cached(file, chunk.saturating_mul(CHUNK_BYTES))
    };
    let Range { start: mut chunk, end } = chunks(range);
    let mut any = false;
    while chunk < end {
        if is_absent(absent, chunk) {
            any = true;
            absent.insert(chunk);
            while chunk.saturating_add(STRIDE) < end && is_absent(absent, chunk.saturating_add(STRIDE)) {
                absent.extend(chunk..=chunk.saturating_add(STRIDE));
                chunk = chunk.saturating_add(STRIDE);
            }
        }
        chunk = chunk.saturating_add(1);
    }
    any
}

/// Opens a file for [`read_direct`]. Some file systems do not support that.
pub(crate) fn open_direct(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::DIRECT.bits()).map_err(io::Error::other)?;
    File::options().read(true).custom_flags(flags).open(path)
}

/// Opens a separate handle for sequential reads from disk: the kernel's readahead state belongs to a handle.
pub(crate) fn open_sequential(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    advise(&file, &(0..0), Advice::Sequential);
    Ok(file)
}

/// Unit and alignment of direct reads, in bytes. No disk requires more.
const DIRECT_UNIT: usize = 4096;

/// Bytes that [`read_direct`] needs in its buffer in addition to the range.
pub(crate) const DIRECT_SLACK: usize = 3 * DIRECT_UNIT;

/// Reads `range` past the page cache into `buffer`, which has [`DIRECT_SLACK`] bytes more, and returns the part of the buffer
/// that holds it.
///
/// # Errors
/// The error of the operating system: `InvalidInput` if direct reads are not supported, `UnexpectedEof` if the file is too short.
pub(crate) fn read_direct(file: &File, buffer: &mut [u8], range: &Range<u64>) -> io::Result<Range<usize>> {
    let to_usize = |at: u64| usize::try_from(at).map_err(io::Error::other);
    let start = range.start - range.start % DIRECT_UNIT as u64;
    let (skipped, end) = (to_usize(range.start - start)?, to_usize(range.end - start)?);
    let aligned = buffer.as_ptr().align_offset(DIRECT_UNIT);
    let too_small = || io::Error::new(io::ErrorKind::InvalidInput, "the buffer is too small for whole units");
    let into =
        buffer.get_mut(aligned..aligned.saturating_add(end.next_multiple_of(DIRECT_UNIT))).ok_or_else(too_small)?;
    let mut read = 0;
    while read < end {
        // A read ends within a unit only at the end of the file; then the next one returns 0 or fails.
        match disk::read_at(file, &mut into[read..], start + read as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => read += more,
        }
    }
    Ok(aligned + skipped..aligned + end)
}

/// The numbers of the chunks that `range` overlaps.
fn chunks(range: &Range<u64>) -> Range<u64> {
    range.start / CHUNK_BYTES..range.end.div_ceil(CHUNK_BYTES)
}

/// The absent chunks of `range`, joined into byte ranges.
fn runs(absent: &BTreeSet<u64>, range: &Range<u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for chunk in absent.range(chunks(range)) {
        let (start, end) = (chunk.saturating_mul(CHUNK_BYTES), chunk.saturating_add(1).saturating_mul(CHUNK_BYTES));
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

/// An empty range means the whole file.
fn advise(file: &File, range: &Range<u64>, advice: Advice) {
    let len = NonZeroU64::new(range.end.saturating_sub(range.start));
    // The kernel may ignore advice; pages that are not dropped age out.
    let _ = rustix::fs::fadvise(file, range.start, len, advice);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_range_within_one_chunk_is_not_dropped_yet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, vec![7; 3 << 20]).unwrap();
        let file = File::open(&path).unwrap();
        // The kernel does not drop dirty pages.
        file.sync_all().unwrap();
        let residency = Residency::new(PageCache::Restore, &file);
        residency.lock().extend(0..24);
        residency.drop_within(&file, &(1000..2000));
        residency.drop_within(&file, &(CHUNK_BYTES - 1..CHUNK_BYTES + 1));
        assert!(is_cached(&file, 0) && is_cached(&file, CHUNK_BYTES));
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a skipped test is reported")]
    fn direct_reads_return_the_bytes_of_the_file_for_any_range() {
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
    fn runs_join_neighbours_and_stay_within_the_range() {
        let absent = BTreeSet::from([1, 2, 3, 7]);
        let bytes = |chunks: Range<u64>| chunks.start * CHUNK_BYTES..chunks.end * CHUNK_BYTES;
        assert_eq!(runs(&absent, &bytes(0..10)), [bytes(1..4), bytes(7..8)]);
        assert_eq!(runs(&absent, &bytes(2..7)), [bytes(2..4)]);
        assert_eq!(runs(&absent, &(CHUNK_BYTES * 3 - 1..CHUNK_BYTES * 3)), [bytes(2..3)]);
        assert_eq!(runs(&absent, &bytes(4..4)), []);
    }
}
