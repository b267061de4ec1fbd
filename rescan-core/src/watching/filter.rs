//! A filter of 64-bit words: says "certainly not" fast enough to be asked about every output and input of a chain.
//!
//! Two tables. The first has one bit a word, which the word names itself, so that a question costs one load from a table
//! that stays in the processor's L2 cache, and hardly an instruction beside it. Of other words it lets some three in a
//! hundred pass; those are asked for again in a second table, a Bloom filter whose two bits lie in one cell. That one need
//! not be in any cache, but it has to be there: a false positive makes somebody read a transaction, which may be a large
//! one.
//!
//! Words have to be as good as random, as eight bytes of a hash or a key are; [`scattered`] makes others so. Words that
//! are not only cost time: nothing that was added is ever denied.
//!
//! Cells are atomic so that workers may share a filter that grows; on the reading side a relaxed atomic load is an
//! ordinary load.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]
#![expect(clippy::cast_possible_truncation, reason = "each cast says on its line why nothing is lost")]

use std::sync::atomic::{AtomicU64, Ordering};

use bitcoin::OutPoint;
use bitcoin::hashes::Hash;

/// Bits a word that each table is laid out for. Twice as many cost more in cache misses than they save in false
/// positives; half as many take the same time, and let twice as much pass (benches/README.md).
const BITS_PER_WORD: u64 = 32;
/// A filter of 2^13 bits is 1 KiB: smaller saves nothing.
const BITS_LOG2_MIN: u32 = 13;
/// A filter of 2^24 bits is 2 MiB, the most that is worth having: larger ones leave L2, and a load that misses it costs
/// more than the false positives it saves.
const BITS_LOG2_MAX: u32 = 24;
/// 2^64 over the golden ratio: multiplying by it carries every bit of a word into the high bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// Another odd number, so that words that meet in the first table part in the second: 2^64 over the square root of 2.
const SPREAD_AGAIN: u64 = 0xb504_f333_f9de_6485;

/// A set of words with false positives and without false negatives.
#[derive(Debug)]
pub struct WordFilter {
    cells: Box<[AtomicU64]>,
    /// Asked only about what passes the first; of the same size.
    cells_again: Box<[AtomicU64]>,
}

impl WordFilter {
    /// An empty filter, laid out for `words` of them. More may be added; false positives grow.
    #[must_use]
    pub fn with_capacity(words: usize) -> Self {
        let wanted = (words as u64).saturating_mul(BITS_PER_WORD).max(1);
        let bits_log2 = wanted.checked_next_power_of_two().map_or(BITS_LOG2_MAX, u64::ilog2);
        let cells_log2 = bits_log2.clamp(BITS_LOG2_MIN, BITS_LOG2_MAX).wrapping_sub(6);
        let cells = || (0..1_usize << cells_log2).map(|_| AtomicU64::new(0)).collect();
        Self { cells: cells(), cells_again: cells() }
    }

    /// Adds a word.
    pub fn insert(&self, word: u64) {
        self.insert_pair(word, word);
    }

    /// Whether `word` may have been added.
    #[inline(always)]
    #[must_use]
    pub fn may_contain(&self, word: u64) -> bool {
        self.may_contain_pair(word, || word)
    }

    /// Adds a word that is only part of something, and another one that is of all of it.
    fn insert_pair(&self, part: u64, whole: u64) {
        if let Some(cell) = self.cells.get(place(&self.cells, part)) {
            cell.fetch_or(1 << bit(part), Ordering::Relaxed);
        }
        let spread = whole.wrapping_mul(SPREAD_AGAIN);
        if let Some(cell) = self.cells_again.get(place(&self.cells_again, spread >> 32)) {
            cell.fetch_or(two_bits(spread), Ordering::Relaxed);
        }
    }

