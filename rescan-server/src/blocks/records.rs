//! The walk of one block file: consecutive records `magic | u32 size | block`, of which only the block headers are read.
//!
//! Bytes that are no record are skipped: a preallocated tail or a hole is zeros *on disk*, without obfuscation. Other bytes
//! are searched for the magic, which must be followed by a header that meets its proof of work. A record counts if another
//! magic follows it, or if it ends a finished file. Any other record may be torn, and counts once its transactions hash to
//! its header's merkle root.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used)]

use std::fs::File;
use std::io;

use bitcoin::BlockHash;
use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::blocks::proof::Prover;
use rescan_core::blocks::walk::HEADER_BYTES;
use rescan_core::chain::block_index::HeaderRecord;
use rescan_core::chain::header::Header;
use rescan_core::chain::network::Network;
use rescan_core::position::{FileNumber, RecordSpan};

use crate::blocks::disk;

/// Bytes of the magic at the start of every record.
const MAGIC_BYTES: usize = 4;
/// Bytes of magic and size before each block.
const PREFIX_BYTES: usize = 8;
/// Maximum block size (`MAX_BLOCK_SERIALIZED_SIZE`); Bitcoin Core skips larger records during a reindex.
const BLOCK_BYTES_MAX: u32 = 4_000_000;
/// A header and a transaction count.
const BLOCK_BYTES_MIN: u32 = 81;
/// Bytes per read while records are consecutive: a disk reads whole pages anyway, and a page holds twenty early blocks.
const READ_BYTES: usize = 4096;
/// Bytes per read in the search for a magic.
const SEARCH_BYTES: usize = 1 << 16;

/// The source of a file's bytes.
pub trait ByteSource {
    /// Reads at `offset` until `buffer` is full or the file ends. Returns the number of bytes read.
    ///
    /// # Errors
    /// The error of the operating system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ByteSource for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        disk::read_up_to(self, buffer, offset)
    }
}

impl ByteSource for &[u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        io::Read::read(&mut rest, buffer)
    }
}

/// The facts about a file that a walk needs besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct FileKind {
    /// The file number.
    pub number: FileNumber,
    /// Length in bytes.
    pub len: u64,
    /// Whether a later file has records; then this one is usually finished.
    pub has_successor: bool,
}

/// A walk of one file, which returns the records in file order.
#[derive(Debug)]
pub struct RecordWalk<'a, S> {
    source: &'a S,
    file: FileKind,
    key: ObfuscationKey,
    network: Network,
    position: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
    headers_read: u64,
    /// The offset of the first read that ended before the file's length.
    ended_at: Option<u64>,
    prover: Prover,
}

impl<'a, S: ByteSource> RecordWalk<'a, S> {
    /// A walk of a file of `network` with `key`.
    #[must_use]
    pub fn new(source: &'a S, file: FileKind, key: ObfuscationKey, network: Network) -> Self {
        let (buffer, prover) = (Vec::new(), Prover::default());
        Self { source, file, key, network, position: 0, buffer, buffer_at: 0, headers_read: 0, ended_at: None, prover }
    }

    /// The current position, in bytes from the start of the file.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The number of headers read and hashed.
    #[must_use]
    pub fn headers_read(&self) -> u64 {
        self.headers_read
    }

    /// The offset at which the bytes ended, if that was before the file's length: the file was truncated meanwhile, or the disk
    /// is faulty.
    #[must_use]
    pub fn ended_at(&self) -> Option<u64> {
        self.ended_at
    }

    /// The next valid record; none at the end of the file.
    ///
    /// # Errors
    /// The error of the operating system. No content of the file is an error.
    pub fn next_record(&mut self) -> io::Result<Option<HeaderRecord>> {
        while self.position < self.file.len {
            let at = self.position;
            if let Some(record) = self.record_at(at)? {
                self.position = record.span.end();
                if self.is_whole(record.span)? {
                    return Ok(Some(record));
                }
            }
            self.position = self.next_magic(at.saturating_add(1))?;
        }
        Ok(None)
    }

    /// The record that begins at `at`, if any.
    fn record_at(&mut self, at: u64) -> io::Result<Option<HeaderRecord>> {
        let (key, network) = (self.key, self.network);
        let Some(&raw) = self.bytes_at(at)?.first_chunk::<{ PREFIX_BYTES + HEADER_BYTES }>() else { return Ok(None) };
        if !self.is_magic(&raw, at) {
            return Ok(None);
        }
        let mut clear = raw;
        key.advanced(at).apply(&mut clear);
        let [_, _, _, _, s0, s1, s2, s3, header @ ..] = clear;
        let size = u32::from_le_bytes([s0, s1, s2, s3]);
        let Ok(offset) = u32::try_from(at.saturating_add(PREFIX_BYTES as u64)) else { return Ok(None) }; // 8 fits
        if !(BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&size) {
            return Ok(None);
        }
        let header = Header::new(header);
        let hash = header.hash();
        self.headers_read = self.headers_read.saturating_add(1);
        let span = RecordSpan { file: self.file.number, offset, size };
        Ok(header.meets_target(hash, network).then(|| HeaderRecord::new(&header, hash, span)))
    }

