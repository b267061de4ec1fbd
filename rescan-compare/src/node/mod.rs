//! Ways to rescan that ask a running node itself, over its JSON-RPC: rows of the same table, for whoever gives its address
//! and its cookie file.
//!
//! Nothing here depends on the node being the one whose files the server reads: `Node::check` shows that it has the same
//! blocks, and a way that it cannot go is left out with a sentence. Calls that change anything on the node are not made.
//!
//! In the order in which it is used: [`Address`] and cookie, the `http` transport that counts what crosses, the [`Node`], and
//! what it is asked: `scan_blocks` with its `activity`, or `get_block`.

mod activity;
mod address;
mod asked;
mod error;
mod get_block;
mod http;
mod process;
mod scan_blocks;

#[cfg(test)]
mod tests;

pub use self::address::{Address, AddressError};
pub use self::asked::Node;
pub use self::error::NodeError;

use super::comparison::WayId;
use super::error::CompareError;
use super::ways::{Gone, Ground};

/// A way that asks the node, in the order in which a table shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NodeWay {
    ScanBlocks,
    GetBlock,
}

impl NodeWay {
    pub(crate) const ALL: [Self; 2] = [Self::ScanBlocks, Self::GetBlock];

    /// Its name in a report.
    pub(crate) fn id(self) -> WayId {
        match self {
            Self::ScanBlocks => WayId::NodeScanBlocks,
            Self::GetBlock => WayId::NodeGetBlock,
        }
    }

    /// Goes it once.
    ///
    /// # Errors
    /// [`CompareError`] where it does not come to an answer over the pinned blocks, for a reason that does not lie in what
    /// the node can do: that is [`Gone::LeftOut`].
    pub(crate) async fn go(self, ground: Ground<'_, &Node>) -> Result<Gone, CompareError> {
        let gone = match self {
            Self::ScanBlocks => scan_blocks::go(ground).await,
            Self::GetBlock => get_block::go(ground).await,
        };
        match gone {
            Err(CompareError::Node(error)) if error.is_lack() => Ok(Gone::LeftOut(error.to_string())),
            gone => gone,
        }
    }
}