    /// Whether the pair may have been added. The second word is made only where the first passes.
    #[inline(always)]
    fn may_contain_pair(&self, part: u64, whole: impl FnOnce() -> u64) -> bool {
        let cell = self.cells.get(place(&self.cells, part));
        cell.is_some_and(|cell| (cell.load(Ordering::Relaxed) >> bit(part)) & 1 == 1) && self.passes_again(whole())
    }

    #[cold]
    #[inline(never)]
    fn passes_again(&self, whole: u64) -> bool {
        let spread = whole.wrapping_mul(SPREAD_AGAIN);
        let (cell, bits) = (self.cells_again.get(place(&self.cells_again, spread >> 32)), two_bits(spread));
        cell.is_some_and(|cell| cell.load(Ordering::Relaxed) & bits == bits)
    }
}

/// Which of `cells`, a power of two of them, a word belongs to: its low bits say.
#[inline(always)]
fn place(cells: &[AtomicU64], word: u64) -> usize {
    (word as usize) & cells.len().wrapping_sub(1) // what is cut off is masked anyway
}

/// Which bit of its cell belongs to a word: its six highest bits say, which choose no cell.
#[inline(always)]
fn bit(word: u64) -> u64 {
    word >> 58
}

/// The bits of a word that was spread, by the twelve bits from the thirteenth on: the low ones are the weakest of a
/// product, and the high half chooses the cell.
fn two_bits(spread: u64) -> u64 {
    (1 << ((spread >> 12) & 63)) | (1 << ((spread >> 18) & 63))
}

/// A word as good as random for a number that is not, always the same.
#[must_use]
pub fn scattered(number: u64) -> u64 {
    let spread = number.wrapping_mul(SPREAD);
    spread ^ (spread >> 32) // the low bits of a product are poor
}

/// A filter of outpoints. All outputs of one transaction pass the first table where one of them was added; the second
/// tells them apart.
#[derive(Debug)]
pub struct OutpointFilter(WordFilter);

impl OutpointFilter {
    /// An empty filter, laid out for that many outpoints. More may be added; false positives grow.
    #[must_use]
    pub fn with_capacity(outpoints: usize) -> Self {
        Self(WordFilter::with_capacity(outpoints))
    }

    /// Adds an outpoint.
    pub fn insert(&self, outpoint: &OutPoint) {
        let txid_word = txid_word(outpoint);
        self.0.insert_pair(txid_word, outpoint_word(txid_word, outpoint.vout));
    }

    /// Whether output `vout` of a transaction may have been added whose id begins with the bytes of `txid_word`,
    /// little-endian.
    #[inline(always)]
    #[must_use]
    pub fn may_contain(&self, txid_word: u64, vout: u32) -> bool {
        self.0.may_contain_pair(txid_word, || outpoint_word(txid_word, vout))
    }
}

/// The first eight bytes of the id of the transaction that made an output, little-endian.
#[must_use]
pub fn txid_word(outpoint: &OutPoint) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = outpoint.txid.to_byte_array();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// A word for one output of a transaction whose id begins with the bytes of `txid_word`, little-endian.
#[inline(always)]
#[must_use]
pub fn outpoint_word(txid_word: u64, vout: u32) -> u64 {
    // A txid is as good as random; the index only has to keep the outputs of one transaction apart.
    txid_word.wrapping_add(u64::from(vout).rotate_left(32))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_added_is_never_denied(words in prop::collection::vec(any::<u64>(), 0..500), capacity in 0usize..10_000) {
            let filter = WordFilter::with_capacity(capacity);
            for word in &words {
                filter.insert(*word);
            }
            prop_assert!(words.iter().all(|word| filter.may_contain(*word)));
        }
    }

    #[test]
    fn of_other_words_nearly_all_are_denied() {
        let filter = WordFilter::with_capacity(20_000);
        let word = |i: u64| i.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(17) ^ i;
        (0..20_000).for_each(|i| filter.insert(word(i)));
        let false_positives = (20_000..1_020_000).filter(|i| filter.may_contain(word(*i))).count();
        assert!(false_positives < 100, "{false_positives} of a million words were not denied");
    }
}