    /// Whether the body of a record was written completely. Reads the body only if the following bytes leave that open.
    fn is_whole(&mut self, span: RecordSpan) -> io::Result<bool> {
        let end = span.end();
        if end > self.file.len {
            return Ok(false);
        }
        if end == self.file.len && self.file.has_successor {
            return Ok(true);
        }
        let after = self.bytes_at(end)?.first_chunk::<MAGIC_BYTES>().copied();
        if after.is_some_and(|after| self.is_magic(&after, end)) {
            return Ok(true);
        }
        let mut block = vec![0; usize::try_from(span.size).map_err(io::Error::other)?];
        let read = self.read_at(&mut block, u64::from(span.offset))?;
        let raw = RawBlock::new(&block, self.key.advanced(u64::from(span.offset)));
        Ok(read == block.len() && self.prover.prove(raw, &[]).is_ok())
    }

    /// The bytes from `at` on: at least the start of a record, unless the file ends before.
    fn bytes_at(&mut self, at: u64) -> io::Result<&[u8]> {
        let held = |buffer: &[u8], buffer_at: u64| -> Option<usize> {
            let start = usize::try_from(at.checked_sub(buffer_at)?).ok()?;
            (start.saturating_add(PREFIX_BYTES + HEADER_BYTES) <= buffer.len()).then_some(start)
        };
        let start = match held(&self.buffer, self.buffer_at) {
            Some(start) => start,
            None => {
                self.fill(at, READ_BYTES)?;
                0
            }
        };
        Ok(self.buffer.get(start..).unwrap_or_default())
    }

    fn fill(&mut self, at: u64, bytes: usize) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(bytes, 0);
        let read = self.read_at(&mut buffer, at)?;
        buffer.truncate(read);
        (self.buffer, self.buffer_at) = (buffer, at);
        Ok(())
    }

    fn read_at(&mut self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let read = self.source.read_at(buffer, at)?;
        let end = at.saturating_add(read as u64); // usize fits u64
        if read < buffer.len() && end < self.file.len {
            self.ended_at.get_or_insert(end);
        }
        Ok(read)
    }

    /// The position of the next magic from `from` on; the end of the file if there is none.
    fn next_magic(&mut self, from: u64) -> io::Result<u64> {
        let mut at = from;
        while at < self.file.len {
            // Search the rest of the buffer first: with magics close together, a read for each would take hours.
            let held = at.checked_sub(self.buffer_at).and_then(|start| usize::try_from(start).ok());
            let mut start = held.filter(|start| start.saturating_add(MAGIC_BYTES) <= self.buffer.len());
            if start.is_none() {
                self.fill(at, SEARCH_BYTES)?;
                start = Some(0);
            }
            let rest = start.and_then(|start| self.buffer.get(start..)).unwrap_or_default();
            if rest.len() < MAGIC_BYTES {
                break;
            }
            // A preallocated tail has up to 16 MiB of zeros, which need no search.
            if !is_zero(rest)
                && let Some(found) = (at..).zip(rest.windows(MAGIC_BYTES)).find(|(at, raw)| self.is_magic(raw, *at))
            {
                return Ok(found.0);
            }
            // Advances by at least one byte, since the rest holds a whole magic; usize fits u64.
            at = at.saturating_add(rest.len().saturating_sub(MAGIC_BYTES - 1) as u64);
        }
        Ok(self.file.len)
    }

    /// Whether the raw bytes at `at` begin with the magic. Zeros never do, whatever the key: no data was written there.
    fn is_magic(&self, raw: &[u8], at: u64) -> bool {
        let Some(&raw) = raw.first_chunk::<MAGIC_BYTES>() else { return false };
        let mut clear = raw;
        self.key.advanced(at).apply(&mut clear);
        clear == self.network.magic().0 && raw != [0; MAGIC_BYTES]
    }
}

/// Whether all bytes are zero. Checks 64 bytes at a time, which the compiler vectorises: every refresh reads the tail again.
fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<64>();
    let any = |bytes: &[u8]| bytes.iter().fold(0, |any, byte| any | byte);
    chunks.iter().all(|chunk| any(chunk) == 0) && any(rest) == 0
}

/// The hash of the header at a known position, if the file is long enough. Verifies positions from the state file.
pub(crate) fn header_at(
    source: &impl ByteSource,
    span: RecordSpan,
    key: ObfuscationKey,
) -> io::Result<Option<BlockHash>> {
    let mut bytes = [0; HEADER_BYTES];
    let read = source.read_at(&mut bytes, u64::from(span.offset))?;
    key.advanced(u64::from(span.offset)).apply(&mut bytes);
    Ok((read == HEADER_BYTES).then(|| Header::new(bytes).hash()))
}

#[cfg(test)]
mod tests;
