//! The merkle tree of a block: its root, and the branches that prove to a wallet, with the header
//! alone, that a transaction is in the block.
//!
//! The tree is Bitcoin Core's (`src/consensus/merkle.cpp`): a node is the double SHA-256 of the two
//! below it, and a level of odd length repeats its last node. The hashes leave two ways to forge:
//!
//! - Repeated nodes (CVE-2012-2459): transactions at the end of a block can be doubled without
//!   changing the root. In a valid tree no node equals its left neighbour, and a branch with such a
//!   node is refused.
//! - Nodes and transactions look alike (CVE-2017-12842): an inner node is the hash of 64 bytes, and
//!   so is the id of a transaction of 64 bytes. A branch alone does not show at which it starts.
//!   [`verify_branch`] describes the defence.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

use bitcoin::block::Header;
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{TxMerkleNode, Txid};
use rescan_hash::Implementation;

/// The siblings on the path from one transaction to the root, bottom up; empty if the block has one
/// transaction. A node without a right neighbour is its own sibling.
pub type MerkleBranch = Vec<TxMerkleNode>;

/// Most nodes in a branch: with more, an index of 32 bits would not determine its position in the
/// tree. A block within the consensus limit of 4,000,000 weight units needs 15.
pub const BRANCH_NODES_MAX: usize = 32;

/// The reason why a branch does not prove that a transaction is in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BranchError {
    /// The branch leads to another root: wrong transaction, position or block.
    #[error("the merkle branch leads to the root {found}, expected {expected} as in the header")]
    WrongRoot {
        /// The root in the header.
        expected: TxMerkleNode,
        /// The root of the branch.
        found: TxMerkleNode,
    },
    /// A tree of that depth has no such position.
    #[error("a merkle branch of {nodes} nodes cannot start at transaction {tx_index}")]
    NoSuchPlace {
        /// The claimed index.
        tx_index: u32,
        /// Number of nodes in the branch.
        nodes: usize,
    },
    /// No block is that deep.
    #[error("the merkle branch has {nodes} nodes, expected at most {BRANCH_NODES_MAX}")]
    TooLong {
        /// Number of nodes in the branch.
        nodes: usize,
    },
    /// A node on the path equals its left neighbour: the position is after the block's last
    /// transaction (CVE-2012-2459).
    #[error("the merkle branch repeats the node {0}: the transaction is at a lower index, if at all")]
    RepeatedNode(TxMerkleNode),
}

/// Two neighbours in a merkle tree are equal (CVE-2012-2459).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RepeatedNode(pub(crate) TxMerkleNode);

/// The root that `branch` leads to from the transaction `txid` at `tx_index`.
///
/// Checks nothing; see [`verify_branch`].
#[must_use]
pub fn root_from_branch(txid: Txid, tx_index: u32, branch: &[TxMerkleNode]) -> TxMerkleNode {
    let (root, _) = climb(txid, tx_index, branch);
    root
}

/// Checks that `branch` leads from the transaction `txid` at `tx_index` to the merkle root of
/// `header`.
///
/// The header is not checked: the caller knows that it is in the chain. If `txid` is known to be
/// the id of a transaction, that transaction is in the block at that position. To be sure of the
/// id:
///
/// - Hash the whole transaction, and refuse one of 64 bytes without witnesses: such bytes can be
///   those of an inner node, and the transaction may not exist (CVE-2017-12842). With an input and
///   an output, 64 bytes leave four for scripts: no key or hash of a wallet fits.
/// - A miner may put a transaction of 64 bytes into a block to pass it off as an inner node. To
///   detect that, verify the branch of the block's coinbase (index 0) too, from the whole coinbase
///   transaction: all branches of a block have the same length, and a forged one is longer.
///
/// # Errors
/// [`BranchError`] if it does not lead to the root, or could not start at that position.
pub fn verify_branch(header: &Header, txid: Txid, tx_index: u32, branch: &[TxMerkleNode]) -> Result<(), BranchError> {
    let nodes = branch.len();
    if nodes > BRANCH_NODES_MAX {
        return Err(BranchError::TooLong { nodes });
    }
    if path_at(tx_index, nodes) != 0 {
        return Err(BranchError::NoSuchPlace { tx_index, nodes });
    }
    let (found, repeated) = climb(txid, tx_index, branch);
    let expected = header.merkle_root;
    if found != expected {
        return Err(BranchError::WrongRoot { expected, found });
    }
    repeated.map_or(Ok(()), |RepeatedNode(node)| Err(BranchError::RepeatedNode(node)))
}

/// The root of `branch`, and the node on the path that equals its left neighbour, if there is one.
fn climb(txid: Txid, tx_index: u32, branch: &[TxMerkleNode]) -> (TxMerkleNode, Option<RepeatedNode>) {
    let mut node = txid.to_byte_array();
    let mut repeated = None;
    for (levels_up, beside) in branch.iter().enumerate() {
        let is_right = path_at(tx_index, levels_up) & 1 == 1;
        // A left node may equal its neighbour at the end of a level of odd length.
        if is_right && node == *beside.as_byte_array() {
            repeated = Some(RepeatedNode(*beside));
        }
        let (left, right) = if is_right { (*beside.as_byte_array(), node) } else { (node, *beside.as_byte_array()) };
        node = hash_pair(left, right);
    }
    (TxMerkleNode::from_byte_array(node), repeated)
}

/// The position of the ancestor of `tx_index` in the level that is `levels_up` above the
/// transactions.
fn path_at(tx_index: u32, levels_up: usize) -> u32 {
    u32::try_from(levels_up).ok().and_then(|levels_up| tx_index.checked_shr(levels_up)).unwrap_or(0)
}

/// The root over `level`, which is consumed; none if it is empty.
pub(crate) fn root(level: &mut Vec<[u8; 32]>) -> Result<Option<[u8; 32]>, RepeatedNode> {
    while level.len() > 1 {
        rise(level)?;
    }
    Ok(level.first().copied())
}

/// The branches of the nodes of `level` at `positions`, which must be within it, in one pass over
/// the tree. `level` is consumed.
pub(crate) fn branches(level: &mut Vec<[u8; 32]>, positions: &[u32]) -> Result<Vec<MerkleBranch>, RepeatedNode> {
    let mut branches = vec![MerkleBranch::new(); positions.len()];
    let mut levels_up = 0_usize;
    while level.len() > 1 {
        for (branch, position) in branches.iter_mut().zip(positions) {
            let at = path_at(*position, levels_up) as usize; // 32 bits fit
            let beside = level.get(at ^ 1).or_else(|| level.get(at)).copied().unwrap_or_default();
            branch.push(TxMerkleNode::from_byte_array(beside));
        }
        rise(level)?;
        levels_up = levels_up.saturating_add(1);
    }
    Ok(branches)
}

/// Replaces `level` by the level above it.
fn rise(level: &mut Vec<[u8; 32]>) -> Result<(), RepeatedNode> {
    let (pairs, alone) = level.as_chunks::<2>();
    if let Some([left, _]) = pairs.iter().find(|[left, right]| left == right) {
        return Err(RepeatedNode(TxMerkleNode::from_byte_array(*left)));
    }
    level.extend(alone.first().copied());
    Implementation::fastest().hash_pairs(level);
    Ok(())
}

/// The parent of two nodes.
fn hash_pair(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    let mut pair = [0; 64];
    let (first, second) = pair.split_at_mut(32);
    first.copy_from_slice(&left);
    second.copy_from_slice(&right);
    sha256d::Hash::hash(&pair).to_byte_array()
}
