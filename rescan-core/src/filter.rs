//! A filter of 64-bit words: says "certainly not" fast enough to be asked about every output and input of a chain.
//!
//! It is a Bloom filter whose two bits a word lie in one 64-bit cell, so that a question costs one load from a table
//! that stays in the processor's L2 cache. The few words that it lets pass are asked for again in a second table, which
//! need not be in any cache: a false positive makes somebody read a transaction, which may be a large one. Cells are
//! atomic so that workers may share a filter that grows; on the reading side a relaxed atomic load is an ordinary load.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]
#![expect(clippy::cast_possible_truncation, reason = "each cast says on its line why nothing is lost")]

use std::sync::atomic::{AtomicU64, Ordering};

/// Bits a word that each table is laid out for. 32 let 0.3 % of other words pass the first (two bits a word), and one in
/// a hundred thousand both.
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
    /// Asked only about what passes the first.
    cells_again: Box<[AtomicU64]>,
    /// Cells are a power of two; the top bits of a spread word choose one.
    shift: u32,
}

impl WordFilter {
    /// An empty filter, laid out for `words` of them. More may be added; false positives grow.
    #[must_use]
    pub fn with_capacity(words: usize) -> Self {
        let wanted = (words as u64).saturating_mul(BITS_PER_WORD).max(1);
        let bits_log2 = wanted.checked_next_power_of_two().map_or(BITS_LOG2_MAX, u64::ilog2);
        let cells_log2 = bits_log2.clamp(BITS_LOG2_MIN, BITS_LOG2_MAX).wrapping_sub(6);
        let cells = || (0..1_usize << cells_log2).map(|_| AtomicU64::new(0)).collect();
        Self { cells: cells(), cells_again: cells(), shift: 64_u32.wrapping_sub(cells_log2) }
    }

    /// Adds a word.
    pub fn insert(&self, word: u64) {
        for (cells, spread) in [(&self.cells, SPREAD), (&self.cells_again, SPREAD_AGAIN)] {
            let (cell, bits) = self.place(word.wrapping_mul(spread));
            if let Some(cell) = cells.get(cell) {
                cell.fetch_or(bits, Ordering::Relaxed);
            }
        }
    }

    /// Whether `word` may have been added.
    #[inline(always)]
    #[must_use]
    pub fn may_contain(&self, word: u64) -> bool {
        let (cell, bits) = self.place(word.wrapping_mul(SPREAD));
        self.cells.get(cell).is_some_and(|cell| cell.load(Ordering::Relaxed) & bits == bits) && self.passes_again(word)
    }

    #[cold]
    #[inline(never)]
    fn passes_again(&self, word: u64) -> bool {
        let (cell, bits) = self.place(word.wrapping_mul(SPREAD_AGAIN));
        self.cells_again.get(cell).is_some_and(|cell| cell.load(Ordering::Relaxed) & bits == bits)
    }

    /// The cell and the bits of a word that was spread.
    #[inline(always)]
    fn place(&self, spread: u64) -> (usize, u64) {
        // The low twelve bits of the product choose the bits, the high ones the cell; they share none.
        let bits = (1 << (spread & 63)) | (1 << ((spread >> 6) & 63));
        ((spread >> self.shift) as usize, bits) // at most 18 bits
    }
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
