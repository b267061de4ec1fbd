//! The walk: one pass over a block's bytes as they lie on disk, at the speed at which memory gives them.
//!
//! It finds where inputs, outputs and transactions are, and shows eight bytes of each outpoint and each script to a
//! [`Probe`]. It decodes nothing, allocates nothing, hashes nothing, and reads of a witness only the lengths. It does
//! check that every length stays within the block and that the block ends where its last transaction does.
//!
//! What it costs is a chain of loads in which each position depends on the length before it. Therefore: fields that
//! lie at fixed distances are read from one window with one bounds check; the two commonest witnesses are recognised by
//! a comparison, which the processor can predict where it would have to wait for a length; the XOR key is turned beside
//! the load, not behind it; and what lies ahead is asked for before it is needed, since the hardware's own prefetcher
//! loses a reader that jumps over witnesses.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]
#![expect(clippy::cast_possible_truncation, reason = "each cast says on its line why nothing is lost")]

use prefetch_index::prefetch_index;

use crate::cursor::Malformed;
use crate::header::HEADER_BYTES;
use crate::obfuscation::RawBlock;

/// Scripts shorter than this are shown whole: they have no eight bytes at [len - 10, len - 2).
pub const SHORT_SCRIPT_BYTES: usize = 10;

/// Looks at what the walk passes and says whether a transaction deserves a second look.
///
/// False positives cost time, false negatives lose coins.
pub trait Probe {
    /// An input spends output `vout` of the transaction whose id begins with the bytes of `txid_word`, little-endian.
    fn input(&mut self, txid_word: u64, vout: u32) -> bool;
    /// An output pays a script of at least [`SHORT_SCRIPT_BYTES`] whose bytes [len - 10, len - 2) are `word`,
    /// little-endian: bytes of a hash or a key in every standard script.
    fn output(&mut self, word: u64) -> bool;
    /// An output pays a script shorter than [`SHORT_SCRIPT_BYTES`].
    fn short_output(&mut self, script: &[u8]) -> bool;
    /// Something was found in `transaction`. What the probe learns here holds for the transactions behind it.
    fn found(&mut self, transaction: TxBounds);
}

/// Where one transaction lies within its block, in bytes from the block's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxBounds {
    /// Its index in the block, the coinbase being 0.
    pub tx_index: u32,
    /// Its first byte.
    pub start: usize,
    /// Where its input count is: behind the version, and behind marker and flag where it has them (BIP144).
    pub body: usize,
    /// Behind its last output.
    pub body_end: usize,
    /// Behind its lock time.
    pub end: usize,
}

/// Walks the transactions of `block`.
///
/// # Errors
/// [`Malformed`] where the bytes are not a block and nothing else. What was found before stands, unproven.
#[inline]
pub fn walk<P: Probe>(block: RawBlock<'_>, probe: &mut P) -> Result<(), Malformed> {
    if block.key().is_clear() { Walk::<false>::new(block).run(probe) } else { Walk::<true>::new(block).run(probe) }
}

/// How far ahead of a transaction memory is asked for, and how much: some five transactions, eight cache lines. Nearer is
/// too late, and single lines are worse than none (benches/README.md).
const PREFETCH_AHEAD_BYTES: usize = 2048;
const PREFETCH_LINES: usize = 8;
const CACHE_LINE_BYTES: usize = 64;

/// How many bytes one bounds check makes readable: an outpoint, a value, a CompactSize and the standard scripts fit.
const WINDOW_BYTES: usize = 48;

struct Walk<'a, const MASKED: bool> {
    bytes: &'a [u8],
    key: u64,
}

/// Bytes at a position, with the key turned to the first of them.
struct Window<'a, const MASKED: bool> {
    bytes: &'a [u8; WINDOW_BYTES],
    key: u64,
}

impl<'a, const MASKED: bool> Walk<'a, MASKED> {
    fn new(block: RawBlock<'a>) -> Self {
        Self { bytes: block.bytes(), key: block.key().to_u64() }
    }

    fn run<P: Probe>(&self, probe: &mut P) -> Result<(), Malformed> {
        let (tx_count, mut at) = self.compact_size(HEADER_BYTES)?;
        if tx_count == 0 {
            return Err(Malformed::NoTransactions);
        }
        let mut tx_index = 0_u32;
        for _ in 0..tx_count {
            let (bounds, found) = self.transaction(at, tx_index, probe)?;
            if found {
                probe.found(bounds);
            }
            at = bounds.end;
            tx_index = tx_index.wrapping_add(1); // a transaction takes bytes: 2^32 of them do not fit in a block file
        }
        if at == self.bytes.len() { Ok(()) } else { Err(Malformed::TrailingBytes { end: at, size: self.bytes.len() }) }
    }

