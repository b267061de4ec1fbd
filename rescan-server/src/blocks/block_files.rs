//! The bytes of blocks: a handle to all block files, and windows onto what one piece of work reads.
//!
//! Files that a later one has succeeded are mapped, where mapping was promised, and no further than their last known record;
//! what of them is in the page cache is seen in place. Files that grow, that changed or that a worker suspects, and whatever
//! has to come from the disk, are copied block by block. What was not in the page cache before is dropped from it
//! afterwards, unless it is to be kept: the cache is the node's.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::position::{FileNumber, RecordSpan};

use crate::blocks::block_buffers::BlockBuffers;
use crate::blocks::block_file::{Access, COPY_SLACK, Change, OpenFile, Route};
use crate::blocks::disk;

/// Blocks closer together than this are covered by one stretch: the records that lie between are mostly the same window's.
const GAP_BYTES_MAX: u64 = 1 << 16;

/// Files that a scan keeps open: those that its workers are at, and one or two that lie beside them.
const FILES_IN_USE_MAX: usize = 8;

/// Why the bytes of a block are not to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockFileError {
    /// The file is gone; a pruning node takes files away.
    #[error("{} is gone: the node pruned it", path.display())]
    Vanished {
        /// The file.
        path: PathBuf,
    },
    /// The operating system would not give the bytes.
    #[error("cannot read {} at offset {offset}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from the start of the file.
        offset: u64,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file is shorter than its records.
    #[error("{} has {found} bytes and had a block up to {expected}: was the node restarted after a crash?", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The end of the last block that was asked for, in bytes from the start of the file.
        expected: u64,
        /// The file's length in bytes.
        found: u64,
    },
    /// The file was written to after a later one had succeeded it.
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

/// A handle to the block files of one directory; a copy is the same handle.
#[derive(Clone, Debug)]
pub struct BlockFiles(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    key: ObfuscationKey,
    access: Access,
    /// Up to which byte each finished file may be mapped.
    mappable: RwLock<BTreeMap<FileNumber, u64>>,
    /// What anybody has open.
    open: Mutex<Vec<Weak<OpenFile>>>,
    buffers: BlockBuffers,
}

impl BlockFiles {
    pub(crate) fn new(directory: PathBuf, key: ObfuscationKey, access: Access) -> Self {
        let (mappable, open, buffers) = (RwLock::default(), Mutex::default(), BlockBuffers::default());
        Self(Arc::new(Inner { directory, key, access, mappable, open, buffers }))
    }

    /// Where a block file is.
    #[must_use]
    pub fn path(&self, file: FileNumber) -> PathBuf {
        self.0.directory.join(file.file_name())
    }

    /// The folder of the block files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// The key for the first byte of each file.
    #[must_use]
    pub fn key(&self) -> ObfuscationKey {
        self.0.key
    }

    /// The bytes of some blocks, for as long as the window lives.
    ///
    /// # Errors
    /// [`BlockFileError`]: a file is gone, shorter than the blocks, or cannot be read.
    pub fn window(&self, spans: &[RecordSpan]) -> Result<Window, BlockFileError> {
        let mut sorted = spans.to_vec();
        sorted.sort_unstable();
        let mut pieces = Vec::new();
        for in_file in sorted.chunk_by(|a, b| a.file == b.file) {
            self.add_pieces(in_file, &mut pieces)?;
        }
        Ok(Window { pieces, files: self.clone() })
    }

    fn add_pieces(&self, spans: &[RecordSpan], pieces: &mut Vec<Piece>) -> Result<(), BlockFileError> {
        let (Some(first), Some(end)) = (spans.first(), spans.iter().map(|span| span.end()).max()) else {
            return Ok(());
        };
        let limit = self.mappable_to(first.file).filter(|limit| end <= *limit);
        let file = self.open(first.file).map_err(|source| unreadable(&self.path(first.file), 0, source))?;
        if file.len() < end {
            return Err(BlockFileError::Truncated { path: file.path.clone(), expected: end, found: file.len() });
        }
        pieces.extend(merged(spans).into_iter().map(|range| Piece::new(Arc::clone(&file), range, limit)));
        Ok(())
    }

    /// How far the file may be mapped; none where it may not be.
    pub(crate) fn mappable_to(&self, file: FileNumber) -> Option<u64> {
        if !self.0.access.is_mapped() {
            return None;
        }
        // A panic elsewhere leaves the table as it was before or after one assignment: both are whole.
        self.0.mappable.read().unwrap_or_else(PoisonError::into_inner).get(&file).copied()
    }

    /// The file as it is now: opened before, if it has not changed since, else anew.
    fn open(&self, number: FileNumber) -> io::Result<Arc<OpenFile>> {
        let path = self.path(number);
        let same = |file: &Arc<OpenFile>| file.number == number && file.is_at(&path).is_ok_and(|is_same| is_same);
        // Between two locks another may open the same: then both are open for a while.
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(file) = open.iter().filter_map(Weak::upgrade).find(same) {
            return Ok(file);
        }
        let file = Arc::new(OpenFile::open(number, path, self.0.access.page_cache())?);
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|file| file.strong_count() > 0);
        open.push(Arc::downgrade(&file));
        Ok(file)
    }

    pub(crate) fn set_mappable(&self, files: BTreeMap<FileNumber, u64>) {
        *self.0.mappable.write().unwrap_or_else(PoisonError::into_inner) = files;
    }

    /// From here on the file is read, not mapped.
    pub(crate) fn stop_mapping(&self, file: FileNumber) {
        self.0.mappable.write().unwrap_or_else(PoisonError::into_inner).remove(&file);
    }

    /// Reads the start of a block in the clear, no more than `buffer` holds.
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

