//! One open block file, mapped or read: two arms of one type.
//!
//! This is the only place that maps. A file is mapped once, as far as that is allowed, and stays so while anybody has it
//! open: what costs is the faults of a page's first touch, and a map for each piece of work had them all again. A map is a promise about other processes, which no code here can keep; whoever makes
//! it does so once, with [`Access::mapped`]. The read arm needs no promise: it is the fallback, serves the files that still
//! grow, and is what Miri and the fault tests run.

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

/// How bytes of finished block files are reached.
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
    /// Copies of the bytes, made with `pread`.
    #[must_use]
    pub fn read() -> Self {
        Self { arm: Arm::Read, page_cache: PageCache::Restore }
    }

    /// Maps.
    ///
    /// # Safety
    /// For as long as anything that was opened with this token is in use:
    /// 1. bytes of a block file below the end of its last known record are not rewritten while a later file exists;
    /// 2. such a file is not truncated below that end: else the process ends by SIGBUS where it reads. Nothing is lost by
    ///    that but the answers under way, of which wallets heard only what was read whole; the next start says what may
    ///    have happened, since no handler can: Rust's own gives the signal back to the kernel;
    /// 3. nobody but the one node that owns the blocks directory writes into it;
    /// 4. no node that crashed is started again beneath a running map: it goes back to positions an hour old, and breaks 1 and 2.
    ///
    /// Unlinking a file is allowed: its map stays readable.
    #[must_use]
    #[expect(unsafe_code, reason = "only the caller knows what other processes do")]
    pub unsafe fn mapped() -> Self {
        Self { arm: Arm::Mapped, page_cache: PageCache::Restore }
    }

    /// Maps, in a test: the files are the test's own, and it keeps the promise.
    #[cfg(test)]
    pub(crate) fn mapped_in_test() -> Self {
        Self { arm: Arm::Mapped, page_cache: PageCache::Restore }
    }

    /// The same, leaving the page cache like that.
    #[must_use]
    pub fn with_page_cache(self, page_cache: PageCache) -> Self {
        Self { page_cache, ..self }
    }

    /// What is left of a scan in the page cache.
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

/// How bytes of an open file are reached.
#[derive(Debug)]
pub(crate) enum Route {
    /// They are in the page cache: in place, where that is allowed.
    Cached,
    /// From disk, past the page cache.
    Direct,
    /// From disk, through a handle of their own.
    InOrder(File),
    /// From disk, through the handle that all share.
    Shared,
}

/// How many bytes more than it copies a buffer has to have.
pub(crate) const COPY_SLACK: usize = page_cache::DIRECT_SLACK;

/// A block file, open, as it was then.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) number: FileNumber,
    pub(crate) path: PathBuf,
    file: File,
    identity: Identity,
    /// From its first byte to the end of its last known record; made when it is first wanted.
    /// None where the system would not map it.
    map: OnceLock<Option<Mmap>>,
    residency: Residency,
    /// Past the page cache; opened when first wanted, none where that cannot be or the cache is to keep what is read.
    direct: OnceLock<Option<File>>,
}

/// What tells that a file is still the same one, and as it was.
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

/// What became of a file since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// It has this many bytes, and had more.
    Shorter(u64),
    Written,
}

