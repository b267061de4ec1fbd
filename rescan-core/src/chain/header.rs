//! The 80-byte block header: its fields, hash and work, and the two checks that need at most its
//! parent.
//!
//! Proof of work excludes bytes that are no header, and the difficulty rule excludes headers of no
//! chain. Time, version and signet signatures are not checked here: Bitcoin Core checked them
//! before it wrote the block.

use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{BlockHash, CompactTarget, Target};

use crate::blocks::walk::HEADER_BYTES;
use crate::chain::network::Network;
use crate::position::Height;

/// Blocks between two changes of difficulty (`DifficultyAdjustmentInterval`), on every network.
const RETARGET_INTERVAL: u32 = 2016;

/// A block header without obfuscation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header([u8; HEADER_BYTES]);

impl Header {
    /// A view of 80 bytes. Any bytes are a header; [`Header::meets_target`] checks its proof of
    /// work.
    #[must_use]
    pub fn new(bytes: [u8; HEADER_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes that are hashed.
    #[must_use]
    pub fn bytes(&self) -> &[u8; HEADER_BYTES] {
        &self.0
    }

    /// The double SHA-256 of the bytes.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        BlockHash::from_raw_hash(sha256d::Hash::hash(&self.0))
    }

    /// The hash of the parent; zeros for genesis.
    #[must_use]
    pub fn prev_hash(&self) -> BlockHash {
        BlockHash::from_byte_array(self.field::<4, 32>())
    }

    /// The root of the merkle tree of the block's txids, in internal order.
    #[must_use]
    pub fn merkle_root(&self) -> [u8; 32] {
        self.field::<36, 32>()
    }

    /// The time in seconds since 1970.
    #[must_use]
    pub fn time(&self) -> u32 {
        u32::from_le_bytes(self.field::<68, 4>())
    }

    /// The target in compact form (`nBits`).
    #[must_use]
    pub fn bits(&self) -> Bits {
        Bits(u32::from_le_bytes(self.field::<72, 4>()))
    }

    /// Whether `hash`, this header's, meets its target, and the target is no easier than the
    /// network allows (`CheckProofOfWork` in `src/pow.cpp`).
    #[must_use]
    pub fn meets_target(&self, hash: BlockHash, network: Network) -> bool {
        self.bits().target().is_some_and(|target| target <= network.pow_limit() && target.is_met_by(hash))
    }

    fn field<const AT: usize, const SIZE: usize>(&self) -> [u8; SIZE] {
        const { assert!(AT + SIZE <= HEADER_BYTES, "the field lies in the header") };
        std::array::from_fn(|i| self.0[AT + i])
    }
}

/// A target in compact form: the `nBits` of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bits(pub u32);

impl Bits {
    /// The target; none if the number is negative, zero or above 256 bits (`DeriveTarget` in
    /// `src/pow.cpp`).
    #[must_use]
    pub fn target(self) -> Option<Target> {
        let exponent = self.0 >> 24;
        let mantissa = self.0 & 0x007f_ffff;
        let is_negative = self.0 & 0x0080_0000 != 0;
        let overflows = exponent > 34 || (exponent > 33 && mantissa > 0xff) || (exponent > 32 && mantissa > 0xffff);
        if mantissa == 0 || is_negative || overflows {
            return None;
        }
        let target = Target::from_compact(CompactTarget::from_consensus(self.0));
        (target != Target::ZERO).then_some(target)
    }

    /// The work of a block with this target: the hashes it takes on average (`GetBlockProof`).
    #[must_use]
    pub fn work(self) -> Work {
        let Some(target) = self.target() else { return Work(0) };
        let (high, low) = split(target.to_work().to_be_bytes());
        Work(if high == 0 { low } else { u128::MAX })
    }

