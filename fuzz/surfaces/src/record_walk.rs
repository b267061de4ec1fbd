//! A blocks directory: the walk of its files, and the chain after a first start, a second start and a refresh.
//!
//! Input: eight bytes of key, then steps that write files. Each step is one byte, whose lower three
//! bits select the operation, and its operands:
//!
//! | bits | operands | operation |
//! |---|---|---|
//! | 0 | count, bytes | writes the bytes, under the key |
//! | 1 | count | writes 64 times as many raw zeros |
//! | 2 | | continues in another file; the upper bits are the distance of its number |
//! | 3 | which | writes the record of a valid block |
//! | 4 | which, two bytes | the same, cut after that many bytes and followed by zeros |
//! | 5 | which, three bytes | the same, with one byte changed |
//! | 6 | which, four bytes | the same, with another size |
//! | 7 | which, two bytes | refreshes the server, then cuts a file to a length or, if that is 0xffff, removes it |

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bitcoin::consensus::serialize;
use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::blocks::proof::Prover;
use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::chain::block_index::HeaderRecord;
use rescan_core::chain::header::Header;
use rescan_core::chain::network::Network;
use rescan_core::position::{FileNumber, Height, RecordSpan};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_server::blocks::block_file::Access;
use rescan_server::blocks::network_dir::NetworkDirError;
use rescan_server::blocks::records::{FileKind, RecordWalk};
use rescan_server::cancel::Cancel;
use rescan_server::chain::{Chain, ChainConfig, ChainError};

const NETWORK: Network = Network::Regtest;

/// Most bytes of files that an input may create. More would only take longer.
const BYTES_MAX: usize = 1 << 20;

/// Writes the files, and reads them.
///
/// # Panics
/// If a walk or a chain does not match the bytes, or a second start differs from the first.
pub fn record_walk(data: &[u8]) {
    let Some((key, mut steps)) = data.split_first_chunk::<8>() else { return };
    let mut files = Files { key: *key, files: BTreeMap::new(), current: FileNumber(0), bytes: 0 };
    let mut scene: Option<Scene> = None;
    while let Some(cut) = files.write(&mut steps) {
        files.assert_walked();
        scene.get_or_insert_with(Scene::new).look_at(&files);
        files.cut(&cut);
    }
    files.assert_walked();
    scene.unwrap_or_else(Scene::new).look_at(&files);
}

/// A file to cut, and its new length; none to remove it.
struct Cut {
    which: u8,
    len: Option<usize>,
}

/// Block files as on disk.
struct Files {
    key: [u8; 8],
    files: BTreeMap<FileNumber, Vec<u8>>,
    current: FileNumber,
    bytes: usize,
}

impl Files {
    /// Applies steps up to a cut or the end.
    fn write(&mut self, steps: &mut &[u8]) -> Option<Cut> {
        while let Some(step) = take::<1>(steps).filter(|_| self.bytes < BYTES_MAX) {
            let [kind, which] = [step[0] & 7, step[0] >> 3];
            match kind {
                0 => {
                    let [count] = take(steps)?;
                    let (bytes, rest) = steps.split_at(usize::from(count).min(steps.len()));
                    self.append(bytes);
                    *steps = rest;
                }
                1 => {
                    let [count] = take(steps)?;
                    self.append_zeros(usize::from(count) * 64);
                }
                2 => self.current = FileNumber(self.current.0 + u32::from(which) + 1),
                3 => self.append(&record(take(steps)?)),
                4 => {
                    let ([which], at) = (take(steps)?, u16::from_le_bytes(take(steps)?));
                    let record = record([which]);
                    let (written, rest) = record.split_at(usize::from(at) % record.len());
                    self.append(written);
                    self.append_zeros(rest.len());
                }
                5 => {
                    let ([which, change], at) = (take(steps)?, u16::from_le_bytes(take(steps)?));
                    let mut record = record([which]);
                    let at = usize::from(at) % record.len();
                    record[at] ^= change;
                    self.append(&record);
                }
                6 => {
                    let ([which], size) = (take(steps)?, take::<4>(steps)?);
                    let mut record = record([which]);
                    record[4..8].copy_from_slice(&size);
                    self.append(&record);
                }
                _ => {
                    let ([which], len) = (take(steps)?, u16::from_le_bytes(take(steps)?));
                    return Some(Cut { which, len: (len != u16::MAX).then_some(usize::from(len)) });
                }
            }
        }
        None
    }

