//! Proof that a block belongs to its header: the ids of its transactions hash to the header's
//! merkle root.
//!
//! A proof costs five to nine times the walk, nearly all of it SHA-256. It is made for reported
//! blocks, or for all on request. Signatures, scripts and amounts are not checked: the node checked
//! them before it wrote the block. The merkle root does not cover witnesses; they are proven
//! separately, on request.

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

/// The reason why a block is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unproven {
    /// The block is malformed.
    #[error("the block {0}")]
    Malformed(#[from] Malformed),
    /// Its transactions are not those of its header.
    #[error("the transactions hash to the merkle root {found}, expected {expected} as in the header")]
    MerkleRoot {
        /// The root in the header.
        expected: TxMerkleNode,
        /// The root of the transactions.
        found: TxMerkleNode,
    },
    /// Two neighbours in the merkle tree are equal: transactions were repeated without changing the
    /// root (CVE-2012-2459).
    #[error("the merkle tree repeats the node {0}")]
    RepeatedNode(TxMerkleNode),
    /// A report names a transaction that the block does not have at that index.
    #[error("transaction {tx_index} was reported as {reported}, which is another transaction")]
    ForeignReport {
        /// Its index in the block.
        tx_index: u32,
        /// The txid in the report.
        reported: Txid,
    },
    /// The block does not have the requested transaction.
    #[error("no transaction {tx_index}: the block has {count}")]
    NoSuchTransaction {
        /// The requested index.
        tx_index: u32,
        /// Number of transactions in the block; 0 if none was proven.
        count: usize,
    },
    /// The coinbase commits to other witnesses (BIP141).
    #[error("the witnesses hash to the commitment {found}, expected {expected} as in the coinbase")]
    WitnessCommitment {
        /// The commitment in the coinbase.
        expected: WitnessCommitment,
        /// The commitment computed from the witnesses.
        found: WitnessCommitment,
    },
    /// The coinbase commits to witnesses, but its own witness is not a reserved value (BIP141).
    #[error(
        "the coinbase commits to witnesses, and its own witness has {items} items of {bytes} bytes in all, expected 1 of 32"
    )]
    ReservedValue {
        /// Number of items in the witness of its first input.
        items: u64,
        /// Number of bytes in those items.
        bytes: u64,
    },
    /// There are witnesses, but no commitment in the coinbase: anyone could have added them.
    #[error("transaction {tx_index} has a witness, but the coinbase has no witness commitment")]
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

/// Transactions are hashed together once they take this many bytes. With fewer, the last of a
/// batch, which is hashed alone, would count; with more, they would leave the L1 and L2 cache.
const BATCH_BYTES: usize = 64 * 1024;

/// Proves blocks. Buffers are reused from block to block.
#[derive(Debug, Default)]
pub struct Prover {
    txids: Vec<Digest>,
    level: Vec<Digest>,
    messages: Messages,
    transaction: Vec<u8>,
    bounds: Vec<TxBounds>,
    /// The root over `txids`, if a proven block has them.
    proven: Option<TxMerkleNode>,
}

impl Prover {
    /// Proves that `block` holds the transactions of its header, and that each of `reports` is one
    /// of them.
    ///
    /// # Errors
    /// [`Unproven`], with the expected and the found.
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

    /// The ids of the transactions of the block proven last, in order.
    pub fn txids(&self) -> impl ExactSizeIterator<Item = Txid> {
        self.txids.iter().map(|txid| Txid::from_byte_array(*txid))
    }

    /// The merkle branch of the transaction at `tx_index` in the block that [`prove`](Self::prove)
    /// proved last. None if it has no such transaction, or if the last proof failed.
    ///
    /// For several transactions, [`branches`](Self::branches) hashes the tree once.
    pub fn branch(&mut self, tx_index: u32) -> Option<MerkleBranch> {
        self.branches(&[tx_index]).ok()?.pop()
    }

    /// The merkle branches of the transactions at `tx_indexes`, in that order, in the block that
    /// [`prove`](Self::prove) proved last. The tree is hashed again, one hash for each transaction,
    /// since `prove` keeps only the ids.
    ///
    /// # Errors
    /// [`Unproven::NoSuchTransaction`] if the block does not have one of them; a block that was not
    /// proven has none.
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

    /// Proves that the coinbase of `block` commits to its witnesses (BIP141). Proves the
    /// transactions first, unless the block was proven last. Costs about as much as
    /// [`prove`](Self::prove), and reads the whole block.
    ///
    /// The rule is that of Bitcoin Core's `CheckWitnessMalleation` (`src/validation.cpp`), except
    /// for the height from which it holds, which a block does not show: a commitment without any
    /// witness passes. Miners made such blocks before segwit was active. A later block that lost
    /// every witness, the coinbase's too, looks the same.
    ///
    /// # Errors
    /// [`Unproven`], with the expected and the found.
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

    /// The transactions at `tx_indexes`, in that order, with witnesses and without obfuscation.
    ///
    /// They are not proven; [`prove`](Self::prove) and [`prove_witnesses`](Self::prove_witnesses)
    /// do that.
    ///
    /// # Errors
    /// [`Unproven::Malformed`] if the bytes are not a block, [`Unproven::NoSuchTransaction`] if it
    /// does not have one of them.
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

    /// Proves the block of `coinbase`, unless it was proven last: same root in the header and same
    /// coinbase. The coinbase's commitment needs no other transaction.
    fn prove_coinbase(&mut self, block: RawBlock<'_>, coinbase: TxBounds) -> Result<(), Unproven> {
        let txid = hash_stripped(block, coinbase, &mut self.transaction);
        if self.proven == Some(header_merkle_root(block)?) && self.txids.first() == Some(&txid) {
            return Ok(());
        }
        self.prove(block, &[])
    }

    /// Fills `level` with the hashes under the witness commitment. The coinbase, which holds the
    /// commitment, counts as zeros.
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

/// Whether `transaction` is serialised with marker and flag. Core reads no such transaction without
/// a witness, so the witnesses need not be examined.
fn has_witness(transaction: &TxBounds) -> bool {
    transaction.body > transaction.start.saturating_add(4)
}

/// Appends the hashes of `messages` to `hashes` and clears `messages`.
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

/// Passes every transaction to a closure.
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
