//! The bytes of blocks: a handle to all block files, and windows onto what one piece of work reads.
//!
//! A window holds no more than the stretches its blocks lie in. Files that a later one has succeeded are mapped, where
//! mapping was promised, and no further than their last known record; files that grow, that changed or that a worker suspects
//! are copied. What was not in the page cache before a window asked for it is dropped from it afterwards: the cache is the node's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rescan_core::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::position::{FileNumber, RecordSpan};
use rustix::fs::Advice;
use rustix::io::ReadWriteFlags;

use crate::block_file::{Access, Stretch};

/// Blocks closer together than this are covered by one stretch: a second map costs more than the pages between, and
/// the records that lie between are mostly the same window's.
const GAP_BYTES_MAX: u64 = 1 << 16;

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
}

impl BlockFiles {
    pub(crate) fn new(directory: PathBuf, key: ObfuscationKey, access: Access) -> Self {
        Self(Arc::new(Inner { directory, key, access, mappable: RwLock::default() }))
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
        Ok(Window { pieces, key: self.0.key })
    }

    fn add_pieces(&self, spans: &[RecordSpan], pieces: &mut Vec<Piece>) -> Result<(), BlockFileError> {
        let (Some(first), Some(end)) = (spans.first(), spans.iter().map(|span| span.end()).max()) else {
            return Ok(());
        };
        let file = OpenFile::open(first.file, self.path(first.file))?;
        if file.len < end {
            return Err(BlockFileError::Truncated { path: file.path, expected: end, found: file.len });
        }
        let access = if self.is_mappable_to(first.file, end) { self.0.access } else { Access::read() };
        let file = Arc::new(file);
        for range in merged(spans) {
            pieces.push(Piece::new(access, Arc::clone(&file), range)?);
        }
        Ok(())
    }

    fn is_mappable_to(&self, file: FileNumber, end: u64) -> bool {
        // A panic elsewhere leaves the table as it was before or after one assignment: both are whole.
        let mappable = self.0.mappable.read().unwrap_or_else(PoisonError::into_inner);
        mappable.get(&file).is_some_and(|limit| end <= *limit)
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
            .and_then(|file| file.read_exact_at(start, offset))
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

fn modified(metadata: &std::fs::Metadata) -> (i64, i64) {
    (metadata.mtime(), metadata.mtime_nsec())
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
    key: ObfuscationKey,
}

impl Window {
    /// The bytes of the block at `span`; none if the window was not made for it.
    #[must_use]
    pub fn block(&self, span: RecordSpan) -> Option<RawBlock<'_>> {
        let piece = self.pieces.iter().find(|piece| {
            piece.file.number == span.file
                && piece.range.start <= u64::from(span.offset)
                && span.end() <= piece.range.end
        })?;
        let start = usize::try_from(u64::from(span.offset) - piece.range.start).ok()?;
        let bytes = piece.bytes().get(start..)?.get(..usize::try_from(span.size).ok()?)?;
        Some(RawBlock::new(bytes, self.key.advanced(u64::from(span.offset))))
    }

    /// Whether what was seen through the window can be trusted: the files it maps are as long as they were needed, and
    /// were not written to. Copies cannot change. To be asked after each block that was walked.
    ///
    /// # Errors
    /// [`BlockFileError::Truncated`] or [`BlockFileError::Rewritten`], and `Unreadable` where the system will not tell.
    pub fn recheck(&self) -> Result<(), BlockFileError> {
        self.pieces.iter().try_for_each(Piece::recheck)
    }

    /// Whether any of it is mapped.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece.stretch, Some(Stretch::Mapped(_))))
    }
}

/// A file as it was when a window was made.
#[derive(Debug)]
struct OpenFile {
    number: FileNumber,
    path: PathBuf,
    file: File,
    len: u64,
    modified: (i64, i64),
}

impl OpenFile {
    fn open(number: FileNumber, path: PathBuf) -> Result<Self, BlockFileError> {
        let opened = File::open(&path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        match opened {
            Ok((file, metadata)) => Ok(Self { number, path, file, len: metadata.len(), modified: modified(&metadata) }),
            Err(source) => Err(unreadable(&path, 0, source)),
        }
    }
}

/// One stretch of a file in a window.
#[derive(Debug)]
struct Piece {
    file: Arc<OpenFile>,
    range: Range<u64>,
    /// Taken only when the piece is dropped.
    stretch: Option<Stretch>,
    was_cached: bool,
}

impl Piece {
    fn new(access: Access, file: Arc<OpenFile>, range: Range<u64>) -> Result<Self, BlockFileError> {
        let was_cached = is_cached(&file.file, range.start);
        if !was_cached {
            advise(&file.file, &range, Advice::WillNeed);
        }
        let stretch = Stretch::new(access, &file.file, &range);
        let stretch = Some(stretch.map_err(|source| unreadable(&file.path, range.start, source))?);
        Ok(Self { file, range, stretch, was_cached })
    }

    fn bytes(&self) -> &[u8] {
        self.stretch.as_ref().map_or(&[], Stretch::bytes)
    }

