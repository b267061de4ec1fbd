//! The merkle tree of a block: its root, and the branches by which a wallet checks, with nothing but the header, that
//! a transaction is in the block.
//!
//! The tree is Bitcoin Core's (`src/consensus/merkle.cpp`): a node is the double SHA-256 of the two below it, and a
//! level of odd length repeats its last node. That leaves two ways to tell a lie, and neither is inside the hashes:
//!
//! - Repeated nodes (CVE-2012-2459): transactions at the end of a block can be doubled without a change of the root. No
//!   node of a tree here equals its left neighbour, and a branch that says so is refused.
//! - Nodes and transactions look alike (CVE-2017-12842): an inner node is the hash of 64 bytes, and so is the id of a
//!   transaction of 64 bytes. A branch alone does not say which it starts at. What a caller can do about that stands at
//!   [`verify_branch`].

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

use bitcoin::block::Header;
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{TxMerkleNode, Txid};
use rescan_hash::Implementation;

/// What stands beside the path from one transaction to the root, bottom up: empty where the block has one transaction
/// only. A node without a right neighbour stands beside itself.
pub type MerkleBranch = Vec<TxMerkleNode>;

/// How many nodes a branch has at most: with more, an index of 32 bits would not say where in the tree it starts. A
/// block within the consensus limit of 4,000,000 weight units needs 15.
pub const BRANCH_NODES_MAX: usize = 32;

/// Why a branch does not show that a transaction is in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BranchError {
    /// It leads elsewhere than to the header: not this transaction, not this place, or not this block.
    #[error("the merkle branch leads to the root {found}, and the header says {expected}")]
    WrongRoot {
        /// What the header says.
        expected: TxMerkleNode,
        /// Where the branch leads.
        found: TxMerkleNode,
    },
    /// A tree of that depth has no such place.
    #[error("a merkle branch of {nodes} nodes has no transaction {tx_index}")]
    NoSuchPlace {
        /// The index that was claimed.
        tx_index: u32,
        /// How many nodes the branch has.
        nodes: usize,
    },
    /// No block is that deep.
    #[error("the merkle branch has {nodes} nodes, more than {BRANCH_NODES_MAX}")]
    TooLong {
        /// How many nodes the branch has.
        nodes: usize,
    },
    /// A node on the way equals its left neighbour: the place is behind the block's last transaction (CVE-2012-2459).
    #[error("the merkle branch repeats the node {0}: the transaction is at a lower index, if at all")]
    RepeatedNode(TxMerkleNode),
}

/// Two neighbours in a merkle tree are equal (CVE-2012-2459).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RepeatedNode(pub(crate) TxMerkleNode);

/// Where `branch` leads from the transaction `txid` at `tx_index`: the root of the block that has it there.
///
/// It checks nothing; [`verify_branch`] does.
#[must_use]
pub fn root_from_branch(txid: Txid, tx_index: u32, branch: &[TxMerkleNode]) -> TxMerkleNode {
    let (root, _) = climb(txid, tx_index, branch);
    root
}

/// Checks that `branch` leads from the transaction `txid` at `tx_index` to the merkle root of `header`.
///
/// The header itself is not checked: whoever asks knows that it is in the chain. If it is, and if `txid` is known to be
/// the id of a transaction, then that transaction is in the block at that place. To know it:
///
/// - Have the whole transaction, hash it, and refuse one that has 64 bytes without witnesses: such bytes can be those of
///   an inner node, and the transaction one that never was (CVE-2017-12842). With an input and an output, 64 bytes
///   leave four for scripts: no key or hash of a wallet's fits.
/// - Against a miner who puts a transaction of 64 bytes into a block to pass it off as an inner node, verify the branch
///   of the block's coinbase (index 0) too, from the whole coinbase transaction: all branches of a block have the same
///   length, and a faked one is longer.
///
/// # Errors
/// [`BranchError`], where it does not lead there or could not lead from there.
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

/// The root of `branch`, and the node on the way, if there is one, that equals its left neighbour.
fn climb(txid: Txid, tx_index: u32, branch: &[TxMerkleNode]) -> (TxMerkleNode, Option<RepeatedNode>) {
    let mut node = txid.to_byte_array();
    let mut repeated = None;
    for (levels_up, beside) in branch.iter().enumerate() {
        let is_right = path_at(tx_index, levels_up) & 1 == 1;
        // A left node may equal its neighbour: so ends a level of odd length.
        if is_right && node == *beside.as_byte_array() {
            repeated = Some(RepeatedNode(*beside));
        }
        let (left, right) = if is_right { (*beside.as_byte_array(), node) } else { (node, *beside.as_byte_array()) };
        node = hash_pair(left, right);
    }
    (TxMerkleNode::from_byte_array(node), repeated)
}

/// The position of the node above `tx_index` in the level that is `levels_up` from the transactions.
fn path_at(tx_index: u32, levels_up: usize) -> u32 {
    u32::try_from(levels_up).ok().and_then(|levels_up| tx_index.checked_shr(levels_up)).unwrap_or(0)
}

/// The root over `level`, which is used up; none over nothing.
pub(crate) fn root(level: &mut Vec<[u8; 32]>) -> Result<Option<[u8; 32]>, RepeatedNode> {
    while level.len() > 1 {
        rise(level)?;
    }
    Ok(level.first().copied())
}

/// The branches of the nodes of `level` at `positions`, which are all within it, in one pass over the tree. `level` is
/// used up.
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

/// Puts the level above `level` into its place.
fn rise(level: &mut Vec<[u8; 32]>) -> Result<(), RepeatedNode> {
    let (pairs, alone) = level.as_chunks::<2>();
    if let Some([left, _]) = pairs.iter().find(|[left, right]| left == right) {
        return Err(RepeatedNode(TxMerkleNode::from_byte_array(*left)));
    }
    level.extend(alone.first().copied());
    Implementation::fastest().hash_pairs(level);
    Ok(())
}

/// The node above two.
fn hash_pair(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    let mut pair = [0; 64];
    let (first, second) = pair.split_at_mut(32);
    first.copy_from_slice(&left);
    second.copy_from_slice(&right);
    sha256d::Hash::hash(&pair).to_byte_array()
}