    fn file(&mut self) -> &mut Vec<u8> {
        self.files.entry(self.current).or_default()
    }

    fn append(&mut self, bytes: &[u8]) {
        let key = self.key;
        let file = self.file();
        let at = file.len();
        file.extend(bytes.iter().zip(at..).map(|(byte, offset)| byte ^ key[offset % 8]));
        self.bytes += bytes.len();
    }

    fn append_zeros(&mut self, count: usize) {
        let file = self.file();
        file.resize(file.len() + count, 0);
        self.bytes += count;
    }

    fn cut(&mut self, cut: &Cut) {
        let which = usize::from(cut.which).checked_rem(self.files.len());
        let Some(number) = which.and_then(|which| self.files.keys().nth(which).copied()) else { return };
        match cut.len {
            Some(len) => self.files.entry(number).or_default().truncate(len),
            None => drop(self.files.remove(&number)),
        }
    }

    fn write_to(&self, directory: &Path, seconds: u64) {
        for entry in fs::read_dir(directory).expect("the directory is there") {
            fs::remove_file(entry.expect("an entry").path()).expect("it is a file");
        }
        fs::write(directory.join("xor.dat"), self.key).expect("room for a key");
        for (number, bytes) in &self.files {
            let path = directory.join(number.file_name());
            fs::write(&path, bytes).expect("room for a file");
            // A time long ago, for the files to count as not just written.
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
            let file = File::options().write(true).open(&path).expect("it was written");
            file.set_modified(time).expect("it has a time");
        }
    }

    fn assert_walked(&self) {
        let last = self.files.iter().rev().find(|(_, bytes)| !bytes.is_empty()).map(|(number, _)| *number);
        for (&number, bytes) in &self.files {
            let has_successor = last.is_some_and(|last| last > number);
            let kind = FileKind { number, len: bytes.len() as u64, has_successor };
            let source = &bytes[..];
            let mut walk = RecordWalk::new(&source, kind, ObfuscationKey::from_bytes(self.key), NETWORK);
            let mut found = Vec::new();
            while let Some(record) = walk.next_record().expect("memory can be read") {
                found.push(record);
            }
            assert_eq!(found, SlowWalk { key: self.key, bytes, kind }.records(), "{number}");
        }
    }
}

/// The same walk, one byte after the other.
struct SlowWalk<'a> {
    key: [u8; 8],
    bytes: &'a [u8],
    kind: FileKind,
}

impl SlowWalk<'_> {
    fn records(&self) -> Vec<HeaderRecord> {
        let mut records = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            match self.record_at(at).filter(|record| self.counts(record.span)) {
                Some(record) => {
                    at = usize::try_from(record.span.end()).expect("it lies in memory");
                    records.push(record);
                }
                None => at += 1,
            }
        }
        records
    }

    fn clear(&self, at: usize, count: usize) -> Option<Vec<u8>> {
        let bytes = self.bytes.get(at..at.checked_add(count)?)?;
        Some(bytes.iter().zip(at..).map(|(byte, offset)| byte ^ self.key[offset % 8]).collect())
    }

    fn has_magic(&self, at: usize) -> bool {
        self.clear(at, 4).is_some_and(|bytes| bytes == NETWORK.magic().0) && self.bytes[at..at + 4] != [0; 4]
    }

    fn record_at(&self, at: usize) -> Option<HeaderRecord> {
        let size = u32::from_le_bytes(self.clear(at + 4, 4)?.try_into().expect("four bytes"));
        let header = Header::new(self.clear(at + 8, 80)?.try_into().expect("80 bytes"));
        let offset = u32::try_from(at + 8).expect("files are small");
        let span = RecordSpan { file: self.kind.number, offset, size };
        let is_record = self.has_magic(at) && (81..=4_000_000).contains(&size);
        let record = HeaderRecord::new(&header, header.hash(), span);
        (is_record && header.meets_target(header.hash(), NETWORK)).then_some(record)
    }

    fn counts(&self, span: RecordSpan) -> bool {
        let end = usize::try_from(span.end()).expect("64 bits");
        let Some(block) = self.clear(span.offset as usize, span.size as usize) else { return false };
        let is_end = end == self.bytes.len() && self.kind.has_successor;
        is_end || self.has_magic(end) || Prover::default().prove(RawBlock::clear(&block), &[]).is_ok()
    }
}