    #[inline(always)]
    fn transaction<P: Probe>(&self, start: usize, tx_index: u32, probe: &mut P) -> Result<(TxBounds, bool), Malformed> {
        self.ask_for(start.wrapping_add(PREFETCH_AHEAD_BYTES));
        let head = self.word(start)?;
        // The version is four bytes; then either the input count, or marker 0, flag 1 and the input count.
        let segwit = (head >> 32) & 0xff == 0;
        if segwit && (head >> 40) & 0xff != 1 {
            return Err(Malformed::NeitherSerialisation { at: start });
        }
        let body = start.wrapping_add(if segwit { 6 } else { 4 });
        let (input_count, mut at) = self.count(body)?;
        // Nothing of it would be shown to the probe, so that a proof would pass it over.
        if input_count == 0 {
            return Err(Malformed::NoInputs { at: start });
        }
        let mut found = false;
        for _ in 0..input_count {
            let (next, hit) = self.input(at, probe)?;
            found |= hit;
            at = next;
        }
        let (output_count, next) = self.count(at)?;
        at = next;
        for _ in 0..output_count {
            let (next, hit) = self.output(at, probe)?;
            found |= hit;
            at = next;
        }
        let body_end = at;
        if segwit {
            for _ in 0..input_count {
                at = self.witness(at)?;
            }
        }
        let end = self.skip(at, 4)?;
        Ok((TxBounds { tx_index, start, body, body_end, end }, found))
    }

    /// Asks memory for what lies from `at` on. A hint: it reads nothing, and may point behind the block.
    #[inline(always)]
    fn ask_for(&self, at: usize) {
        for line in 0..PREFETCH_LINES {
            prefetch_index(self.bytes, at.wrapping_add(line.wrapping_mul(CACHE_LINE_BYTES)));
        }
    }

    #[inline(always)]
    fn input<P: Probe>(&self, at: usize, probe: &mut P) -> Result<(usize, bool), Malformed> {
        if let Some(window) = self.window(at)
            && window.byte::<36>() < 0xfd
        {
            let next = at.wrapping_add(41).wrapping_add(usize::from(window.byte::<36>()));
            let hit = probe.input(window.word::<0>(), window.word::<32>() as u32); // the low half is the vout
            return Ok((next, hit));
        }
        self.input_unhurried(at, probe)
    }

    /// An input near the block's end or with a long script.
    #[cold]
    #[inline(never)]
    fn input_unhurried<P: Probe>(&self, at: usize, probe: &mut P) -> Result<(usize, bool), Malformed> {
        let txid_word = self.word(at)?;
        let behind_outpoint = self.skip(at, 36)?;
        let vout = (self.word(behind_outpoint.wrapping_sub(8))? >> 32) as u32; // the high half is the vout
        let (script_bytes, script) = self.compact_size(behind_outpoint)?;
        let next = self.skip(self.skip(script, script_bytes)?, 4)?;
        Ok((next, probe.input(txid_word, vout)))
    }

    #[inline(always)]
    fn output<P: Probe>(&self, at: usize, probe: &mut P) -> Result<(usize, bool), Malformed> {
        if let Some(size_word) = self.window(at)
            && matches!(size_word.byte::<8>(), 10..0xfd)
        {
            let script_bytes = usize::from(size_word.byte::<8>());
            let script_end = at.wrapping_add(9).wrapping_add(script_bytes);
            let word = self.word(script_end.wrapping_sub(SHORT_SCRIPT_BYTES))?;
            return Ok((script_end, probe.output(word)));
        }
        self.output_unhurried(at, probe)
    }

    /// An output near the block's end, or with a script that is short or long.
    #[cold]
    #[inline(never)]
    fn output_unhurried<P: Probe>(&self, at: usize, probe: &mut P) -> Result<(usize, bool), Malformed> {
        let (script_bytes, script) = self.compact_size(self.skip(at, 8)?)?;
        let end = self.skip(script, script_bytes)?;
        let hit = if script_bytes >= SHORT_SCRIPT_BYTES as u64 {
            probe.output(self.word(end.wrapping_sub(SHORT_SCRIPT_BYTES))?)
        } else {
            let mut short = [0_u8; SHORT_SCRIPT_BYTES];
            let masked = self.bytes.get(script..end).unwrap_or_default();
            for ((clear, masked), offset) in short.iter_mut().zip(masked).zip(script..) {
                *clear = masked ^ self.turned_key(offset).to_le_bytes()[0];
            }
            probe.short_output(short.get(..masked.len()).unwrap_or_default())
        };
        Ok((end, hit))
    }

