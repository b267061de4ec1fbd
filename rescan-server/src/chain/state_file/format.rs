//! The byte format of the state file: a header, the records of all blocks and files, and a checksum.
//!
//! All numbers are little-endian. The active chain is stored in height order without parents; all other records name
//! their parents.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used)]

use std::io::{self, Read, Write};

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use rescan_core::blocks::obfuscation::ObfuscationKey;
use rescan_core::chain::block_index::{BlockIndex, HeaderRecord};
use rescan_core::chain::codec::IndexRestorer;
use rescan_core::chain::header::Bits;
use rescan_core::chain::network::Network;
use rescan_core::chain::selection::ChainSelection;
use rescan_core::position::{FileNumber, Height, RecordSpan};
use zerocopy::byteorder::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::blocks::blocks_dir::Modified;
use crate::chain::file_state::{FileState, FileStates};

/// The first bytes of every state file.
const MAGIC: [u8; 8] = *b"rescan\0\x01";
/// Increased with every change of the records below.
pub(super) const VERSION: u32 = 1;
/// Replaces the height of a missing rootless run.
const NO_ROOTLESS_RUN: u32 = u32::MAX;
/// Replaces the time of a file that was written so recently that its time proves nothing.
const JUST_NOW: i64 = i64::MIN;

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FileHeader {
    magic: [u8; 8],
    version: U32,
    network: [u8; 4],
    key: U64,
    rooted: U32,
    rootless_first: U32,
    rootless: U32,
    others: U32,
    files: U32,
    rootless_prev_hash: [u8; 32],
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct BlockRecord {
    hash: [u8; 32],
    time: U32,
    bits: U32,
    file: U32,
    offset: U32,
    size: U32,
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct LinkedRecord {
    block: BlockRecord,
    prev_hash: [u8; 32],
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FileRecord {
    number: U32,
    fingerprint: U32,
    len: U64,
    modified: I64,
    walked_end: U64,
    last_offset: U32,
    last_size: U32,
    last_hash: [u8; 32],
}

/// Why bytes are no usable state.
#[derive(Debug)]
pub(super) enum FormatError {
    Io(io::Error),
    Damaged(&'static str),
    OtherVersion(u32),
    OtherFiles,
}

impl From<io::Error> for FormatError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads records and computes their checksum.
struct RecordReader<R> {
    inner: R,
    checksum: u32,
}

impl<R: Read> RecordReader<R> {
    fn record<T: FromBytes + FromZeros + IntoBytes>(&mut self) -> io::Result<T> {
        let mut record = T::new_zeroed();
        self.inner.read_exact(record.as_mut_bytes())?;
        self.checksum = crc32c::crc32c_append(self.checksum, record.as_mut_bytes());
        Ok(record)
    }
}

/// Reads a state, which must be of this network and key.
pub(super) fn read(
    reader: impl Read,
    network: Network,
    key: ObfuscationKey,
) -> Result<(ChainSelection, FileStates), FormatError> {
    let mut reader = RecordReader { inner: reader, checksum: 0 };
    let header: FileHeader = reader.record()?;
    if header.magic != MAGIC {
        return Err(FormatError::Damaged("not a state file"));
    }
    if header.version.get() != VERSION {
        return Err(FormatError::OtherVersion(header.version.get()));
    }
    if header.network != network.magic().0 || header.key.get() != key.to_u64() {
        return Err(FormatError::OtherFiles);
    }
    // Allocate nothing by these counts: a flipped bit can make them huge, and then the file ends first.
    let mut restorer = IndexRestorer::new(network);
    for _ in 0..header.rooted.get() {
        push_record(&mut restorer, &reader.record()?)?;
    }
    if header.rootless_first.get() != NO_ROOTLESS_RUN {
        let first = Height(header.rootless_first.get());
        if !restorer.begin_rootless(first, BlockHash::from_byte_array(header.rootless_prev_hash)) {
            return Err(FormatError::Damaged("runs of blocks overlap"));
        }
        for _ in 0..header.rootless.get() {
            push_record(&mut restorer, &reader.record()?)?;
        }
    }
    let mut selection = ChainSelection::of(restorer.finish());
    let mut others = Vec::new();
    for _ in 0..header.others.get() {
        let record: LinkedRecord = reader.record()?;
        others.push(from_record(&record.block, BlockHash::from_byte_array(record.prev_hash)));
    }
    let mut files = FileStates::new();
    for _ in 0..header.files.get() {
        let record: FileRecord = reader.record()?;
        files.insert(FileNumber(record.number.get()), file_state(&record));
    }
    let expected = reader.checksum;
    let found: U32 = reader.record()?;
    if found.get() != expected {
        return Err(FormatError::Damaged("wrong checksum"));
    }
    if reader.inner.read(&mut [0])? != 0 {
        return Err(FormatError::Damaged("bytes after the end"));
    }
    others.into_iter().for_each(|record| selection.insert(record));
    Ok((selection, files))
}

fn push_record(restorer: &mut IndexRestorer, record: &BlockRecord) -> Result<(), FormatError> {
    // The parent is the block before, so it is not stored.
    match restorer.push(from_record(record, BlockHash::all_zeros())) {
        true => Ok(()),
        false => Err(FormatError::Damaged("the chain does not begin with genesis")),
    }
}

/// Writes a state.
pub(super) fn write(
    writer: &mut impl Write,
    network: Network,
    key: ObfuscationKey,
    index: &BlockIndex,
    files: &FileStates,
) -> io::Result<()> {
    let count = |count: usize| u32::try_from(count).map(U32::new).map_err(io::Error::other);
    let rootless = index.rootless_records();
    let (first, mut rootless) =
        rootless.map_or((NO_ROOTLESS_RUN, None), |(first, run)| (first.0, Some(run.peekable())));
    let root = rootless.as_mut().and_then(|run| run.peek().copied());
    let header = FileHeader {
        magic: MAGIC,
        version: VERSION.into(),
        network: network.magic().0,
        key: key.to_u64().into(),
        rooted: count(index.rooted_records().count())?,
        rootless_first: first.into(),
        rootless: count(index.rootless_records().map_or(0, |(_, run)| run.count()))?,
        others: count(index.other_records().count())?,
        files: count(files.len())?,
        rootless_prev_hash: root.map_or([0; 32], |root| root.prev_hash.to_byte_array()),
    };
    let mut checksum = 0;
    let mut write_record = |bytes: &[u8]| {
        checksum = crc32c::crc32c_append(checksum, bytes);
        writer.write_all(bytes)
    };
    write_record(header.as_bytes())?;
    for record in index.rooted_records().chain(rootless.into_iter().flatten()) {
        write_record(to_record(&record).as_bytes())?;
    }
    for record in index.other_records() {
        let prev_hash = record.prev_hash.to_byte_array();
        write_record(LinkedRecord { block: to_record(&record), prev_hash }.as_bytes())?;
    }
    for (number, state) in files {
        write_record(file_record(*number, state).as_bytes())?;
    }
    writer.write_all(&checksum.to_le_bytes())
}

fn to_record(record: &HeaderRecord) -> BlockRecord {
    BlockRecord {
        hash: record.hash.to_byte_array(),
        time: record.time.into(),
        bits: record.bits.0.into(),
        file: record.span.file.0.into(),
        offset: record.span.offset.into(),
        size: record.span.size.into(),
    }
}

fn from_record(record: &BlockRecord, prev_hash: BlockHash) -> HeaderRecord {
    let span = RecordSpan { file: FileNumber(record.file.get()), offset: record.offset.get(), size: record.size.get() };
    let hash = BlockHash::from_byte_array(record.hash);
    HeaderRecord { hash, prev_hash, time: record.time.get(), bits: Bits(record.bits.get()), span }
}

fn file_record(number: FileNumber, state: &FileState) -> FileRecord {
    let last = state.last.as_ref();
    FileRecord {
        number: number.0.into(),
        fingerprint: state.fingerprint.into(),
        len: state.len.into(),
        modified: match state.modified {
            Modified::At(nanos) => nanos.into(),
            Modified::JustNow => JUST_NOW.into(),
        },
        walked_end: state.walked_end.into(),
        last_offset: last.map_or(0, |(span, _)| span.offset).into(),
        last_size: last.map_or(0, |(span, _)| span.size).into(),
        last_hash: last.map_or([0; 32], |(_, hash)| hash.to_byte_array()),
    }
}

fn file_state(record: &FileRecord) -> FileState {
    let (offset, size) = (record.last_offset.get(), record.last_size.get());
    let span = RecordSpan { file: FileNumber(record.number.get()), offset, size };
    FileState {
        len: record.len.get(),
        modified: match record.modified.get() {
            JUST_NOW => Modified::JustNow,
            nanos => Modified::At(nanos),
        },
        walked_end: record.walked_end.get(),
        fingerprint: record.fingerprint.get(),
        last: (size > 0).then(|| (span, BlockHash::from_byte_array(record.last_hash))),
        is_verified: false,
    }
}