impl OpenFile {
    /// Opens a file.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn open(number: FileNumber, path: PathBuf, page_cache: PageCache) -> io::Result<Self> {
        let file = File::open(&path)?;
        let identity = Identity::of(&file.metadata()?);
        let residency = Residency::new(page_cache, &file);
        Ok(Self { number, path, file, identity, map: OnceLock::new(), residency, direct: OnceLock::new() })
    }

    /// Whether what lies at `path` is this file, and as it was.
    ///
    /// # Errors
    /// What the operating system says; nothing may lie there.
    pub(crate) fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(Identity::of(&std::fs::metadata(path)?) == self.identity)
    }

    /// Its length when it was opened, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.identity.len
    }

    /// What became of it, where it has to have `needed` bytes.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn change(&self, needed: u64) -> io::Result<Change> {
        let now = Identity::of(&self.file.metadata()?);
        Ok(match now {
            Identity { len, .. } if len < needed => Change::Shorter(len),
            Identity { modified, .. } if modified != self.identity.modified => Change::Written,
            _ => Change::None,
        })
    }

    /// The bytes of `range` in place, the file being mapped up to `limit`, which is no further than it may be; none where
    /// it was mapped before, and not that far, and where the system will not map it: it can be read all the same.
    pub(crate) fn mapped(&self, range: &Range<u64>, limit: u64) -> Option<&[u8]> {
        let made = || {
            map(&self.file, limit.min(self.identity.len))
                .inspect_err(|error| {
                    tracing::warn!(
                        path = %self.path.display(), %error,
                        "the file cannot be mapped and is read instead, which is slower; raise the limit of address space (ulimit -v) or \
                         of maps (vm.max_map_count)"
                    );
                })
                .ok()
        };
        let place = |at: u64| usize::try_from(at).ok();
        self.map.get_or_init(made).as_ref()?.get(place(range.start)?..place(range.end)?)
    }

    /// Copies the bytes of `range` by a route into `buffer`, which has [`COPY_SLACK`] more of them, and says where in it they are.
    ///
    /// # Errors
    /// What the operating system says; `UnexpectedEof` where the file is shorter.
    pub(crate) fn copy<'b>(&self, route: &Route, buffer: &'b mut [u8], range: &Range<u64>) -> io::Result<&'b mut [u8]> {
        let from = match route {
            Route::InOrder(own) => own,
            Route::Direct | Route::Cached | Route::Shared => &self.file,
        };
        if let (Route::Direct, Some(direct)) = (route, self.direct()) {
            match page_cache::read_direct(direct, buffer, range) {
                // The file system opens such handles and then will not read.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                read => return read.map(|place| &mut buffer[place]),
            }
        }
        let bytes = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
        let into = buffer.get_mut(..bytes).ok_or(io::ErrorKind::InvalidInput)?;
        disk::read_exact_at(from, into, range.start)?;
        Ok(into)
    }

    /// How the bytes of `range` are best reached, whether in place or copied.
    pub(crate) fn route(&self, range: &Range<u64>) -> Route {
        if self.residency.was_cached(&self.file, range) {
            return Route::Cached;
        }
        if self.direct().is_some() {
            return Route::Direct;
        }
        if self.residency.restores() {
            self.residency.judge_ahead(&self.file, range.end, self.identity.len);
        }
        // Without a handle of its own, or where the file is gone, the one that all share serves.
        page_cache::open_to_read_in_order(&self.path).map_or(Route::Shared, Route::InOrder)
    }

    fn direct(&self) -> Option<&File> {
        let open = || {
            let file = page_cache::open_direct(&self.path).ok()?;
            // Since it was opened, another may have taken its place.
            let is_same = file.metadata().is_ok_and(|metadata| Identity::of(&metadata) == self.identity);
            is_same.then_some(file)
        };
        self.direct.get_or_init(|| self.residency.restores().then(open).flatten()).as_ref()
    }

    /// Drops from the page cache what of `range` was not in it.
    pub(crate) fn restore_cache(&self, range: &Range<u64>) {
        self.residency.drop_within(&self.file, range);
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // Pages cannot leave the cache while a map holds them.
        self.map.take();
        self.residency.drop_all(&self.file);
    }
}

#[expect(unsafe_code, reason = "the one map call; the promise it rests on was made where the token was")]
fn map(file: &File, limit: u64) -> io::Result<Mmap> {
    let bytes = usize::try_from(limit).map_err(io::Error::other)?;
    // SAFETY: an `Arm::Mapped` comes from nowhere but `Access::mapped`, whose caller promised that (1) and (3) no byte of
    // what is mapped changes, since only files with a later one are mapped and no further than their last known record;
    // (2) the file stays at least as long as that, so that no page of the map is without a file behind it; (4) no
    // crashed node breaks either. The map is read-only and shared with nobody here.
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
    fn a_read_that_goes_wrong_gives_the_right_bytes_or_an_error_by_every_route_at_every_place() {
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
                        // Past the cache, whole units are read.
                        (Fault::Fails, is_within, Err(error)) if is_within || armed.met() > 0 => {
                            assert_eq!(error.raw_os_error(), Some(libc::EIO), "{case}");
                        }
                        (.., Err(error)) => panic!("{case}: {error}"),
                    }
                }
            }
        }
    }

    #[test]
    fn a_file_that_another_has_replaced_is_not_taken_for_it() {
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
