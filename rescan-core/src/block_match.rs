//! Matching one block in a single call, for a wallet that leaves no state on the server: the
//! request and the answer.
//!
//! [`matching`](crate::watching::matching) implements the match. Only the server knows the active
//! chain.

use bitcoin::{OutPoint, ScriptBuf};

use crate::report::{BlockId, Failure, Refusal};

/// The entries to look for in a block. Every call carries all of them; each list is numbered in its
/// order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchEntries {
    /// Scripts that an output may pay.
    pub scripts: Vec<ScriptBuf>,
    /// Coins that an input may spend.
    pub outpoints: Vec<OutPoint>,
}

/// The result of matching one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockMatch {
    /// The block was found; this is the match.
    Answered(MatchedBlock),
    /// The caller's mistake, or a block that is not in the active chain.
    Refused(Refusal),
    /// A part of the system is broken.
    Failed(Failure),
}

/// A block of the active chain, and whether it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedBlock {
    /// The block.
    pub block: BlockId,
    /// The next block in the same chain; none if the block is the tip.
    pub next: Option<BlockId>,
    /// The match.
    pub content: MatchContent,
}

/// The match of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchContent {
    /// Nothing in it matches.
    Nothing,
    /// Some transaction matches: the whole block in consensus serialisation, with witnesses.
    Block(Vec<u8>),
    /// The node has pruned it.
    NotOnDisk,
}