    fn recheck(&self) -> Result<(), BlockFileError> {
        if !matches!(self.stretch, Some(Stretch::Mapped(_))) {
            return Ok(());
        }
        let file = &*self.file;
        let metadata = file.file.metadata();
        let metadata = metadata.map_err(|source| unreadable(&file.path, self.range.start, source))?;
        let path = || file.path.clone();
        if metadata.len() < self.range.end {
            return Err(BlockFileError::Truncated { path: path(), expected: self.range.end, found: metadata.len() });
        }
        if modified(&metadata) != file.modified {
            return Err(BlockFileError::Rewritten { path: path() });
        }
        Ok(())
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // Pages cannot leave the cache while a map holds them.
        self.stretch = None;
        if !self.was_cached {
            advise(&self.file.file, &self.range, Advice::DontNeed);
        }
    }
}

/// Whether the byte at `offset` is in the page cache. Where the file system cannot say, it counts as cached: then
/// nothing is dropped that was not ours.
fn is_cached(file: &File, offset: u64) -> bool {
    let mut byte = [0];
    match rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT) {
        Err(error) => error != rustix::io::Errno::AGAIN,
        Ok(_) => true,
    }
}

fn advise(file: &File, range: &Range<u64>, advice: Advice) {
    let len = NonZeroU64::new(range.end.saturating_sub(range.start));
    // Advice is only advice: without it the kernel's own readahead serves, and what is not dropped ages away.
    let _ = rustix::fs::fadvise(file, range.start, len, advice);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
    const FILE_BYTES: u32 = 300_000;

    /// Two files of known bytes, of which the first may be mapped where that was promised.
    fn two_files(access: Access) -> (tempfile::TempDir, BlockFiles) {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..2 {
            let mut bytes = plain(number, 0, FILE_BYTES);
            ObfuscationKey::from_bytes(KEY).apply(&mut bytes);
            std::fs::write(dir.path().join(FileNumber(number).file_name()), bytes).unwrap();
        }
        let files = BlockFiles::new(dir.path().to_owned(), ObfuscationKey::from_bytes(KEY), access);
        files.set_mappable([(FileNumber(0), u64::from(FILE_BYTES))].into());
        (dir, files)
    }

    fn plain(file: u32, offset: u32, size: u32) -> Vec<u8> {
        (offset..offset + size).map(|at| (at.wrapping_mul(2_654_435_761) >> (13 + file)).to_le_bytes()[0]).collect()
    }

    #[test]
    fn both_arms_give_the_bytes_of_every_block() {
        let arms = [Access::read(), Access::mapped_in_test()].map(two_files);
        proptest!(|(
            places in prop::collection::vec((0u32..2, 0u32..FILE_BYTES - 5000, 1u32..5000), 1..20)
        )| {
            let spans: Vec<RecordSpan> = places.iter().map(|(file, offset, size)| span(*file, *offset, *size)).collect();
            for (_dir, files) in &arms {
                let window = files.window(&spans).unwrap();
                for span in &spans {
                    let mut bytes = Vec::new();
                    window.block(*span).unwrap().copy_clear(&mut bytes);
                    prop_assert_eq!(bytes, plain(span.file.0, span.offset, span.size));
                }
                window.recheck().unwrap();
            }
        });
    }

    fn span(file: u32, offset: u32, size: u32) -> RecordSpan {
        RecordSpan { file: FileNumber(file), offset, size }
    }

    #[test]
    fn a_block_that_the_window_was_not_made_for_is_none() {
        let (_dir, files) = two_files(Access::mapped_in_test());
        let window = files.window(&[span(0, 1000, 500), span(0, 200_000, 500)]).unwrap();
        assert!(window.block(span(0, 1000, 501)).is_none());
        assert!(window.block(span(0, 999, 10)).is_none());
        assert!(window.block(span(1, 1000, 500)).is_none());
        assert!(window.block(span(0, 100_000, 1)).is_none());
    }

    #[test]
    fn a_window_beyond_the_end_of_a_file_names_both_lengths() {
        for access in [Access::read(), Access::mapped_in_test()] {
            let (_dir, files) = two_files(access);
            let error = files.window(&[span(0, FILE_BYTES - 10, 11)]).unwrap_err();
            assert!(matches!(error, BlockFileError::Truncated { expected: 300_001, found: 300_000, .. }), "{error}");
        }
    }

    #[test]
    fn a_mapped_file_that_was_cut_or_written_to_is_noticed() {
        let (dir, files) = two_files(Access::mapped_in_test());
        let window = files.window(&[span(0, 1000, 500)]).unwrap();
        let copied = files.window(&[span(1, 1000, 500)]).unwrap();
        let open =
            |number: u32| File::options().write(true).open(dir.path().join(FileNumber(number).file_name())).unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        open(0).set_modified(long_ago).unwrap();
        assert!(matches!(window.recheck(), Err(BlockFileError::Rewritten { .. })));
        // No byte of the map is touched from here on: that would end the process.
        open(0).set_len(1200).unwrap();
        assert!(matches!(window.recheck(), Err(BlockFileError::Truncated { expected: 1500, found: 1200, .. })));
        open(1).set_len(0).unwrap();
        copied.recheck().unwrap();
    }

    #[test]
    fn a_pruned_file_stays_readable_through_its_window_and_has_no_other() {
        for access in [Access::read(), Access::mapped_in_test()] {
            let (dir, files) = two_files(access);
            let window = files.window(&[span(0, 5, 100)]).unwrap();
            std::fs::remove_file(dir.path().join("blk00000.dat")).unwrap();
            let mut bytes = Vec::new();
            window.block(span(0, 5, 100)).unwrap().copy_clear(&mut bytes);
            assert_eq!(bytes, plain(0, 5, 100));
            window.recheck().unwrap();
            assert!(matches!(files.window(&[span(0, 5, 100)]), Err(BlockFileError::Vanished { .. })));
        }
    }
}
