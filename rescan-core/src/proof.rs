//! Proof that a block is what its header says: the ids of its transactions hash to the header's merkle root.
//!
//! This costs ten to twenty times the walk, nearly all of it SHA-256, and is done for blocks that are reported (or for
//! all, where asked). It does not check signatures, scripts or amounts: the node did that before it wrote the block.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{TxMerkleNode, Txid};

use crate::cursor::Malformed;
use crate::obfuscation::RawBlock;
use crate::report::TransactionReport;
use crate::transaction::strip;
use crate::walk::{Probe, TxBounds, walk};

/// Why a block is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unproven {
    /// It is not made as blocks are made.
    #[error("the block {0}")]
    Malformed(#[from] Malformed),
    /// Its transactions are not those of its header.
    #[error("the transactions hash to the merkle root {found}, and the header says {expected}")]
    MerkleRoot {
        /// What the header says.
        expected: TxMerkleNode,
        /// What the transactions give.
        found: TxMerkleNode,
    },
    /// Two neighbours in the merkle tree are equal: transactions were repeated so as to keep the root (CVE-2012-2459).
    #[error("the merkle tree repeats the node {0}")]
    RepeatedNode(TxMerkleNode),
    /// A report speaks of a transaction that the block does not have at that place.
    #[error("transaction {tx_index} was reported as {reported}, and is not that one")]
    ForeignReport {
        /// Its index in the block.
        tx_index: u32,
        /// What the report says.
        reported: Txid,
    },
}

/// Proves blocks; keeps its buffers from block to block.
#[derive(Debug, Default)]
pub struct Prover {
    txids: Vec<[u8; 32]>,
    level: Vec<[u8; 32]>,
    stripped: Vec<u8>,
}

impl Prover {
    /// Proves that `block` holds the transactions of its header, and that each of `reports` is one of them.
    ///
    /// # Errors
    /// [`Unproven`], with what was expected and found.
    pub fn prove(&mut self, block: RawBlock<'_>, reports: &[TransactionReport]) -> Result<(), Unproven> {
        self.hash_transactions(block)?;
        let found = self.merkle_root()?;
        let expected = header_merkle_root(block)?;
        if found != expected {
            return Err(Unproven::MerkleRoot { expected, found });
        }
        for report in reports {
            let txid = self.txids.get(report.tx_index as usize); // 32 bits fit
            if txid != Some(report.txid.as_byte_array()) {
                return Err(Unproven::ForeignReport { tx_index: report.tx_index, reported: report.txid });
            }
        }
        Ok(())
    }

    /// The ids of the transactions of the block that was proven last, in order.
    pub fn txids(&self) -> impl ExactSizeIterator<Item = Txid> {
        self.txids.iter().map(|txid| Txid::from_byte_array(*txid))
    }

    fn hash_transactions(&mut self, block: RawBlock<'_>) -> Result<(), Malformed> {
        self.txids.clear();
        walk(block, &mut EveryTransaction { block, txids: &mut self.txids, stripped: &mut self.stripped })
    }

    /// The root over `txids` (Bitcoin Core, `src/consensus/merkle.cpp`): a level of odd length repeats its last node.
    fn merkle_root(&mut self) -> Result<TxMerkleNode, Unproven> {
        self.level.clone_from(&self.txids);
        while self.level.len() > 1 {
            let mut parents = 0_usize;
            for start in (0..self.level.len()).step_by(2) {
                let Some(left) = self.level.get(start).copied() else { break };
                let right = self.level.get(start.saturating_add(1)).copied();
                if right == Some(left) {
                    return Err(Unproven::RepeatedNode(TxMerkleNode::from_byte_array(left)));
                }
                let parent = hash_pair(left, right.unwrap_or(left));
                if let Some(place) = self.level.get_mut(parents) {
                    *place = parent;
                }
                parents = parents.saturating_add(1);
            }
            self.level.truncate(parents);
        }
        let root = self.level.first().copied().ok_or(Malformed::NoTransactions)?;
        Ok(TxMerkleNode::from_byte_array(root))
    }
}

fn hash_pair(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    let mut pair = [0; 64];
    let (first, second) = pair.split_at_mut(32);
    first.copy_from_slice(&left);
    second.copy_from_slice(&right);
    sha256d::Hash::hash(&pair).to_byte_array()
}

fn header_merkle_root(block: RawBlock<'_>) -> Result<TxMerkleNode, Malformed> {
    let header = block.header().ok_or(Malformed::TooShort { at: block.bytes().len(), needed: 80 })?;
    let root = header.get(36..).and_then(|rest| rest.first_chunk::<32>()).copied().unwrap_or_default();
    Ok(TxMerkleNode::from_byte_array(root))
}

/// Hashes each transaction as it passes.
struct EveryTransaction<'s> {
    block: RawBlock<'s>,
    txids: &'s mut Vec<[u8; 32]>,
    stripped: &'s mut Vec<u8>,
}

impl Probe for EveryTransaction<'_> {
    fn input(&mut self, _: u64, _: u32) -> bool {
        true
    }

    fn output(&mut self, _: u64) -> bool {
        true
    }

    fn short_output(&mut self, _: &[u8]) -> bool {
        true
    }

    fn found(&mut self, transaction: TxBounds) {
        strip(self.block, transaction, self.stripped);
        self.txids.push(sha256d::Hash::hash(self.stripped).to_byte_array());
    }
}
