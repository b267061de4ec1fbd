//! Implementations of the hash, chosen at run time.

use std::fmt;

use bitcoin::hashes::{Hash, sha256d};

use crate::Digest;
use crate::messages::Messages;
#[cfg(target_arch = "x86_64")]
use crate::sha_ni::ShaNi;

/// An implementation. All compute the same hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Implementation {
    /// Two interleaved messages on the SHA extensions of x86-64.
    #[cfg(target_arch = "x86_64")]
    ShaNi(ShaNi),
    /// The `bitcoin_hashes` crate, one message after the other.
    BitcoinHashes,
}

impl Implementation {
    /// The fastest that this processor can run.
    #[must_use]
    pub fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(sha_ni) = ShaNi::detect() {
            return Self::ShaNi(sha_ni);
        }
        Self::BitcoinHashes
    }

    /// Appends the double SHA-256 of each of `messages` to `digests`.
    pub fn hash_messages(self, messages: &Messages, digests: &mut Vec<Digest>) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi(sha_ni) => sha_ni.hash_messages(messages, digests),
            Self::BitcoinHashes => digests.extend(messages.iter().map(hash)),
        }
    }

    /// Replaces the nodes of one level of a merkle tree by those of the level above: each is the
    /// double SHA-256 of two. A last node without a neighbour is dropped; the caller decides how a
    /// tree ends.
    pub fn hash_pairs(self, level: &mut Vec<Digest>) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi(sha_ni) => sha_ni.hash_pairs(level),
            Self::BitcoinHashes => {
                let parents = level.len() / 2;
                for parent in 0..parents {
                    level[parent] = hash(level[parent * 2..parent * 2 + 2].as_flattened());
                }
                level.truncate(parents);
            }
        }
    }
}

impl fmt::Display for Implementation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi(_) => "SHA-NI, two messages in step",
            Self::BitcoinHashes => "bitcoin_hashes, one message at a time",
        })
    }
}

fn hash(message: &[u8]) -> Digest {
    sha256d::Hash::hash(message).to_byte_array()
}
