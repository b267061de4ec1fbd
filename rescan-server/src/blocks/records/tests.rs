//! Walks over noise, flipped and missing bytes, failing reads, and keys.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

use std::cell::Cell;

use proptest::prelude::*;
use rescan_fixtures::chain_builder::ChainBuilder;

use super::*;

const NUMBER: FileNumber = FileNumber(3);

/// A source whose reads fail or end early from an offset on.
struct Faulty<'a> {
    bytes: &'a [u8],
    broken_from: u64,
    fails: bool,
}

impl ByteSource for Faulty<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset + buffer.len() as u64 <= self.broken_from {
            return self.bytes.read_at(buffer, offset);
        }
        match self.fails {
            true => Err(io::Error::other("a bad sector")),
            false => {
                let cut = usize::try_from(self.broken_from).unwrap().min(self.bytes.len());
                (&self.bytes[..cut]).read_at(buffer, offset)
            }
        }
    }
}

fn records(source: &impl ByteSource, len: u64, key: ObfuscationKey) -> io::Result<Vec<HeaderRecord>> {
    let file = FileKind { number: NUMBER, len, has_successor: false };
    let mut walk = RecordWalk::new(source, file, key, Network::Regtest);
    let mut records = Vec::new();
    while let Some(record) = walk.next_record()? {
        records.push(record);
    }
    Ok(records)
}

fn file_of(blocks: u32) -> Vec<u8> {
    let mut chain = ChainBuilder::new();
    chain.mine(blocks);
    let mut file = Vec::new();
    for (_, block) in chain.active() {
        let block = bitcoin::consensus::serialize(block);
        file.extend(Network::Regtest.magic().0);
        file.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
        file.extend(block);
    }
    file
}

proptest! {
    #[test]
    fn no_bytes_make_the_walk_panic_or_loop(
        bytes in prop::collection::vec(any::<u8>(), 0..3000), magics in prop::collection::vec((any::<u16>(), any::<u32>()), 0..9)
    ) {
        let mut bytes = bytes;
        for (at, size) in magics {
            let start = [&Network::Regtest.magic().0[..], &size.to_le_bytes()].concat();
            let at = usize::from(at) % (bytes.len() + 1);
            bytes.splice(at..at, start);
        }
        let len = bytes.len() as u64;
        let found = records(&&bytes[..], len, ObfuscationKey::CLEAR).unwrap();
        prop_assert!(found.iter().all(|record| record.span.end() <= len));
    }

    #[test]
    fn a_flipped_byte_hides_at_most_one_record(at in any::<u16>(), mask in 1u8..) {
        let whole = file_of(8);
        let before = records(&&whole[..], whole.len() as u64, ObfuscationKey::CLEAR).unwrap();
        prop_assert_eq!(before.len(), 9);
        let mut flipped = whole.clone();
        let at = usize::from(at) % flipped.len();
        flipped[at] ^= mask;
        let after = records(&&flipped[..], flipped.len() as u64, ObfuscationKey::CLEAR).unwrap();
        let missing = before.iter().filter(|record| !after.contains(record)).count();
        prop_assert!(missing <= 1, "{} of 9 are missing", missing);
        // On regtest every second flipped header still meets its target; no other record can be new.
        prop_assert!(after.iter().filter(|record| !before.contains(record)).count() <= 1);
    }
}

#[test]
fn a_file_truncated_at_any_byte_has_the_blocks_before_it() {
    let whole = file_of(3);
    let all = records(&&whole[..], whole.len() as u64, ObfuscationKey::CLEAR).unwrap();
    for len in 0..whole.len() {
        let found = records(&&whole[..len], len as u64, ObfuscationKey::CLEAR).unwrap();
        let expected: Vec<_> = all.iter().filter(|record| record.span.end() <= len as u64).copied().collect();
        assert_eq!(found, expected, "{len} bytes");
        // The same if the file shrinks during the walk.
        let faulty = Faulty { bytes: &whole, broken_from: len as u64, fails: false };
        let found = records(&faulty, whole.len() as u64, ObfuscationKey::CLEAR).unwrap();
        assert!(found.iter().all(|record| all.contains(record)));
    }
}

#[test]
fn a_failed_read_is_an_error_at_any_offset() {
    let whole = file_of(6);
    for broken_from in 0..whole.len() as u64 - 1 {
        let faulty = Faulty { bytes: &whole, broken_from, fails: true };
        let error = records(&faulty, whole.len() as u64, ObfuscationKey::CLEAR).unwrap_err();
        assert_eq!(error.to_string(), "a bad sector");
    }
}

/// Counts the bytes that a walk reads.
struct Counted<'a> {
    bytes: &'a [u8],
    read: Cell<usize>,
}

impl ByteSource for Counted<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.bytes.read_at(buffer, offset)?;
        self.read.set(self.read.get() + count);
        Ok(count)
    }
}

#[test]
fn a_file_of_nothing_but_magics_is_read_about_once() {
    let bytes = Network::Regtest.magic().0.repeat(1 << 18);
    let source = Counted { bytes: &bytes, read: Cell::new(0) };
    assert_eq!(records(&source, bytes.len() as u64, ObfuscationKey::CLEAR).unwrap(), []);
    let read = source.read.get();
    assert!(read < bytes.len() + bytes.len() / 2, "{read} bytes were read of a file of {}", bytes.len());
}

/// Genesis without its last bytes before a preallocated tail of zeros, with a key that turns zeros into magics.
#[test]
fn zeros_are_no_magic_under_any_key() {
    let magic = Network::Regtest.magic().0;
    let key = ObfuscationKey::from_bytes(*[magic, magic].as_flattened().first_chunk().unwrap());
    let mut file = file_of(0);
    let size = u32::try_from(file.len() - 8 + 3).unwrap(); // a multiple of four, as the magic in the key
    file[4..8].copy_from_slice(&size.to_le_bytes());
    key.apply(&mut file);
    file.resize(1 << 17, 0);
    assert_eq!(records(&&file[..], file.len() as u64, key).unwrap(), []);
}

proptest! {
    #[test]
    fn bytes_are_zero_if_each_byte_is(length in 0..300_usize, set in prop::option::of((0..300_usize, 1..=u8::MAX))) {
        let mut bytes = vec![0; length];
        if let Some((place, value)) = set
            && let Some(byte) = bytes.get_mut(place)
        {
            *byte = value;
        }
        prop_assert_eq!(is_zero(&bytes), bytes.iter().all(|byte| *byte == 0));
    }
}
