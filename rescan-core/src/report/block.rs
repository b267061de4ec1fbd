//! Matches of one block, as reports and whole blocks carry them.

use bitcoin::block::Header;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, TxMerkleNode, Txid};

use crate::position::Height;

/// Height and hash of a block in the active chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// The time in its header, in seconds since 1970.
    pub time: u32,
}

/// The matches of one block. Only blocks that match are reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockReport {
    /// Its height in the chain that the scan is pinned to.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// The time in its header, in seconds since 1970.
    pub time: u32,
    /// Whether the block was scanned before, and is reported again for scripts watched since. The
    /// report carries the new matches alone: see [`history`](crate::history).
    pub is_late: bool,
    /// Its header, if merkle branches were requested.
    pub header: Option<Header>,
    /// Its matching transactions, by ascending index in the block; never empty.
    pub transactions: Vec<TransactionReport>,
}

/// One transaction that touches the watch set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionReport {
    /// Its index in the block, the coinbase being 0.
    pub tx_index: u32,
    /// Its id.
    pub txid: Txid,
    /// The outputs that pay a watched script, by ascending vout.
    pub received: Vec<Received>,
    /// The inputs that spend a watched coin, by ascending vin.
    pub spent: Vec<Spent>,
    /// Its consensus serialisation with witnesses, if requested.
    pub raw: Option<Vec<u8>>,
    /// Its siblings in the merkle tree from the transaction up to the root, if requested.
    pub merkle_branch: Option<Vec<TxMerkleNode>>,
}

/// An output that pays a watched script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its index in the transaction.
    pub vout: u32,
    /// Its value.
    pub value: Amount,
    /// The script it pays.
    pub script_pubkey: ScriptBuf,
    /// The entries of the watch set that this script belongs to, ascending; never empty.
    pub origins: Vec<Origin>,
}

/// An input that spends a watched coin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Its index in the transaction.
    pub vin: u32,
    /// The coin it spends.
    pub prevout: OutPoint,
    /// The value of that coin, if it was found in the range or given.
    pub value: Option<Amount>,
    /// The entries of the watch set that this coin belongs to, ascending; never empty.
    pub origins: Vec<Origin>,
}

/// The entry of the watch set that a match belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A script of a keychain.
    Keychain {
        /// The number of the keychain, from 0 in the order in which they were added.
        keychain: u32,
        /// The derivation index; none if the descriptor is not ranged.
        index: Option<u32>,
    },
    /// A given script, by its number.
    Script(u32),
    /// A given outpoint, by its number.
    Outpoint(u32),
}

/// Adds origins to those of the same script or coin: ascending, each once, as in a report.
pub fn merge_origins(known: &mut Vec<Origin>, more: Vec<Origin>) {
    known.extend(more);
    known.sort_unstable();
    known.dedup();
}

/// A whole block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullBlock {
    /// Its height in the chain that the request is pinned to.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// Its consensus serialisation with witnesses.
    pub data: Vec<u8>,
}
