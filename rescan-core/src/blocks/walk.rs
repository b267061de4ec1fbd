//! The walk: one pass over a block's bytes as they lie on disk, at the speed at which memory gives them.
//!
//! It finds where inputs, outputs and transactions are, and shows eight bytes of each outpoint and each script to a
//! [`Probe`]. It decodes nothing, allocates nothing, hashes nothing, and reads of a witness only the lengths. It does
//! check that every length stays within the block and that the block ends where its last transaction does.
//!
//! What it costs is a chain of loads in which each position depends on the length before it. Therefore: what is left of
//! the block is carried in registers, and one comparison shows that all of an ordinary input, output or witness lies
//! within it; the two commonest witnesses are recognised by a comparison, which the processor can predict where it would
//! have to wait for a length; the XOR key is turned beside the load, not behind it; and each step asks memory for the
//! line that a step some kilobytes ahead will need, since the hardware's own prefetcher loses a reader that jumps over
//! witnesses.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]
#![expect(clippy::cast_possible_truncation, reason = "each cast says on its line why nothing is lost")]

use prefetch_index::prefetch_index;

use crate::blocks::cursor::Malformed;
use crate::blocks::obfuscation::RawBlock;

/// The size of a block header in bytes.
pub const HEADER_BYTES: usize = 80;

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
    if block.key().is_clear() {
        Walk::<false>::of(block).run(block, probe)
    } else {
        Walk::<true>::of(block).run(block, probe)
    }
}

/// How far ahead memory is asked for. Nearer is too late, further gains nothing (benches/README.md).
const PREFETCH_AHEAD_BYTES: usize = 3072;
const CACHE_LINE_BYTES: usize = 64;

/// What one bounds check makes readable. Everything whose length is a CompactSize of one byte fits: an input takes at
/// most 41 + 252 bytes, an output 9 + 252, a witness of signature and key 2 + 252 + 34.
const REACH_BYTES: usize = 304;

/// What no longer depends on where the walk is. What does is handed from step to step: `rest`, the bytes from there to
/// the block's end. It is not a field: a step that is not inlined would force it into memory, and the chain of loads
/// through it.
struct Walk<const MASKED: bool> {
    size: usize,
    /// The key, turned to the block's end.
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
        // The version is four bytes; then either the input count, or marker 0, flag 1 and the input count.
        let segwit = (head >> 32) & 0xff == 0;
        if segwit && (head >> 40) & 0xff != 1 {
            return Err(Malformed::NeitherSerialisation { at: start });
        }
        let rest = self.skip(rest, if segwit { 6 } else { 4 })?;
        let body = self.position(rest);
        let (input_count, mut rest) = self.count(rest)?;
        // Nothing of it would be shown to the probe, so that a proof would pass it over.
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
        self.input_unhurried(rest, probe)
    }

    /// An input near the block's end or with a long script.
    #[cold]
    #[inline(never)]
    fn input_unhurried<'a, P: Probe>(&self, rest: &'a [u8], probe: &mut P) -> Result<(bool, &'a [u8]), Malformed> {
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
            // Behind value and length come the script's bytes: the word that begins ten before their end.
            let word_start = script_bytes.wrapping_sub(1);
            if (SHORT_SCRIPT_BYTES..0xfd).contains(&script_bytes)
                && let Some(word) = reach.get(word_start..).and_then(|word| word.first_chunk())
                && let Some(next) = rest.get(script_bytes.wrapping_add(9)..)
            {
                return Ok((probe.output(u64::from_le_bytes(*word) ^ self.turned(key, word_start)), next));
            }
        }
        self.output_unhurried(rest, probe)
    }

    /// An output near the block's end, or with a script that is short or long.
    #[cold]
    #[inline(never)]
    fn output_unhurried<'a, P: Probe>(&self, rest: &'a [u8], probe: &mut P) -> Result<(bool, &'a [u8]), Malformed> {
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

    /// Passes the witness of one input.
    #[inline(always)]
    fn witness<'a>(&self, rest: &'a [u8]) -> Result<&'a [u8], Malformed> {
        /// One item of 64 bytes: a taproot key-path signature (BIP341) with the default sighash type.
        const KEY_PATH: u64 = 0x40_01;
        if let Some(reach) = rest.first_chunk::<REACH_BYTES>() {
            // As a rule it takes more than a line.
            ask_ahead(rest, 0);
            ask_ahead(rest, CACHE_LINE_BYTES);
            let key = self.key(rest);
            let head = word_at::<0>(reach) ^ key;
            if head & 0xffff == KEY_PATH
                && let Some(next) = rest.get(66..)
            {
                return Ok(next);
            }
            // Two items, a short one and then 33 bytes: signature and key of a p2wpkh coin (BIP141).
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

    /// A CompactSize that mostly is one byte.
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

    /// A CompactSize (Bitcoin Core, `src/serialize.h`) of any width, and what is behind it.
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
        // Digits that are not there stay zero.
        for ((to, masked), key) in value.iter_mut().zip(digits).zip(self.key(digits).to_le_bytes()).take(width as usize)
        {
            *to = masked ^ key;
        }
        Ok((u64::from_le_bytes(value), behind))
    }

    /// What is left `count` bytes on, which may be nothing.
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

    /// `key`, turned for a word `by` bytes further on.
    #[inline(always)]
    fn turned(&self, key: u64, by: usize) -> u64 {
        if MASKED { key.rotate_right((by as u32).wrapping_mul(8)) } else { 0 } // rotation is modulo 64
    }
}

/// Asks memory for the line that lies some way ahead of `at`. A hint: it reads nothing, and may point behind the block.
#[inline(always)]
fn ask_ahead(rest: &[u8], at: usize) {
    prefetch_index(rest, at.wrapping_add(PREFETCH_AHEAD_BYTES));
}

/// Eight bytes at `OFFSET`, little-endian. A constant, so that the check is made when it is compiled.
#[inline(always)]
fn word_at<const OFFSET: usize>(reach: &[u8; REACH_BYTES]) -> u64 {
    const { assert!(OFFSET.saturating_add(8) <= REACH_BYTES) };
    reach.get(OFFSET..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

/// The byte at `OFFSET` under `key`, which is turned to the first byte.
#[inline(always)]
fn byte_at<const OFFSET: usize>(reach: &[u8; REACH_BYTES], key: u64) -> usize {
    const { assert!(OFFSET < REACH_BYTES) };
    let [clear, ..] = (key >> ((OFFSET as u32).wrapping_mul(8) & 63)).to_le_bytes();
    usize::from(reach.get(OFFSET).copied().unwrap_or(0) ^ clear)
}
