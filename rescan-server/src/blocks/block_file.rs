//! One open block file, mapped or read: two arms of one type.
//!
//! This is the only place that maps. A file is mapped once, as far as allowed, and stays mapped while it is open: the
//! cost is the page faults of first touches, and a map for each segment repeated them all. A map is a promise about other
//! processes, which no code here can keep; the operator makes it once, with [`Access::mapped`]. The read arm needs no
//! promise: it is the fallback, serves growing files, and is used under Miri and by the fault tests.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use memmap2::{Mmap, MmapOptions};
use rescan_core::position::FileNumber;

use crate::blocks::disk;
use crate::blocks::page_cache::{self, PageCache, Residency};

/// How to access finished block files.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    arm: Arm,
    page_cache: PageCache,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arm {
    Mapped,
    Read,
}

impl Access {
    /// Copies bytes with `pread`.
    #[must_use]
    pub fn read() -> Self {
        Self { arm: Arm::Read, page_cache: PageCache::Restore }
    }

    /// Maps files into memory.
    ///
    /// # Safety
    /// While anything opened with this token is in use:
    /// 1. bytes of a block file below the end of its last known record are not rewritten while a later file exists;
    /// 2. such a file is not truncated below that end: a read there kills the process with SIGBUS. Running scans are lost,
    ///    and their wallets have received only blocks that were read completely. The next start logs the probable cause; a
    ///    signal handler cannot, since Rust's own returns the signal to the kernel;
    /// 3. no process but the one node that owns the blocks directory writes into it;
    /// 4. no crashed node is restarted beneath a running map: it resumes at positions an hour old, and breaks 1 and 2.
    ///
    /// Unlinking a file is allowed: its map stays readable.
    #[must_use]
    #[expect(unsafe_code, reason = "only the caller knows about other processes")]
    pub unsafe fn mapped() -> Self {
        Self { arm: Arm::Mapped, page_cache: PageCache::Restore }
    }

    /// Maps files in a test, which owns them and keeps the promise.
    #[cfg(test)]
    pub(crate) fn mapped_in_test() -> Self {
        Self { arm: Arm::Mapped, page_cache: PageCache::Restore }
    }

    /// The same access with this treatment of the page cache.
    #[must_use]
    pub fn with_page_cache(self, page_cache: PageCache) -> Self {
        Self { page_cache, ..self }
    }

    /// The treatment of the page cache.
    #[must_use]
    pub fn page_cache(self) -> PageCache {
        self.page_cache
    }

    /// Whether this is the mapped arm.
    #[must_use]
    pub fn is_mapped(self) -> bool {
        self.arm == Arm::Mapped
    }
}

/// How to access bytes of an open file.
#[derive(Debug)]
pub(crate) enum Route {
    /// In the page cache: through the map, if allowed.
    Cached,
    /// From disk, past the page cache.
    Direct,
    /// From disk, through a handle of its own for sequential reads.
    Sequential(File),
    /// From disk, through the shared handle.
    Shared,
}

/// Bytes that a buffer for a copy needs in addition to the copied bytes.
pub(crate) const COPY_SLACK: usize = page_cache::DIRECT_SLACK;

/// An open block file with its identity at that time.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) number: FileNumber,
    pub(crate) path: PathBuf,
    file: File,
    identity: Identity,
    /// From the first byte to the end of the last known record; mapped at first use. None if mapping failed.
    map: OnceLock<Option<Mmap>>,
    residency: Residency,
    /// Bypasses the page cache; opened at first use. None if the file system cannot bypass it, or the cache is to be filled.
    direct: OnceLock<Option<File>>,
}

/// Detects replaced and modified files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Self { device: metadata.dev(), inode: metadata.ino(), len: metadata.len(), modified }
    }
}

/// The change of a file since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// The file was truncated to this many bytes.
    Shorter(u64),
    Written,
}

