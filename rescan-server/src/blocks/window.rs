//! A window onto the blocks that one segment of a scan reads.
//!
//! Finished files are mapped, if mapping was promised, up to their last known record; bytes in the page cache are seen in
//! place. Files that grow, that changed or that a worker suspects, and all bytes that must come from the disk, are copied
//! block by block. Pages that were not in the page cache before are dropped afterwards, unless they are to be kept: the
//! cache belongs to the node.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rescan_core::blocks::obfuscation::RawBlock;
use rescan_core::position::RecordSpan;

use crate::blocks::block_file::{COPY_SLACK, Change, OpenFile, Route};
use crate::blocks::block_files::{BlockFileError, BlockFiles, unreadable};

/// Blocks closer together than this share one range; most records between them belong to the same window.
const GAP_BYTES_MAX: u64 = 1 << 16;

/// Open files kept for a scan: those that its workers read, and one or two next to them.
const FILES_IN_USE_MAX: usize = 8;

/// Access to the bytes of some blocks.
#[derive(Debug)]
pub struct Window {
    ranges: Vec<FileRange>,
    files: BlockFiles,
}

impl Window {
    pub(super) fn open(files: &BlockFiles, spans: &[RecordSpan]) -> Result<Self, BlockFileError> {
        let mut sorted = spans.to_vec();
        sorted.sort_unstable();
        let mut window = Self { ranges: Vec::new(), files: files.clone() };
        for in_file in sorted.chunk_by(|a, b| a.file == b.file) {
            window.add_file(in_file)?;
        }
        Ok(window)
    }

    /// Adds the ranges of one file that cover `spans`, which are sorted.
    fn add_file(&mut self, spans: &[RecordSpan]) -> Result<(), BlockFileError> {
        let (Some(first), Some(end)) = (spans.first(), spans.iter().map(|span| span.end()).max()) else {
            return Ok(());
        };
        let limit = self.files.mappable_to(first.file).filter(|limit| end <= *limit);
        let file = self.files.open(first.file)?;
        if file.len() < end {
            return Err(BlockFileError::Truncated { path: file.path.clone(), expected: end, found: file.len() });
        }
        self.ranges.extend(merged(spans).into_iter().map(|range| FileRange::new(Arc::clone(&file), range, limit)));
        Ok(())
    }

    /// Calls `visit` with the block at `span`; none if the window does not cover it.
    ///
    /// # Errors
    /// [`BlockFileError`]: the block must be copied and cannot be read.
    pub fn with_block<T>(
        &self,
        span: RecordSpan,
        visit: impl FnOnce(RawBlock<'_>) -> T,
    ) -> Result<Option<T>, BlockFileError> {
        let range = u64::from(span.offset)..span.end();
        let covers = |candidate: &&FileRange| {
            let FileRange { file, range: covered, .. } = candidate;
            file.number == span.file && covered.start <= range.start && range.end <= covered.end
        };
        let Some(FileRange { file, limit, route, .. }) = self.ranges.iter().find(covers) else { return Ok(None) };
        let failed = |source| unreadable(&file.path, range.start, source);
        let key = self.files.key().advanced(range.start);
        if let (Some(limit), Route::Cached) = (*limit, route)
            && let Some(bytes) = file.mapped(&range, limit)
        {
            return Ok(Some(visit(RawBlock::new(bytes, key))));
        }
        let bytes = usize::try_from(span.size).map_err(|error| failed(io::Error::other(error)))?;
        let mut buffer = self.files.buffer(bytes.saturating_add(COPY_SLACK)).map_err(failed)?;
        let copied = file.copy(route, buffer.bytes_mut(), &range).map_err(failed)?;
        Ok(Some(visit(RawBlock::new(copied, key))))
    }

    /// Checks that no mapped file was truncated or written to. Copies cannot change. To be called after each walked block,
    /// before its result is trusted.
    ///
    /// # Errors
    /// [`BlockFileError::Truncated`] or [`BlockFileError::Rewritten`]; `Unreadable` if the check itself fails.
    pub fn recheck(&self) -> Result<(), BlockFileError> {
        self.ranges.iter().try_for_each(FileRange::recheck)
    }

    /// Whether any of its files may be mapped. Bytes outside the page cache are copied all the same.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.ranges.iter().any(|range| range.limit.is_some())
    }
}

/// The files of a scan's latest windows. They stay open and mapped between windows.
#[derive(Debug, Default)]
pub(crate) struct FilesInUse(Mutex<VecDeque<Arc<OpenFile>>>);

impl FilesInUse {
    /// Keeps the files of a window open, and evicts the least recently used ones.
    pub(crate) fn touch(&self, window: &Window) {
        let mut evicted = Vec::new();
        let mut in_use = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for FileRange { file, .. } in &window.ranges {
            if let Some(place) = in_use.iter().position(|other| Arc::ptr_eq(other, file)) {
                in_use.remove(place);
            }
            in_use.push_back(Arc::clone(file));
        }
        while in_use.len() > FILES_IN_USE_MAX {
            evicted.extend(in_use.pop_front());
        }
        // Closing files takes time; no other worker should wait for it.
        drop(in_use);
    }
}

/// A byte range of one file in a window.
#[derive(Debug)]
struct FileRange {
    file: Arc<OpenFile>,
    range: Range<u64>,
    /// How far the file may be mapped; none if not at all.
    limit: Option<u64>,
    route: Route,
}

impl FileRange {
    fn new(file: Arc<OpenFile>, range: Range<u64>, limit: Option<u64>) -> Self {
        // Determined for copied files too: it records the pages to drop afterwards.
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

impl Drop for FileRange {
    fn drop(&mut self) {
        if !matches!((self.limit, &self.route), (Some(_), Route::Cached)) {
            self.file.restore_cache(&self.range);
        }
    }
}

/// The ranges of one file that cover `spans`, which are sorted.
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

#[cfg(test)]
mod tests;
