//! What was learned from the block files, kept so that the next start reads only what is new.
//!
//! It is a memory, not a source: the block files are right wherever the two differ, and a state file that is damaged, of another version
//! or of another network is told to the log and made anew. It is written whole beside the old one and renamed over it. A lock beside
//! it, held as long as the server lives, keeps two servers from taking turns at it.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bitcoin::BlockHash;
use bitcoin::hashes::{Hash, sha256};
use rescan_core::blocks::obfuscation::ObfuscationKey;
use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::chain::block_index::{BlockIndex, HeaderRecord};
use rescan_core::chain::codec::IndexRestorer;
use rescan_core::chain::header::Bits;
use rescan_core::chain::network::Network;
use rescan_core::chain::selection::ChainSelection;
use rescan_core::position::{FileNumber, Height, RecordSpan};
use rustix::fs::FlockOperation;
use zerocopy::byteorder::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::blocks::blocks_dir::Modified;
use crate::chain::file_state::{FileState, FileStates};

/// The first bytes of every state file.
const MARK: [u8; 8] = *b"rescan\0\x01";
/// Grows with every change of the records below.
const VERSION: u32 = 1;
/// In place of a height: there is no run without a root.
const NO_ROOTLESS_RUN: u32 = u32::MAX;
/// In place of a time: the file was written so lately that its time tells nothing.
const JUST_NOW: i64 = i64::MIN;

/// Why a state file is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateFileError {
    /// Another process holds the lock.
    #[error("{} is locked: another rescan-server serves the same block files from the same --state-dir; stop it, or give this one a --state-dir of its own", path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// The operating system would not do it.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is not what was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        what: &'static str,
    },
    /// It was written by another version of rescan.
    #[error("{} is of version {found}, and this server writes version {VERSION}", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// It is about other block files: of another network, or under another key.
    #[error("{} is about the block files of another network or key", path.display())]
    OtherFiles {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FileHeader {
    mark: [u8; 8],
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

/// The state file of one blocks directory, locked.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    network: Network,
    key: ObfuscationKey,
    _lock: File,
}

impl StateFile {
    /// Takes the lock of the state file for `blocks_dir` in `state_dir`, which is made if it is missing.
    pub(crate) fn lock(
        state_dir: &Path,
        blocks_dir: &Path,
        network: Network,
        key: ObfuscationKey,
    ) -> Result<Self, StateFileError> {
        let io_error = |action, path: &Path| {
            let path = path.to_owned();
            move |source| StateFileError::Io { action, path, source }
        };
        fs::create_dir_all(state_dir).map_err(io_error("make", state_dir))?;
        let directory = fs::canonicalize(blocks_dir).map_err(io_error("find", blocks_dir))?;
        let path = state_dir.join(format!("{}.chain", name_of(&directory, network)));
        let lock_path = path.with_extension("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(io_error("open", &lock_path))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path, network, key, _lock: lock }),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => Err(StateFileError::Locked { path: lock_path }),
            Err(error) => Err(io_error("lock", &lock_path)(error.into())),
        }
    }

    /// What was kept; none if nothing was.
    pub(crate) fn load(&self) -> Result<Option<(ChainSelection, FileStates)>, StateFileError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateFileError::Io { action: "open", path: self.path.clone(), source }),
        };
        load_from(BufReader::with_capacity(1 << 16, file), self.network, self.key).map(Some).map_err(|unusable| {
            let path = self.path.clone();
            match unusable {
                Unusable::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                    StateFileError::Damaged { path, what: "it ends too early" }
                }
                Unusable::Io(source) => StateFileError::Io { action: "read", path, source },
                Unusable::Damaged(what) => StateFileError::Damaged { path, what },
                Unusable::OtherVersion(found) => StateFileError::OtherVersion { path, found },
                Unusable::OtherFiles => StateFileError::OtherFiles { path },
            }
        })
    }

    /// Puts `index` and `files` in the place of what was kept.
    pub(crate) fn save(&self, index: &BlockIndex, files: &FileStates) -> Result<(), StateFileError> {
        let fresh = self.path.with_extension("new");
        let written = File::create(&fresh).and_then(|file| {
            let mut writer = BufWriter::with_capacity(1 << 16, file);
            save_to(&mut writer, self.network, self.key, index, files)?;
            writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
        });
        let io_error = |action, path: PathBuf| move |source| StateFileError::Io { action, path, source };
        written.map_err(io_error("write", fresh.clone()))?;
        fs::rename(&fresh, &self.path).map_err(io_error("replace", self.path.clone()))
    }
}

