//! A handle to all block files of one directory: opens them, and knows how far each may be mapped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use rescan_core::blocks::obfuscation::ObfuscationKey;
use rescan_core::position::{FileNumber, RecordSpan};

use crate::blocks::block_buffers::{BlockBuffers, Buffer};
use crate::blocks::block_file::{Access, OpenFile};
use crate::blocks::disk;
use crate::blocks::window::Window;

/// Why the bytes of a block cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockFileError {
    /// The file is gone: a pruning node removes files.
    #[error("{} is gone: the node pruned it", path.display())]
    Vanished {
        /// The file.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("cannot read {} at offset {offset}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// In bytes from the start of the file.
        offset: u64,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is shorter than its records.
    #[error("{} has {found} bytes, expected {expected}: was the node restarted after a crash?", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The end of the last requested block, in bytes from the start of the file.
        expected: u64,
        /// The file's length in bytes.
        found: u64,
    },
    /// The file was written to although a later one exists.
    #[error("{} was written to while it was mapped: was the node restarted after a crash?", path.display())]
    Rewritten {
        /// The file.
        path: PathBuf,
    },
}

impl BlockFileError {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Vanished { path }
            | Self::Unreadable { path, .. }
            | Self::Truncated { path, .. }
            | Self::Rewritten { path } => path,
        }
    }
}

/// A handle to the block files of one directory. Clones share one state.
#[derive(Clone, Debug)]
pub struct BlockFiles(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    key: ObfuscationKey,
    access: Access,
    /// How far each finished file may be mapped, in bytes.
    mappable: RwLock<BTreeMap<FileNumber, u64>>,
    /// All open files.
    open: Mutex<Vec<Weak<OpenFile>>>,
    buffers: BlockBuffers,
}

impl BlockFiles {
    pub(crate) fn new(directory: PathBuf, key: ObfuscationKey, access: Access) -> Self {
        let (mappable, open, buffers) = (RwLock::default(), Mutex::default(), BlockBuffers::default());
        Self(Arc::new(Inner { directory, key, access, mappable, open, buffers }))
    }

    /// The path of a block file.
    #[must_use]
    pub fn path(&self, file: FileNumber) -> PathBuf {
        self.0.directory.join(file.file_name())
    }

    /// The directory of the block files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// The key for the first byte of each file.
    #[must_use]
    pub fn key(&self) -> ObfuscationKey {
        self.0.key
    }

    /// A window onto some blocks, usable while it lives.
    ///
    /// # Errors
    /// [`BlockFileError`]: a file is gone, shorter than its blocks, or unreadable.
    pub fn window(&self, spans: &[RecordSpan]) -> Result<Window, BlockFileError> {
        Window::open(self, spans)
    }

    /// How far the file may be mapped; none if not at all.
    pub(crate) fn mappable_to(&self, file: FileNumber) -> Option<u64> {
        if !self.0.access.is_mapped() {
            return None;
        }
        // A panic under this lock leaves the table before or after one assignment; both are valid.
        self.0.mappable.read().unwrap_or_else(PoisonError::into_inner).get(&file).copied()
    }

    /// The file as it is now: an open one if it is unmodified, else opened anew.
    pub(super) fn open(&self, number: FileNumber) -> Result<Arc<OpenFile>, BlockFileError> {
        let path = self.path(number);
        let same = |file: &Arc<OpenFile>| file.number == number && file.is_at(&path).is_ok_and(|is_same| is_same);
        // Another thread may open the same file between the two locks; then both stay open for a while.
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(file) = open.iter().filter_map(Weak::upgrade).find(same) {
            return Ok(file);
        }
        let opened = OpenFile::open(number, path, self.0.access.page_cache());
        let file = Arc::new(opened.map_err(|source| unreadable(&self.path(number), 0, source))?);
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|file| file.strong_count() > 0);
        open.push(Arc::downgrade(&file));
        Ok(file)
    }

    pub(crate) fn set_mappable(&self, files: BTreeMap<FileNumber, u64>) {
        *self.0.mappable.write().unwrap_or_else(PoisonError::into_inner) = files;
    }

    /// From now on, new windows read the file instead of mapping it.
    pub(crate) fn stop_mapping(&self, file: FileNumber) {
        self.0.mappable.write().unwrap_or_else(PoisonError::into_inner).remove(&file);
    }

    /// A buffer for a copy of `bytes` bytes.
    pub(super) fn buffer(&self, bytes: usize) -> io::Result<Buffer<'_>> {
        self.0.buffers.acquire(bytes)
    }

    /// Reads the start of a block in the clear, at most the length of `buffer`.
    pub(crate) fn read_start<'a>(&self, span: RecordSpan, buffer: &'a mut [u8]) -> Result<&'a [u8], BlockFileError> {
        let path = self.path(span.file);
        let offset = u64::from(span.offset);
        let wanted = buffer.len().min(usize::try_from(span.size).unwrap_or(usize::MAX));
        let start = &mut buffer[..wanted];
        File::open(&path)
            .and_then(|file| disk::read_exact_at(&file, start, offset))
            .map_err(|source| unreadable(&path, offset, source))?;
        self.0.key.advanced(offset).apply(start);
        Ok(start)
    }
}

pub(super) fn unreadable(path: &Path, offset: u64, source: io::Error) -> BlockFileError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => BlockFileError::Vanished { path },
        _ => BlockFileError::Unreadable { path, offset, source },
    }
}