/// A server's view of the directory, across refreshes.
struct Scene {
    directory: tempfile::TempDir,
    chain: Option<Chain>,
    looks: u64,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(directory.path().join("blocks")).expect("room for a directory");
        Self { directory, chain: None, looks: 0 }
    }

    /// Refreshes a running server, and then starts a second time.
    fn look_at(&mut self, files: &Files) {
        self.looks += 1;
        files.write_to(&self.directory.path().join("blocks"), self.looks);
        let Some(chain) = self.chain.take().or_else(|| self.open()) else { return };
        let seen = look(&chain);
        assert_is_on_disk(&chain, &seen);
        drop(chain);
        let Some(chain) = self.open() else { return };
        let remembered = look(&chain);
        assert_is_on_disk(&chain, &remembered);
        assert_same(&seen, &remembered);
        self.chain = Some(chain);
    }

    /// None if no record is of the network: such a directory is refused.
    fn open(&self) -> Option<Chain> {
        let config = ChainConfig {
            blocks_dir: self.directory.path().join("blocks"),
            network: Some(NETWORK),
            signet_challenge: None,
            state_dir: self.directory.path().join("state"),
            access: Access::read(),
        };
        match Chain::open(config) {
            Ok(chain) => Some(chain),
            Err(ChainError::Network(NetworkDirError::OtherMagic { .. } | NetworkDirError::OtherNetwork { .. })) => None,
            Err(error) => panic!("a directory with a key: {error:?}"),
        }
    }
}

fn look(chain: &Chain) -> Arc<ActiveChain> {
    chain.refresh(&Cancel::new()).expect("the files can be read")
}

/// The known heights: from genesis to the first gap, and from the run above it. The gap between
/// them may be too large to visit.
fn heights(snapshot: &ActiveChain) -> impl Iterator<Item = Height> {
    let is_known = |height: &Height| snapshot.id(*height).is_some();
    let end = snapshot.tip().map_or(0, |tip| tip.height.0 + 1);
    let first = snapshot.rootless_from().map_or(end, |first| first.0);
    (0..first).map(Height).take_while(is_known).chain((first..end).map(Height))
}

/// Each block is at its recorded position, and follows its predecessor.
fn assert_is_on_disk(chain: &Chain, snapshot: &ActiveChain) {
    for height in heights(snapshot) {
        let Some(block) = snapshot.block(height) else { continue };
        let window = chain.files().window(&[block.span]).expect("the file is as long as its records");
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method itself is of one lifetime only")]
        let header = window.with_block(block.span, |raw| raw.header()).expect("the block can be read");
        let header = header.flatten().expect("the window is of the block");
        let header = Header::new(header);
        assert_eq!((header.hash(), header.time()), (block.hash, block.time), "{height:?}");
        assert_eq!(snapshot.height_of(&block.hash), Some(height));
        let below = height.0.checked_sub(1).and_then(|below| snapshot.id(Height(below)));
        let is_linked = below.is_some_and(|below| below.hash == header.prev_hash());
        assert!(is_linked || height.0 == 0 || snapshot.rootless_from() == Some(height), "{height:?} has its parent");
    }
}

fn assert_same(a: &ActiveChain, b: &ActiveChain) {
    let told = |snapshot: &ActiveChain| -> Vec<_> {
        let copies = |height| {
            let mut copies = snapshot.copies(height);
            copies.sort_unstable();
            copies
        };
        heights(snapshot).map(|height| (snapshot.id(height), copies(height))).collect()
    };
    assert_eq!(told(a), told(b), "a second start sees what the first saw");
    assert_eq!(a.rootless_from(), b.rootless_from());
}

fn take<const N: usize>(steps: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = steps.split_first_chunk::<N>()?;
    *steps = rest;
    Some(*taken)
}

/// The record of one of several valid blocks, which form a chain with stale branches.
fn record([which]: [u8; 1]) -> Vec<u8> {
    static RECORDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let records = RECORDS.get_or_init(|| {
        let mut chain = ChainBuilder::new();
        chain.mine(20).reorg(2).mine(2);
        chain.side_branch(5, 4);
        let record = |block: &bitcoin::Block| {
            let block = serialize(block);
            let size = u32::try_from(block.len()).expect("a small block");
            [&NETWORK.magic().0[..], &size.to_le_bytes(), &block].concat()
        };
        chain.made().map(|(_, block)| record(block)).collect()
    });
    records[usize::from(which) % records.len()].clone()
}
