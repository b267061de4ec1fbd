//! A filter of 64-bit words, fast enough to test every output and input of a chain.
//!
//! It has two tables. The first has one bit for each word, at a position taken from the word
//! itself: a test costs one load from a table that stays in the L2 cache. About three of a hundred
//! other words pass; those are tested again in the second table, a Bloom filter with both bits in
//! one cell. The second table may be out of cache, but is needed: a false positive costs the
//! parsing of a transaction, which may be large.
//!
//! Words must be as good as random, as are eight bytes of a hash or a key; [`scattered`] makes
//! other words so. Words that are not cost time only: an added word is never denied.
//!
//! Cells are atomic because workers share a growing filter. A relaxed atomic load is an ordinary
//! load.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]
#![expect(clippy::cast_possible_truncation, reason = "each cast says on its line why nothing is lost")]

use std::sync::atomic::{AtomicU64, Ordering};

use bitcoin::OutPoint;
use bitcoin::hashes::Hash;

/// Bits in each table for each expected word. Twice as many cost more in cache misses than they
/// save in false positives; half as many take the same time and pass twice as many false positives
/// (benches/README.md).
const BITS_PER_WORD: u64 = 32;
/// 2^13 bits are 1 KiB: a smaller filter saves nothing.
const BITS_LOG2_MIN: u32 = 13;
/// 2^24 bits are 2 MiB. A larger filter leaves L2, and a load that misses L2 costs more than the
/// false positives it saves.
const BITS_LOG2_MAX: u32 = 24;
/// 2^64 over the golden ratio: multiplication carries every bit of a word into the high bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// 2^64 over the square root of 2. A second odd number separates words that collide in the first
/// table.
const SPREAD_AGAIN: u64 = 0xb504_f333_f9de_6485;

/// A set of words with false positives and without false negatives.
#[derive(Debug)]
pub struct WordFilter {
    cells: Box<[AtomicU64]>,
    /// Tested only for words that pass `cells`; of the same size.
    cells_again: Box<[AtomicU64]>,
}

impl WordFilter {
    /// An empty filter for about `words` words. More may be added; false positives grow.
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

    /// Adds a pair: a word of part of an item for the first table, and a word of all of it for the
    /// second.
    fn insert_pair(&self, part: u64, whole: u64) {
        if let Some(cell) = self.cells.get(place(&self.cells, part)) {
            cell.fetch_or(1 << bit(part), Ordering::Relaxed);
        }
        let spread = whole.wrapping_mul(SPREAD_AGAIN);
        if let Some(cell) = self.cells_again.get(place(&self.cells_again, spread >> 32)) {
            cell.fetch_or(two_bits(spread), Ordering::Relaxed);
        }
    }

    /// Whether the pair may have been added. The second word is computed only if the first passes.
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

/// The cell of a word, from its low bits. The number of `cells` is a power of two.
#[inline(always)]
fn place(cells: &[AtomicU64], word: u64) -> usize {
    (word as usize) & cells.len().wrapping_sub(1) // what is cut off is masked anyway
}

/// The bit of a word in its cell, from its six highest bits, which choose no cell.
#[inline(always)]
fn bit(word: u64) -> u64 {
    word >> 58
}

/// Two bits for a spread word, from its bits 12 to 23: the low bits of a product are the weakest,
/// and the high half chooses the cell.
fn two_bits(spread: u64) -> u64 {
    (1 << ((spread >> 12) & 63)) | (1 << ((spread >> 18) & 63))
}

/// A word as good as random, computed from a number that is not.
#[must_use]
pub fn scattered(number: u64) -> u64 {
    let spread = number.wrapping_mul(SPREAD);
    spread ^ (spread >> 32) // the low bits of a product are poor
}

/// A filter of outpoints. If one output of a transaction was added, all its outputs pass the first
/// table; the second separates them.
#[derive(Debug)]
pub struct OutpointFilter(WordFilter);

impl OutpointFilter {
    /// An empty filter for about this many outpoints. More may be added; false positives grow.
    #[must_use]
    pub fn with_capacity(outpoints: usize) -> Self {
        Self(WordFilter::with_capacity(outpoints))
    }

    /// Adds an outpoint.
    pub fn insert(&self, outpoint: &OutPoint) {
        let txid_word = txid_word(outpoint);
        self.0.insert_pair(txid_word, outpoint_word(txid_word, outpoint.vout));
    }

    /// Whether output `vout` of a transaction may have been added. `txid_word` is the start of the
    /// transaction's id, little-endian.
    #[inline(always)]
    #[must_use]
    pub fn may_contain(&self, txid_word: u64, vout: u32) -> bool {
        self.0.may_contain_pair(txid_word, || outpoint_word(txid_word, vout))
    }
}

/// The first eight bytes of the outpoint's txid, little-endian.
#[must_use]
pub fn txid_word(outpoint: &OutPoint) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = outpoint.txid.to_byte_array();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// A word for output `vout` of the transaction whose id begins with `txid_word`, little-endian.
#[inline(always)]
#[must_use]
pub fn outpoint_word(txid_word: u64, vout: u32) -> u64 {
    // A txid is as good as random; the index only separates the outputs of one transaction.
    txid_word.wrapping_add(u64::from(vout).rotate_left(32))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_added_word_is_never_denied(words in prop::collection::vec(any::<u64>(), 0..500), capacity in 0usize..10_000) {
            let filter = WordFilter::with_capacity(capacity);
            for word in &words {
                filter.insert(*word);
            }
            prop_assert!(words.iter().all(|word| filter.may_contain(*word)));
        }
    }

    #[test]
    fn nearly_all_other_words_are_denied() {
        let filter = WordFilter::with_capacity(20_000);
        let word = |i: u64| i.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(17) ^ i;
        (0..20_000).for_each(|i| filter.insert(word(i)));
        let false_positives = (20_000..1_020_000).filter(|i| filter.may_contain(word(*i))).count();
        assert!(false_positives < 100, "{false_positives} of a million words were not denied");
    }
}