    /// Passes the witness of one input.
    #[inline(always)]
    fn witness(&self, at: usize) -> Result<usize, Malformed> {
        /// One item of 64 bytes: a taproot key-path signature (BIP341) with the default sighash type.
        const KEY_PATH: u64 = 0x40_01;
        if let Some(window) = self.window(at) {
            let head = window.word::<0>();
            if head & 0xffff == KEY_PATH {
                return Ok(at.wrapping_add(66));
            }
            // Two items, a short one and then 33 bytes: signature and key of a p2wpkh coin (BIP141).
            let first_bytes = ((head >> 8) & 0xff) as usize; // one byte
            let second = at.wrapping_add(2).wrapping_add(first_bytes);
            if head & 0xff == 2 && first_bytes < 0xfd && self.byte(second) == Some(33) {
                return Ok(second.wrapping_add(34));
            }
        }
        self.witness_items(at)
    }

    #[inline]
    fn witness_items(&self, at: usize) -> Result<usize, Malformed> {
        let (item_count, mut at) = self.count(at)?;
        for _ in 0..item_count {
            let (item_bytes, item) = self.count(at)?;
            at = self.skip(item, item_bytes)?;
        }
        Ok(at)
    }

    /// A CompactSize that mostly is one byte.
    #[inline(always)]
    fn count(&self, at: usize) -> Result<(u64, usize), Malformed> {
        match self.byte(at) {
            Some(small) if small < 0xfd => Ok((u64::from(small), at.wrapping_add(1))),
            _ => self.compact_size(at),
        }
    }

    /// A CompactSize (Bitcoin Core, `src/serialize.h`) of any width, and where it ends.
    #[inline(never)]
    fn compact_size(&self, at: usize) -> Result<(u64, usize), Malformed> {
        let first = self.byte(at).ok_or(Malformed::TooShort { at, needed: 1 })?;
        let width = match first {
            0xfd => 2,
            0xfe => 4,
            0xff => 8,
            small => return Ok((u64::from(small), at.wrapping_add(1))),
        };
        let digits = at.wrapping_add(1);
        let end = self.skip(digits, width)?;
        let masked = self.bytes.get(digits..end).unwrap_or_default();
        let mut word = [0_u8; 8];
        for (to, from) in word.iter_mut().zip(masked) {
            *to = *from;
        }
        // Digits that are not there must stay zero under the key.
        let keep = if width == 8 { u64::MAX } else { (1_u64 << (width as u32).wrapping_mul(8)).wrapping_sub(1) };
        Ok(((u64::from_le_bytes(word) ^ self.turned_key(digits)) & keep, end))
    }

    /// The position `count` bytes on, which may be the end of the block but not behind it.
    #[inline(always)]
    fn skip(&self, at: usize, count: u64) -> Result<usize, Malformed> {
        let left = self.bytes.len().saturating_sub(at) as u64;
        if at <= self.bytes.len() && count <= left {
            Ok(at.wrapping_add(count as usize)) // no more than is left of a slice
        } else {
            Err(Malformed::TooShort { at: at.min(self.bytes.len()), needed: count.saturating_sub(left) })
        }
    }

    #[inline(always)]
    fn window(&self, at: usize) -> Option<Window<'a, MASKED>> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(Window { bytes, key: self.turned_key(at) })
    }

    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        let [clear, ..] = self.turned_key(at).to_le_bytes();
        self.bytes.get(at).map(|byte| byte ^ clear)
    }

    /// Eight bytes, little-endian.
    #[inline(always)]
    fn word(&self, at: usize) -> Result<u64, Malformed> {
        match self.bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => Ok(u64::from_le_bytes(*bytes) ^ self.turned_key(at)),
            None => Err(Malformed::TooShort { at: at.min(self.bytes.len()), needed: 8 }),
        }
    }

    /// The key for a word at `at`.
    #[inline(always)]
    fn turned_key(&self, at: usize) -> u64 {
        if MASKED { self.key.rotate_right((at as u32).wrapping_mul(8)) } else { 0 } // rotation is modulo 64
    }
}

impl<const MASKED: bool> Window<'_, MASKED> {
    /// Eight bytes at `OFFSET`, little-endian. Constant offsets, so that the checks are made when it is compiled.
    #[inline(always)]
    fn word<const OFFSET: usize>(&self) -> u64 {
        const { assert!(OFFSET.is_multiple_of(8) && OFFSET.saturating_add(8) <= WINDOW_BYTES) };
        let masked =
            self.bytes.get(OFFSET..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word));
        masked ^ self.key // the key's period is eight bytes
    }

    #[inline(always)]
    fn byte<const OFFSET: usize>(&self) -> u8 {
        const { assert!(OFFSET < WINDOW_BYTES) };
        let masked = self.bytes.get(OFFSET).copied().unwrap_or(0);
        let [clear, ..] = (self.key >> ((OFFSET as u32).wrapping_mul(8) & 63)).to_le_bytes();
        masked ^ clear
    }
}
