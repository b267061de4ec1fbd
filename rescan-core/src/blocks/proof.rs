//! Proof that a block is what its header says: the ids of its transactions hash to the header's merkle root.
//!
//! This costs five to nine times the walk, nearly all of it SHA-256, and is done for blocks that are reported (or for
//! all, where asked). It does not check signatures, scripts or amounts: the node did that before it wrote the block.
//! What a header's merkle root does not cover, the witnesses, is proven apart from that, and only where asked.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{TxMerkleNode, Txid, WitnessCommitment};
use rescan_hash::{Digest, Implementation, Messages};

use crate::blocks::cursor::Malformed;
use crate::blocks::merkle::{self, MerkleBranch, RepeatedNode};
use crate::blocks::obfuscation::RawBlock;
use crate::blocks::transaction::{copy_whole, copy_whole_into, strip, strip_into, stripped_bytes, whole_bytes};
use crate::blocks::walk::{Probe, TxBounds, walk};
use crate::report::TransactionReport;

mod witness_commitment;

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
    /// A transaction is asked for that the block does not have.
    #[error("transaction {tx_index} was asked for, and the block has {count}")]
    NoSuchTransaction {
        /// The index that was asked for.
        tx_index: u32,
        /// How many transactions the block has, or 0 where none was proven.
        count: usize,
    },
    /// The coinbase commits to other witnesses (BIP141).
    #[error("the witnesses hash to the commitment {found}, and the coinbase says {expected}")]
    WitnessCommitment {
        /// What the coinbase says.
        expected: WitnessCommitment,
        /// What the witnesses give.
        found: WitnessCommitment,
    },
    /// The coinbase commits to witnesses, and its own does not say with what (BIP141).
    #[error(
        "the coinbase commits to witnesses, which takes a witness item of 32 bytes, and its witness has {items} of {bytes} in all"
    )]
    ReservedValue {
        /// How many items the witness of its first input has.
        items: u64,
        /// How many bytes they have together.
        bytes: u64,
    },
    /// There are witnesses, and the coinbase commits to none: anybody could have put them there.
    #[error("transaction {tx_index} has a witness, and the coinbase commits to none")]
    UncommittedWitness {
        /// The first such transaction.
        tx_index: u32,
    },
}

impl From<RepeatedNode> for Unproven {
    fn from(RepeatedNode(node): RepeatedNode) -> Self {
        Self::RepeatedNode(node)
    }
}

/// Transactions are hashed together as soon as they take this many bytes: enough that it hardly counts when at the end of a
/// batch one goes alone, and little enough that they are still in the processor's L1 or L2 cache.
const BATCH_BYTES: usize = 64 * 1024;

/// Proves blocks; keeps its buffers from block to block.
#[derive(Debug, Default)]
pub struct Prover {
    txids: Vec<Digest>,
    level: Vec<Digest>,
    messages: Messages,
    transaction: Vec<u8>,
    bounds: Vec<TxBounds>,
    /// The root over `txids`, where they are those of a block that was proven.
    proven: Option<TxMerkleNode>,
}

impl Prover {
    /// Proves that `block` holds the transactions of its header, and that each of `reports` is one of them.
    ///
    /// # Errors
    /// [`Unproven`], with what was expected and found.
    pub fn prove(&mut self, block: RawBlock<'_>, reports: &[TransactionReport]) -> Result<(), Unproven> {
        self.proven = None;
        self.hash_transactions(block)?;
        self.level.clone_from(&self.txids);
        let found = merkle::root(&mut self.level)?.ok_or(Malformed::NoTransactions)?;
        let found = TxMerkleNode::from_byte_array(found);
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
        self.proven = Some(found);
        Ok(())
    }

    /// The ids of the transactions of the block that was proven last, in order.
    pub fn txids(&self) -> impl ExactSizeIterator<Item = Txid> {
        self.txids.iter().map(|txid| Txid::from_byte_array(*txid))
    }

    /// The merkle branch of the transaction at `tx_index` in the block that [`prove`](Self::prove) proved last; none if
    /// it has no such transaction, or if the last proof failed.
    ///
    /// For several of one block, [`branches`](Self::branches) hashes the tree once.
    pub fn branch(&mut self, tx_index: u32) -> Option<MerkleBranch> {
        self.branches(&[tx_index]).ok()?.pop()
    }

    /// The merkle branches of the transactions at `tx_indexes`, in that order, in the block that [`prove`](Self::prove)
    /// proved last. They cost the tree once more, a hash a transaction, since `prove` keeps nothing of it.
    ///
    /// # Errors
    /// [`Unproven::NoSuchTransaction`] where the block does not have one of them; a block that was not proven has none.
    pub fn branches(&mut self, tx_indexes: &[u32]) -> Result<Vec<MerkleBranch>, Unproven> {
        let count = if self.proven.is_some() { self.txids.len() } else { 0 };
        if let Some(&tx_index) = tx_indexes.iter().find(|tx_index| **tx_index as usize >= count) {
            return Err(Unproven::NoSuchTransaction { tx_index, count });
        }
        if tx_indexes.is_empty() {
            return Ok(Vec::new());
        }
        self.level.clone_from(&self.txids);
        Ok(merkle::branches(&mut self.level, tx_indexes)?)
    }

