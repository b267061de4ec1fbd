//! One block against what a single call brings along: the question of a wallet that leaves no state on the server, and the
//! answer to it.
//!
//! How it is matched is [`matching`](crate::watching::matching)'s; which chain is active only the server knows.

use bitcoin::{OutPoint, ScriptBuf};

use crate::report::{BlockId, Failure, Refusal};

/// What a wallet looks for in a block. It travels whole with every call, and is numbered in the order in which it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchEntries {
    /// Scripts that an output may pay.
    pub scripts: Vec<ScriptBuf>,
    /// Coins that an input may spend.
    pub outpoints: Vec<OutPoint>,
}

/// What asking about one block comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockMatch {
    /// The block was looked for, and this is what became of it.
    Answered(MatchedBlock),
    /// The caller's mistake, or a block that is not in the active chain.
    Refused(Refusal),
    /// Something is broken.
    Failed(Failure),
}

/// A block of the active chain, and whether it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedBlock {
    /// Which block.
    pub block: BlockId,
    /// The block after it in the same chain; none where it is the tip.
    pub next: Option<BlockId>,
    /// What came of it.
    pub content: MatchContent,
}

/// What came of matching a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchContent {
    /// Nothing in it matches.
    Nothing,
    /// Something does: the whole block, in the consensus serialisation with witnesses.
    Block(Vec<u8>),
    /// The node has pruned it.
    NotOnDisk,
}