    /// Whether a block at `height` may have these bits if its parent has `parent`. The bounds hold
    /// whatever the times of the blocks between (`PermittedDifficultyTransition` in `src/pow.cpp`).
    #[must_use]
    pub fn may_follow(self, parent: Self, height: Height, network: Network) -> bool {
        if network.allows_min_difficulty() {
            return true;
        }
        if !height.0.is_multiple_of(RETARGET_INTERVAL) {
            return self == parent;
        }
        let (Some(old), Some(new)) = (parent.target(), self.target()) else { return false };
        // The timespan is clamped to between a quarter of two weeks and four times two weeks. The
        // resulting target is rounded to compact form before the comparison.
        let rounded = |target: Target| Target::from_compact(target.min(network.pow_limit()).to_compact_lossy());
        let easiest = rounded(old.max_transition_threshold_unchecked());
        let hardest = rounded(old.min_transition_threshold());
        (hardest..=easiest).contains(&new)
    }
}

/// Expected number of hashes. 128 bits suffice: all of main's chain reached 2^97 by 2026, and every
/// block that counts has met its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work(pub u128);

impl Work {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

fn split(bytes: [u8; 32]) -> (u128, u128) {
    let half = |from: usize| u128::from_be_bytes(std::array::from_fn(|i| bytes[from + i]));
    (half(0), half(16))
}

#[cfg(test)]
mod tests {
    use bitcoin::constants::genesis_block;

    use super::*;

    fn genesis(network: Network) -> Header {
        let bytes = bitcoin::consensus::serialize(&genesis_block(network.to_bitcoin()).header);
        Header::new(bytes.try_into().expect("a header has 80 bytes"))
    }

    #[test]
    fn the_fields_of_genesis_equal_those_of_the_bitcoin_crate() {
        for network in Network::NAMED {
            let (ours, theirs) = (genesis(network), genesis_block(network.to_bitcoin()).header);
            assert_eq!(ours.hash(), theirs.block_hash());
            assert_eq!(ours.prev_hash(), theirs.prev_blockhash);
            assert_eq!(ours.merkle_root(), theirs.merkle_root.to_byte_array());
            assert_eq!(ours.time(), theirs.time);
            assert_eq!(ours.bits().0, theirs.bits.to_consensus());
            assert!(ours.meets_target(ours.hash(), network), "{network}");
        }
    }

    #[test]
    fn a_header_of_regtest_does_not_pass_on_main() {
        let header = genesis(Network::Regtest);
        assert!(!header.meets_target(header.hash(), Network::Main));
    }

    #[test]
    fn targets_that_bitcoin_core_refuses_are_none() {
        for bits in [0, 0x0080_0000, 0x1d80_ffff, 0x2300_0001, 0x2200_0100, 0x2101_0000, 0xff12_3456, 0x0100_3456] {
            assert_eq!(Bits(bits).target(), None, "{bits:#x}");
            assert_eq!(Bits(bits).work(), Work(0));
        }
        assert!(Bits(0x1d00_ffff).target().is_some());
    }

    #[test]
    fn the_work_of_the_easiest_block_equals_bitcoin_cores() {
        assert_eq!(Bits(0x1d00_ffff).work(), Work(0x1_0001_0001));
        assert_eq!(Bits(0x207f_ffff).work(), Work(2));
    }

    #[test]
    fn difficulty_moves_by_a_factor_of_four_and_only_at_the_interval() {
        // The same figures as the `ChainParams_MAIN` cases of Bitcoin Core's
        // src/test/pow_tests.cpp.
        let cases = [
            (0x1d00_ffff, 0x1d00_d86a, 32_256),
            (0x1d00_ffff, 0x1d00_ffff, 2016),
            (0x1c05_a3f4, 0x1c01_68fd, 68_544),
            (0x1c38_7f6f, 0x1d00_e1fd, 46_368),
        ];
        for (old, new, height) in cases {
            assert!(Bits(new).may_follow(Bits(old), Height(height), Network::Main), "{old:#x} to {new:#x}");
        }
        assert!(!Bits(0x1c01_68fc).may_follow(Bits(0x1c05_a3f4), Height(68_544), Network::Main));
        assert!(!Bits(0x1d00_e1fe).may_follow(Bits(0x1c38_7f6f), Height(46_368), Network::Main));
        assert!(!Bits(0x1d00_d86a).may_follow(Bits(0x1d00_ffff), Height(32_257), Network::Main));
        assert!(Bits(0x1c01_68fc).may_follow(Bits(0x1c05_a3f4), Height(7), Network::Testnet4));
    }
}
