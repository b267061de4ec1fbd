//! The walk: one pass over a block's bytes on disk, at memory speed.
//!
//! It locates inputs, outputs and transactions, and passes eight bytes of each outpoint and each
//! script to a [`Probe`]. It decodes, allocates and hashes nothing, and reads only the lengths of a
//! witness. It checks that every length stays within the block and that the block ends with its
//! last transaction.
//!
//! Its cost is a chain of loads: each position depends on the length before it. Therefore:
//!
//! - The rest of the block is kept in registers, and one comparison shows that an ordinary input,
//!   output or witness lies within it.
//! - The two most common witnesses are recognised by a comparison, which the processor predicts
//!   instead of waiting for a length.
//! - The XOR key is rotated beside the load, not after it.
//! - Each step prefetches the cache line of a step some kilobytes ahead: the hardware prefetcher
//!   loses a reader that jumps over witnesses.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]
#![expect(clippy::cast_possible_truncation, reason = "each cast says on its line why nothing is lost")]

use prefetch_index::prefetch_index;

use crate::blocks::cursor::Malformed;
use crate::blocks::obfuscation::RawBlock;

/// The size of a block header in bytes.
pub const HEADER_BYTES: usize = 80;

/// Shorter scripts are passed whole: they have no eight bytes at [len - 10, len - 2).
pub const SHORT_SCRIPT_BYTES: usize = 10;

/// Inspects the parts of a transaction during the walk, and decides whether to parse it.
///
/// False positives cost time, false negatives lose coins.
pub trait Probe {
    /// An input spends output `vout` of the transaction whose id begins with `txid_word`,
    /// little-endian.
    fn input(&mut self, txid_word: u64, vout: u32) -> bool;
    /// An output pays a script of at least [`SHORT_SCRIPT_BYTES`]. `word` is its bytes [len - 10,
    /// len - 2), little-endian: bytes of a hash or a key in every standard script.
    fn output(&mut self, word: u64) -> bool;
    /// An output pays a script shorter than [`SHORT_SCRIPT_BYTES`].
    fn short_output(&mut self, script: &[u8]) -> bool;
    /// Some part of `transaction` was hit. State that the probe changes here holds for the
    /// transactions after it.
    fn found(&mut self, transaction: TxBounds);
}

/// The bounds of one transaction in its block, in bytes from the block's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxBounds {
    /// Its index in the block, the coinbase being 0.
    pub tx_index: u32,
    /// Its first byte.
    pub start: usize,
    /// Its input count: after the version, and after marker and flag if it has them (BIP144).
    pub body: usize,
    /// The end of its last output.
    pub body_end: usize,
    /// The end of its lock time.
    pub end: usize,
}

/// Walks the transactions of `block`.
///
/// # Errors
/// [`Malformed`] if the bytes are not exactly one block. Earlier hits stand, unproven.
#[inline]
pub fn walk<P: Probe>(block: RawBlock<'_>, probe: &mut P) -> Result<(), Malformed> {
    if block.key().is_clear() {
        Walk::<false>::of(block).run(block, probe)
    } else {
        Walk::<true>::of(block).run(block, probe)
    }
}

/// Prefetch distance. A shorter one is too late, a longer one gains nothing (benches/README.md).
const PREFETCH_AHEAD_BYTES: usize = 3072;
const CACHE_LINE_BYTES: usize = 64;

/// Bytes made readable by one bounds check. Every part whose length is a CompactSize of one byte
/// fits: an input takes at most 41 + 252 bytes, an output 9 + 252, a witness of signature and key 2
/// + 252 + 34.
const REACH_BYTES: usize = 304;

/// State that does not depend on the position. The position is passed from step to step as `rest`,
/// the bytes from there to the block's end. It is not a field: a step that is not inlined would
/// force it into memory, and the chain of loads through memory.
struct Walk<const MASKED: bool> {
    size: usize,
    /// The key, rotated for the block's end.
    end_key: u64,
}