    /// Proves that the witnesses in `block` are those that its coinbase commits to (BIP141), the transactions first,
    /// unless they are those that were proven last. Costs about what [`prove`](Self::prove) does, and reads the whole
    /// block.
    ///
    /// The rule is that of Bitcoin Core's `CheckWitnessMalleation` (`src/validation.cpp`), but for the height from which
    /// it holds, which a block does not tell: a commitment without a single witness is let pass. Miners made such
    /// blocks before segwit was active; later there are none, but a block that lost every witness, the coinbase's too,
    /// looks the same.
    ///
    /// # Errors
    /// [`Unproven`], with what was expected and found.
    pub fn prove_witnesses(&mut self, block: RawBlock<'_>) -> Result<(), Unproven> {
        self.find_transactions(block)?;
        let coinbase = self.bounds.first().copied().ok_or(Malformed::NoTransactions)?;
        self.prove_coinbase(block, coinbase)?;
        let with_witness = self.bounds.iter().find(|transaction| has_witness(transaction));
        let Some(&TxBounds { tx_index, .. }) = with_witness else { return Ok(()) };
        copy_whole(block, coinbase, &mut self.transaction);
        let commitment = witness_commitment::read(&self.transaction, coinbase)?;
        let commitment = commitment.ok_or(Unproven::UncommittedWitness { tx_index })?;
        self.hash_whole_transactions(block);
        let root = merkle::root(&mut self.level)?.ok_or(Malformed::NoTransactions)?;
        commitment.check(root)
    }

    /// The transactions at `tx_indexes`, in that order, as the node wrote them: with their witnesses, in the clear.
    ///
    /// Nothing of them is proven; [`prove`](Self::prove) and [`prove_witnesses`](Self::prove_witnesses) do that.
    ///
    /// # Errors
    /// [`Unproven::Malformed`] where the bytes are not a block, [`Unproven::NoSuchTransaction`] where it does not have
    /// one of them.
    pub fn raw_transactions(&mut self, block: RawBlock<'_>, tx_indexes: &[u32]) -> Result<Vec<Vec<u8>>, Unproven> {
        self.find_transactions(block)?;
        let raw = tx_indexes.iter().map(|&tx_index| {
            let missing = Unproven::NoSuchTransaction { tx_index, count: self.bounds.len() };
            let bounds = self.bounds.get(tx_index as usize).ok_or(missing)?; // 32 bits fit
            let mut bytes = Vec::new();
            copy_whole(block, *bounds, &mut bytes);
            Ok(bytes)
        });
        raw.collect()
    }

    fn hash_transactions(&mut self, block: RawBlock<'_>) -> Result<(), Malformed> {
        let Self { txids, messages, .. } = self;
        txids.clear();
        messages.clear();
        let add = |transaction| {
            strip_into(block, transaction, messages.push(stripped_bytes(transaction)));
            if messages.padded_bytes() >= BATCH_BYTES {
                hash_batch(messages, txids);
            }
        };
        walk(block, &mut EveryTransaction(add))?;
        hash_batch(messages, txids);
        Ok(())
    }

    fn find_transactions(&mut self, block: RawBlock<'_>) -> Result<(), Malformed> {
        self.bounds.clear();
        walk(block, &mut EveryTransaction(|transaction| self.bounds.push(transaction)))
    }

    /// Proves the block of `coinbase`, unless it is the one that was proven last: same root in the header, and the same
    /// transaction below it. What the coinbase commits to needs no other of them.
    fn prove_coinbase(&mut self, block: RawBlock<'_>, coinbase: TxBounds) -> Result<(), Unproven> {
        let txid = hash_stripped(block, coinbase, &mut self.transaction);
        if self.proven == Some(header_merkle_root(block)?) && self.txids.first() == Some(&txid) {
            return Ok(());
        }
        self.prove(block, &[])
    }

    /// Writes over `level` what the witness commitment covers: the coinbase, which holds it, counts as zeros.
    fn hash_whole_transactions(&mut self, block: RawBlock<'_>) {
        let Self { level, messages, .. } = self;
        level.clear();
        level.push([0; 32]);
        messages.clear();
        for transaction in self.bounds.iter().skip(1) {
            copy_whole_into(block, *transaction, messages.push(whole_bytes(*transaction)));
            if messages.padded_bytes() >= BATCH_BYTES {
                hash_batch(messages, level);
            }
        }
        hash_batch(messages, level);
    }
}

/// Whether `transaction` is written with marker and flag. Core reads none that is and has no witness, so that nothing
/// is asked about the witnesses themselves.
fn has_witness(transaction: &TxBounds) -> bool {
    transaction.body > transaction.start.saturating_add(4)
}

/// Appends the hashes of `messages`, which are used up, to `hashes`.
fn hash_batch(messages: &mut Messages, hashes: &mut Vec<Digest>) {
    Implementation::fastest().hash_messages(messages, hashes);
    messages.clear();
}

fn hash_stripped(block: RawBlock<'_>, transaction: TxBounds, stripped: &mut Vec<u8>) -> [u8; 32] {
    strip(block, transaction, stripped);
    sha256d::Hash::hash(stripped).to_byte_array()
}

fn header_merkle_root(block: RawBlock<'_>) -> Result<TxMerkleNode, Malformed> {
    let header = block.header().ok_or(Malformed::TooShort { at: block.bytes().len(), needed: 80 })?;
    let root = header.get(36..).and_then(|rest| rest.first_chunk::<32>()).copied().unwrap_or_default();
    Ok(TxMerkleNode::from_byte_array(root))
}

/// Shows each transaction as it passes.
struct EveryTransaction<F>(F);

impl<F: FnMut(TxBounds)> Probe for EveryTransaction<F> {
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
        (self.0)(transaction);
    }
}
