//! A stretch of one block file, mapped or read: two arms of one type.
//!
//! This is the only place that maps. A map is a promise about other processes, which no code here can keep; whoever makes
//! it does so once, with [`Access::mapped`]. The read arm needs no promise: it is the fallback, serves the files that still
//! grow, and is what Miri and the fault tests run.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use memmap2::{Mmap, MmapOptions};

/// How bytes of finished block files are reached.
#[derive(Clone, Copy, Debug)]
pub struct Access(Arm);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arm {
    Mapped,
    Read,
}

impl Access {
    /// Copies of the bytes, made with `pread`.
    #[must_use]
    pub fn read() -> Self {
        Self(Arm::Read)
    }

    /// Maps.
    ///
    /// # Safety
    /// For as long as anything that was opened with this token is in use:
    /// 1. bytes of a block file below the end of its last known record are not rewritten while a later file exists;
    /// 2. such a file is not truncated below that end (else the process ends by SIGBUS where it reads);
    /// 3. nobody but the one node that owns the blocks directory writes into it;
    /// 4. no node that crashed is started again beneath a running map: it goes back to positions an hour old, and breaks 1 and 2.
    ///
    /// Unlinking a file is allowed: its map stays readable.
    #[must_use]
    #[expect(unsafe_code, reason = "only the caller knows what other processes do")]
    pub unsafe fn mapped() -> Self {
        Self(Arm::Mapped)
    }

    /// Maps, in a test: the files are the test's own, and it keeps the promise.
    #[cfg(test)]
    pub(crate) fn mapped_in_test() -> Self {
        Self(Arm::Mapped)
    }

    /// Whether this is the mapped arm.
    #[must_use]
    pub fn is_mapped(self) -> bool {
        self.0 == Arm::Mapped
    }
}

/// Bytes of one block file from some offset on.
#[derive(Debug)]
pub(crate) enum Stretch {
    /// Seen in place.
    Mapped(Mmap),
    /// A copy.
    Read(Vec<u8>),
}

impl Stretch {
    /// The bytes of `file` in `range`. A mapped range must lie within the file.
    ///
    /// # Errors
    /// What the operating system says; `UnexpectedEof` where the read arm finds the file shorter.
    pub(crate) fn new(access: Access, file: &File, range: &Range<u64>) -> io::Result<Self> {
        let bytes = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
        match access.0 {
            Arm::Mapped => map(file, range.start, bytes).map(Self::Mapped),
            Arm::Read => {
                let mut buffer = vec![0; bytes];
                file.read_exact_at(&mut buffer, range.start)?;
                Ok(Self::Read(buffer))
            }
        }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Read(buffer) => buffer,
        }
    }
}

#[expect(unsafe_code, reason = "the one map call; the promise it rests on was made where the token was")]
fn map(file: &File, offset: u64, bytes: usize) -> io::Result<Mmap> {
    // SAFETY: an `Arm::Mapped` comes from nowhere but `Access::mapped`, whose caller promised that (1) and (3) no byte of
    // what is mapped changes, since only files with a later one are mapped and no further than their last known record;
    // (2) the file stays at least as long as that, so that no page of the map is without a file behind it; (4) no
    // crashed node breaks either. The map is read-only and shared with nobody here.
    unsafe { MmapOptions::new().offset(offset).len(bytes).map(file) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_read_stretch_beyond_the_end_is_an_error() {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&[7; 100]).expect("room for 100 bytes");
        let inside = Stretch::new(Access::read(), &file, &(10..100)).expect("it lies in the file");
        assert_eq!(inside.bytes(), [7; 90]);
        let beyond = Stretch::new(Access::read(), &file, &(10..101)).expect_err("the file has 100 bytes");
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
    }
}