impl OpenFile {
    /// Opens a file.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(crate) fn open(number: FileNumber, path: PathBuf, page_cache: PageCache) -> io::Result<Self> {
        let file = File::open(&path)?;
        let identity = Identity::of(&file.metadata()?);
        let residency = Residency::new(page_cache, &file);
        Ok(Self { number, path, file, identity, map: OnceLock::new(), residency, direct: OnceLock::new() })
    }

    /// Whether the file at `path` is this one, unmodified.
    ///
    /// # Errors
    /// The error of the operating system, such as a missing file.
    pub(crate) fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(Identity::of(&std::fs::metadata(path)?) == self.identity)
    }

    /// The length at the time of opening, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.identity.len
    }

    /// The change since opening, of a file that must have `needed` bytes.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(crate) fn change(&self, needed: u64) -> io::Result<Change> {
        let now = Identity::of(&self.file.metadata()?);
        Ok(match now {
            Identity { len, .. } if len < needed => Change::Shorter(len),
            Identity { modified, .. } if modified != self.identity.modified => Change::Written,
            _ => Change::None,
        })
    }

    /// The mapped bytes of `range`. The first call maps the file up to `limit`, the end that may be mapped. None if an earlier
    /// call mapped less, or if mapping failed; the file can still be read.
    pub(crate) fn mapped(&self, range: &Range<u64>, limit: u64) -> Option<&[u8]> {
        let map = || {
            map_file(&self.file, limit.min(self.identity.len))
                .inspect_err(|error| {
                    tracing::warn!(
                        path = %self.path.display(), %error,
                        "cannot map block file; reading it instead, which is slower; raise the limit of address space (ulimit -v) or of \
                         maps (vm.max_map_count)"
                    );
                })
                .ok()
        };
        let index = |at: u64| usize::try_from(at).ok();
        self.map.get_or_init(map).as_ref()?.get(index(range.start)?..index(range.end)?)
    }

    /// Copies the bytes of `range` into `buffer`, which has [`COPY_SLACK`] bytes more, and returns the copied part.
    ///
    /// # Errors
    /// The error of the operating system; `UnexpectedEof` if the file is too short.
    pub(crate) fn copy<'b>(&self, route: &Route, buffer: &'b mut [u8], range: &Range<u64>) -> io::Result<&'b mut [u8]> {
        let from = match route {
            Route::Sequential(own) => own,
            Route::Direct | Route::Cached | Route::Shared => &self.file,
        };
        if let (Route::Direct, Some(direct)) = (route, self.direct()) {
            match page_cache::read_direct(direct, buffer, range) {
                // Some file systems open such handles and then refuse to read.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                read => return read.map(|range| &mut buffer[range]),
            }
        }
        let bytes = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
        let into = buffer.get_mut(..bytes).ok_or(io::ErrorKind::InvalidInput)?;
        disk::read_exact_at(from, into, range.start)?;
        Ok(into)
    }

    /// The best route to the bytes of `range`.
    pub(crate) fn route(&self, range: &Range<u64>) -> Route {
        if self.residency.was_cached(&self.file, range) {
            return Route::Cached;
        }
        if self.direct().is_some() {
            return Route::Direct;
        }
        if self.residency.restores() {
            self.residency.check_ahead(&self.file, range.end, self.identity.len);
        }
        // If the file cannot be opened again, the shared handle serves.
        page_cache::open_sequential(&self.path).map_or(Route::Shared, Route::Sequential)
    }

    fn direct(&self) -> Option<&File> {
        let open = || {
            let file = page_cache::open_direct(&self.path).ok()?;
            // Another file may have replaced this one since it was opened.
            let is_same = file.metadata().is_ok_and(|metadata| Identity::of(&metadata) == self.identity);
            is_same.then_some(file)
        };
        self.direct.get_or_init(|| self.residency.restores().then(open).flatten()).as_ref()
    }

    /// Drops pages of `range` that were not in the page cache before.
    pub(crate) fn restore_cache(&self, range: &Range<u64>) {
        self.residency.drop_within(&self.file, range);
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // The kernel drops no page that a map holds.
        self.map.take();
        self.residency.drop_all(&self.file);
    }
}

#[expect(unsafe_code, reason = "the one map call; it relies on the promise made for the token")]
fn map_file(file: &File, limit: u64) -> io::Result<Mmap> {
    let bytes = usize::try_from(limit).map_err(io::Error::other)?;
    // SAFETY: an `Arm::Mapped` comes only from `Access::mapped`, whose caller promised that (1) and (3) no mapped byte
    // changes, since only files with a later one are mapped, up to their last known record; (2) the file stays at least
    // that long, so every page of the map has a file behind it; (4) no crashed node breaks either. The map is read-only
    // and shared with no other code.
    unsafe { MmapOptions::new().len(bytes).map(file) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::blocks::disk::faults::{Armed, Fault, Often};

    #[test]
    fn a_read_beyond_the_end_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blk00000.dat");
        std::fs::write(&path, [7; 100]).unwrap();
        let file = OpenFile::open(FileNumber(0), path, PageCache::Restore).unwrap();
        let mut buffer = vec![0; 90 + COPY_SLACK];
        for route in [Route::Cached, Route::Direct, Route::Shared] {
            assert_eq!(file.copy(&route, &mut buffer, &(10..100)).unwrap(), [7; 90]);
            let beyond = file.copy(&route, &mut buffer, &(11..101)).unwrap_err();
            assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof, "{route:?}: {beyond}");
        }
    }

    #[test]
    fn a_faulty_read_returns_the_right_bytes_or_an_error_by_every_route_at_every_offset() {
        const RANGE: Range<u64> = 1_000..8_000;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blk00000.dat");
        let bytes: Vec<u8> = (0..9_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        std::fs::write(&path, &bytes).unwrap();
        let file = OpenFile::open(FileNumber(0), path.clone(), PageCache::Restore).unwrap();
        let mut buffer = vec![0; 7_000 + COPY_SLACK];
        for at in (0..9_000).step_by(47).chain([999, 1_000, 1_001, 4_095, 4_096, 7_999, 8_000]) {
            for fault in [Fault::Ends, Fault::Partial, Fault::Fails] {
                for route in [Route::Cached, Route::Direct, Route::Shared] {
                    let armed = Armed::at(&path, at, fault, Often::Always);
                    let copied = file.copy(&route, &mut buffer, &RANGE).map(|copied| copied.to_vec());
                    let case = format!("{fault:?} at {at}, {route:?}");
                    match (fault, RANGE.contains(&at), copied) {
                        (_, _, Ok(copied)) => {
                            assert_eq!(copied, bytes[1_000..8_000], "{case}");
                            assert!(fault == Fault::Partial || !RANGE.contains(&at), "{case}");
                        }
                        (Fault::Ends, _, Err(error)) if at < RANGE.end => {
                            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{case}");
                        }
                        // Direct reads cover whole units.
                        (Fault::Fails, is_within, Err(error)) if is_within || armed.hits() > 0 => {
                            assert_eq!(error.raw_os_error(), Some(libc::EIO), "{case}");
                        }
                        (.., Err(error)) => panic!("{case}: {error}"),
                    }
                }
            }
        }
    }

    #[test]
    fn a_replaced_file_is_detected() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blk00000.dat");
        std::fs::write(&path, [7; 100]).unwrap();
        let file = OpenFile::open(FileNumber(0), path.clone(), PageCache::Restore).unwrap();
        assert!(file.is_at(&path).unwrap());
        std::fs::write(dir.path().join("other"), [8; 100]).unwrap();
        std::fs::rename(dir.path().join("other"), &path).unwrap();
        assert!(!file.is_at(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.is_at(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