fn unreadable(path: &Path, offset: u64, source: io::Error) -> BlockFileError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => BlockFileError::Vanished { path },
        _ => BlockFileError::Unreadable { path, offset, source },
    }
}

/// The stretches of one file that cover `spans`, which are sorted.
fn merged(spans: &[RecordSpan]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for span in spans {
        match ranges.last_mut() {
            Some(last) if u64::from(span.offset) <= last.end.saturating_add(GAP_BYTES_MAX) => {
                last.end = last.end.max(span.end());
            }
            _ => ranges.push(u64::from(span.offset)..span.end()),
        }
    }
    ranges
}

/// The bytes of some blocks.
#[derive(Debug)]
pub struct Window {
    pieces: Vec<Piece>,
    files: BlockFiles,
}

impl Window {
    /// Gives the block at `span` to `see`; none if the window was not made for it.
    ///
    /// # Errors
    /// [`BlockFileError`]: it has to be copied, and cannot be.
    pub fn with_block<T>(
        &self,
        span: RecordSpan,
        see: impl FnOnce(RawBlock<'_>) -> T,
    ) -> Result<Option<T>, BlockFileError> {
        let range = u64::from(span.offset)..span.end();
        let covers = |piece: &&Piece| {
            piece.file.number == span.file && piece.range.start <= range.start && range.end <= piece.range.end
        };
        let Some(Piece { file, limit, route, .. }) = self.pieces.iter().find(covers) else { return Ok(None) };
        let failed = |source| unreadable(&file.path, range.start, source);
        let key = self.files.key().advanced(range.start);
        if let (Some(limit), Route::Cached) = (*limit, route)
            && let Some(bytes) = file.mapped(&range, limit)
        {
            return Ok(Some(see(RawBlock::new(bytes, key))));
        }
        let bytes = usize::try_from(span.size).map_err(|error| failed(io::Error::other(error)))?;
        let mut buffer = self.files.0.buffers.lend(bytes.saturating_add(COPY_SLACK)).map_err(failed)?;
        let copied = file.copy(route, buffer.bytes_mut(), &range).map_err(failed)?;
        Ok(Some(see(RawBlock::new(copied, key))))
    }

    /// Whether what was seen through the window can be trusted: the files that may be mapped are as long as they were
    /// needed, and were not written to. Copies cannot change. To be asked after each block that was walked.
    ///
    /// # Errors
    /// [`BlockFileError::Truncated`] or [`BlockFileError::Rewritten`], and `Unreadable` where the system will not tell.
    pub fn recheck(&self) -> Result<(), BlockFileError> {
        self.pieces.iter().try_for_each(Piece::recheck)
    }

    /// Whether any of its files may be mapped. What of them is not in the page cache is copied all the same.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.pieces.iter().any(|piece| piece.limit.is_some())
    }
}

/// Files that one scan has windows onto again and again: they stay open, and mapped, until it is over.
#[derive(Debug, Default)]
pub(crate) struct FilesInUse(Mutex<VecDeque<Arc<OpenFile>>>);

impl FilesInUse {
    /// Keeps the files of a window open, and in return lets go of those that were not used for longest.
    pub(crate) fn note(&self, window: &Window) {
        let mut let_go = Vec::new();
        let mut in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in &window.pieces {
            if let Some(place) = in_use.iter().position(|file| Arc::ptr_eq(file, &piece.file)) {
                in_use.remove(place);
            }
            in_use.push_back(Arc::clone(&piece.file));
        }
        while in_use.len() > FILES_IN_USE_MAX {
            let_go.extend(in_use.pop_front());
        }
        // To close a file takes time, for which no other worker should wait.
        drop(in_use);
    }
}

/// One stretch of a file in a window.
#[derive(Debug)]
struct Piece {
    file: Arc<OpenFile>,
    range: Range<u64>,
    /// How far the file may be mapped, if at all.
    limit: Option<u64>,
    route: Route,
}

impl Piece {
    /// A stretch of a file that may be mapped up to `limit`, if at all.
    fn new(file: Arc<OpenFile>, range: Range<u64>, limit: Option<u64>) -> Self {
        // Asked of what is copied, too: it says what is to be dropped afterwards.
        let route = file.route(&range);
        Self { file, range, limit, route }
    }

    fn recheck(&self) -> Result<(), BlockFileError> {
        if self.limit.is_none() {
            return Ok(());
        }
        let Self { file, range, .. } = self;
        let path = || file.path.clone();
        match file.change(range.end).map_err(|source| unreadable(&file.path, range.start, source))? {
            Change::None => Ok(()),
            Change::Shorter(found) => Err(BlockFileError::Truncated { path: path(), expected: range.end, found }),
            Change::Written => Err(BlockFileError::Rewritten { path: path() }),
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if !matches!((self.limit, &self.route), (Some(_), Route::Cached)) {
            self.file.restore_cache(&self.range);
        }
    }
}

#[cfg(test)]
mod tests;