/// The chain that a state file of these bytes tells of before any look at the block files, and the bytes that it would be saved
/// as; none if it is of no use. For fuzzing, which needs no file and no lock.
#[doc(hidden)]
#[must_use]
pub fn reread(bytes: &[u8], network: Network, key: ObfuscationKey) -> Option<(ActiveChain, Vec<u8>)> {
    let (mut selection, files) = load_from(bytes, network, key).ok()?;
    selection.select(&mut |_| None);
    let mut saved = Vec::new();
    save_to(&mut saved, network, key, selection.index(), &files).ok()?;
    Some((selection.active_chain(), saved))
}

/// A name for the state of one blocks directory: paths may hold what a file name cannot.
fn name_of(directory: &Path, network: Network) -> String {
    let mut name = directory.as_os_str().as_encoded_bytes().to_vec();
    name.extend(network.magic().0);
    let hash = sha256::Hash::hash(&name).to_string();
    format!("{}-{}", network.to_string().replace(' ', "-"), &hash[..16])
}

#[derive(Debug)]
enum Unusable {
    Io(io::Error),
    Damaged(&'static str),
    OtherVersion(u32),
    OtherFiles,
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads records and keeps the checksum of what was read.
struct Checked<R> {
    inner: R,
    checksum: u32,
}

impl<R: Read> Checked<R> {
    fn record<T: FromBytes + FromZeros + IntoBytes>(&mut self) -> io::Result<T> {
        let mut record = T::new_zeroed();
        self.inner.read_exact(record.as_mut_bytes())?;
        self.checksum = crc32c::crc32c_append(self.checksum, record.as_mut_bytes());
        Ok(record)
    }
}

fn load_from(
    reader: impl Read,
    network: Network,
    key: ObfuscationKey,
) -> Result<(ChainSelection, FileStates), Unusable> {
    let mut reader = Checked { inner: reader, checksum: 0 };
    let header: FileHeader = reader.record()?;
    if header.mark != MARK {
        return Err(Unusable::Damaged("it does not begin as a state file does"));
    }
    if header.version.get() != VERSION {
        return Err(Unusable::OtherVersion(header.version.get()));
    }
    if header.network != network.magic().0 || header.key.get() != key.to_u64() {
        return Err(Unusable::OtherFiles);
    }
    // Nothing is reserved by the counts, which a flipped bit may have made huge: the file ends first.
    let mut restorer = IndexRestorer::new(network);
    for _ in 0..header.rooted.get() {
        push(&mut restorer, &reader.record()?)?;
    }
    if header.rootless_first.get() != NO_ROOTLESS_RUN {
        let first = Height(header.rootless_first.get());
        if !restorer.begin_rootless(first, BlockHash::from_byte_array(header.rootless_prev_hash)) {
            return Err(Unusable::Damaged("its runs of blocks overlap"));
        }
        for _ in 0..header.rootless.get() {
            push(&mut restorer, &reader.record()?)?;
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
        return Err(Unusable::Damaged("its checksum is wrong"));
    }
    if reader.inner.read(&mut [0])? != 0 {
        return Err(Unusable::Damaged("it goes on behind its end"));
    }
    others.into_iter().for_each(|record| selection.insert(record));
    Ok((selection, files))
}

fn push(restorer: &mut IndexRestorer, record: &BlockRecord) -> Result<(), Unusable> {
    // The block before is the parent; it is not repeated.
    match restorer.push(from_record(record, BlockHash::all_zeros())) {
        true => Ok(()),
        false => Err(Unusable::Damaged("its chain does not begin with genesis")),
    }
}

fn save_to(
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
        mark: MARK,
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
    let mut write = |bytes: &[u8]| {
        checksum = crc32c::crc32c_append(checksum, bytes);
        writer.write_all(bytes)
    };
    write(header.as_bytes())?;
    for record in index.rooted_records().chain(rootless.into_iter().flatten()) {
        write(to_record(&record).as_bytes())?;
    }
    for record in index.other_records() {
        let prev_hash = record.prev_hash.to_byte_array();
        write(LinkedRecord { block: to_record(&record), prev_hash }.as_bytes())?;
    }
    for (number, state) in files {
        write(file_record(*number, state).as_bytes())?;
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