impl<const MASKED: bool> Walk<MASKED> {
    fn of(block: RawBlock<'_>) -> Self {
        let size = block.bytes().len();
        Self { size, end_key: block.key().advanced(size as u64).to_u64() }
    }

    fn run<P: Probe>(&self, block: RawBlock<'_>, probe: &mut P) -> Result<(), Malformed> {
        let (tx_count, mut rest) = self.compact_size(self.skip(block.bytes(), HEADER_BYTES as u64)?)?;
        if tx_count == 0 {
            return Err(Malformed::NoTransactions);
        }
        let mut tx_index = 0_u32;
        for _ in 0..tx_count {
            let (bounds, found, next) = self.transaction(rest, tx_index, probe)?;
            rest = next;
            if found {
                probe.found(bounds);
            }
            tx_index = tx_index.wrapping_add(1); // a transaction takes bytes: 2^32 of them do not fit in a block file
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed::TrailingBytes { end: self.position(rest), size: self.size })
        }
    }

    #[inline(always)]
    fn transaction<'a, P: Probe>(
        &self,
        rest: &'a [u8],
        tx_index: u32,
        probe: &mut P,
    ) -> Result<(TxBounds, bool, &'a [u8]), Malformed> {
        let start = self.position(rest);
        ask_ahead(rest, 0);
        let head = self.word(rest)?;
        // The version is four bytes; then either the input count, or marker 0, flag 1 and the input
        // count.
        let segwit = (head >> 32) & 0xff == 0;
        if segwit && (head >> 40) & 0xff != 1 {
            return Err(Malformed::NeitherSerialisation { at: start });
        }
        let rest = self.skip(rest, if segwit { 6 } else { 4 })?;
        let body = self.position(rest);
        let (input_count, mut rest) = self.count(rest)?;
        // The probe would see nothing of it, and a proof would skip it.
        if input_count == 0 {
            return Err(Malformed::NoInputs { at: start });
        }
        let mut found = false;
        for _ in 0..input_count {
            let (hit, next) = self.input(rest, probe)?;
            found |= hit;
            rest = next;
        }
        let (output_count, mut rest) = self.count(rest)?;
        for _ in 0..output_count {
            let (hit, next) = self.output(rest, probe)?;
            found |= hit;
            rest = next;
        }
        let body_end = self.position(rest);
        if segwit {
            for _ in 0..input_count {
                rest = self.witness(rest)?;
            }
        }
        let rest = self.skip(rest, 4)?;
        Ok((TxBounds { tx_index, start, body, body_end, end: self.position(rest) }, found, rest))
    }

    #[inline(always)]
    fn input<'a, P: Probe>(&self, rest: &'a [u8], probe: &mut P) -> Result<(bool, &'a [u8]), Malformed> {
        if let Some(reach) = rest.first_chunk::<REACH_BYTES>() {
            ask_ahead(rest, 0);
            let key = self.key(rest);
            let script_bytes = byte_at::<36>(reach, key);
            if script_bytes < 0xfd
                && let Some(next) = rest.get(script_bytes.wrapping_add(41)..)
            {
                let vout = (word_at::<32>(reach) ^ key) as u32; // the low half is the vout
                return Ok((probe.input(word_at::<0>(reach) ^ key, vout), next));
            }
        }
        self.input_slow(rest, probe)
    }

    /// An input near the block's end or with a long script.
    #[cold]
    #[inline(never)]
    fn input_slow<'a, P: Probe>(&self, rest: &'a [u8], probe: &mut P) -> Result<(bool, &'a [u8]), Malformed> {
        let txid_word = self.word(rest)?;
        let script_size = self.skip(rest, 36)?;
        let vout = (self.word(self.skip(rest, 28)?)? >> 32) as u32; // the high half is the vout
        let (script_bytes, script) = self.compact_size(script_size)?;
        let next = self.skip(self.skip(script, script_bytes)?, 4)?;
        Ok((probe.input(txid_word, vout), next))
    }

    #[inline(always)]
    fn output<'a, P: Probe>(&self, rest: &'a [u8], probe: &mut P) -> Result<(bool, &'a [u8]), Malformed> {
        if let Some(reach) = rest.first_chunk::<REACH_BYTES>() {
            ask_ahead(rest, 0);
            let key = self.key(rest);
            let script_bytes = byte_at::<8>(reach, key);
            // The script follows value and length; the word begins ten bytes before its end.
            let word_start = script_bytes.wrapping_sub(1);
            if (SHORT_SCRIPT_BYTES..0xfd).contains(&script_bytes)
                && let Some(word) = reach.get(word_start..).and_then(|word| word.first_chunk())
                && let Some(next) = rest.get(script_bytes.wrapping_add(9)..)
            {
                return Ok((probe.output(u64::from_le_bytes(*word) ^ self.turned(key, word_start)), next));
            }
        }
        self.output_slow(rest, probe)
    }

    /// An output near the block's end, or with a short or long script.
    #[cold]
    #[inline(never)]
    fn output_slow<'a, P: Probe>(&self, rest: &'a [u8], probe: &mut P) -> Result<(bool, &'a [u8]), Malformed> {
        let (script_bytes, script) = self.compact_size(self.skip(rest, 8)?)?;
        let next = self.skip(script, script_bytes)?;
        let hit = match script_bytes.checked_sub(SHORT_SCRIPT_BYTES as u64) {
            Some(before_word) => probe.output(self.word(self.skip(script, before_word)?)?),
            None => {
                let mut short = [0_u8; SHORT_SCRIPT_BYTES];
                let masked = script.get(..script_bytes as usize).unwrap_or_default(); // below ten
                let keys = self.key(script).to_le_bytes().into_iter().cycle();
                for ((clear, masked), key) in short.iter_mut().zip(masked).zip(keys) {
                    *clear = masked ^ key;
                }
                probe.short_output(short.get(..masked.len()).unwrap_or_default())
            }
        };
        Ok((hit, next))
    }

    /// Skips the witness of one input.
    #[inline(always)]
    fn witness<'a>(&self, rest: &'a [u8]) -> Result<&'a [u8], Malformed> {
        /// One item of 64 bytes: a taproot key-path signature (BIP341) with the default sighash
        /// type.
        const KEY_PATH: u64 = 0x40_01;
        if let Some(reach) = rest.first_chunk::<REACH_BYTES>() {
            // It usually takes more than one cache line.
            ask_ahead(rest, 0);
            ask_ahead(rest, CACHE_LINE_BYTES);
            let key = self.key(rest);
            let head = word_at::<0>(reach) ^ key;
            if head & 0xffff == KEY_PATH
                && let Some(next) = rest.get(66..)
            {
                return Ok(next);
            }
            // Two items, a short one and one of 33 bytes: signature and key of a p2wpkh coin
            // (BIP141).
            let first_bytes = ((head >> 8) & 0xff) as usize; // one byte
            let second = first_bytes.wrapping_add(2);
            if head & 0xff == 2
                && first_bytes < 0xfd
                && reach.get(second).is_some_and(|size| u64::from(*size) ^ self.turned(key, second) & 0xff == 33)
                && let Some(next) = rest.get(second.wrapping_add(34)..)
            {
                return Ok(next);
            }
        }
        self.witness_items(rest)
    }

    #[inline]
    fn witness_items<'a>(&self, rest: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let (item_count, mut rest) = self.count(rest)?;
        for _ in 0..item_count {
            let (item_bytes, item) = self.count(rest)?;
            rest = self.skip(item, item_bytes)?;
        }
        Ok(rest)
    }

    /// A CompactSize that is usually one byte.
    #[inline(always)]
    fn count<'a>(&self, rest: &'a [u8]) -> Result<(u64, &'a [u8]), Malformed> {
        if let Some((masked, behind)) = rest.split_first() {
            let small = u64::from(*masked) ^ self.key(rest) & 0xff;
            if small < 0xfd {
                return Ok((small, behind));
            }
        }
        self.compact_size(rest)
    }

    /// A CompactSize (Bitcoin Core, `src/serialize.h`) of any width, and the bytes after it.
    #[inline(never)]
    fn compact_size<'a>(&self, rest: &'a [u8]) -> Result<(u64, &'a [u8]), Malformed> {
        let (masked, digits) = rest.split_first().ok_or_else(|| self.too_short(rest, 1))?;
        let width = match u64::from(*masked) ^ self.key(rest) & 0xff {
            0xfd => 2,
            0xfe => 4,
            0xff => 8,
            small => return Ok((small, digits)),
        };
        let behind = self.skip(digits, width)?;
        let mut value = [0_u8; 8];
        // Missing bytes stay zero.
        for ((to, masked), key) in value.iter_mut().zip(digits).zip(self.key(digits).to_le_bytes()).take(width as usize)
        {
            *to = masked ^ key;
        }
        Ok((u64::from_le_bytes(value), behind))
    }

    /// The bytes after the next `count`; possibly none.
    #[inline(always)]
    fn skip<'a>(&self, rest: &'a [u8], count: u64) -> Result<&'a [u8], Malformed> {
        usize::try_from(count)
            .ok()
            .and_then(|count| rest.get(count..))
            .ok_or_else(|| self.too_short(rest, count.saturating_sub(rest.len() as u64)))
    }

    /// Eight bytes, little-endian.
    #[inline(always)]
    fn word(&self, rest: &[u8]) -> Result<u64, Malformed> {
        match rest.first_chunk() {
            Some(bytes) => Ok(u64::from_le_bytes(*bytes) ^ self.key(rest)),
            None => Err(self.too_short(rest, 8_u64.saturating_sub(rest.len() as u64))),
        }
    }

    #[cold]
    fn too_short(&self, rest: &[u8], needed: u64) -> Malformed {
        Malformed::TooShort { at: self.position(rest), needed }
    }

    #[inline(always)]
    fn position(&self, rest: &[u8]) -> usize {
        self.size.wrapping_sub(rest.len()) // what is left is never more than all
    }

    /// The key for a word at the start of `rest`.
    #[inline(always)]
    fn key(&self, rest: &[u8]) -> u64 {
        if MASKED { self.end_key.rotate_left((rest.len() as u32).wrapping_mul(8)) } else { 0 } // rotation is modulo 64
    }

    /// `key`, rotated for a word `by` bytes later.
    #[inline(always)]
    fn turned(&self, key: u64, by: usize) -> u64 {
        if MASKED { key.rotate_right((by as u32).wrapping_mul(8)) } else { 0 } // rotation is modulo 64
    }
}

/// Prefetches the cache line some distance after `at`. A hint only: it reads nothing, and may point
/// beyond the block.
#[inline(always)]
fn ask_ahead(rest: &[u8], at: usize) {
    prefetch_index(rest, at.wrapping_add(PREFETCH_AHEAD_BYTES));
}

/// Eight bytes at `OFFSET`, little-endian. A constant, so the check is made at compile time.
#[inline(always)]
fn word_at<const OFFSET: usize>(reach: &[u8; REACH_BYTES]) -> u64 {
    const { assert!(OFFSET.saturating_add(8) <= REACH_BYTES) };
    reach.get(OFFSET..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

/// The byte at `OFFSET`; `key` is that of the first byte.
#[inline(always)]
fn byte_at<const OFFSET: usize>(reach: &[u8; REACH_BYTES], key: u64) -> usize {
    const { assert!(OFFSET < REACH_BYTES) };
    let [clear, ..] = (key >> ((OFFSET as u32).wrapping_mul(8) & 63)).to_le_bytes();
    usize::from(reach.get(OFFSET).copied().unwrap_or(0) ^ clear)
}
