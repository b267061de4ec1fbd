//! The methods of rescanning that are compared, with the words for each.

use serde::{Deserialize, Serialize};

/// A method of rescanning, in the order of a table. Its name in `report.json` does not change
/// between versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The server filters and sends summaries of matches.
    Summaries,
    /// The server sends whole blocks; the wallet filters them with the server's own matcher.
    BlocksMatched,
    /// The server sends whole blocks; the wallet decodes each with the `bitcoin` crate and
    /// compares.
    BlocksDecoded,
    /// One request a block, each with the whole script set.
    RequestPerBlock,
    /// The node's `scanblocks` over its block filters, then `getdescriptoractivity`.
    NodeScanBlocks,
    /// The node's `getblock`, block by block, decoded with the `bitcoin` crate.
    NodeGetBlock,
}

impl Method {
    /// Methods over rescan's own socket.
    pub(crate) const OF_SERVER: [Self; 4] =
        [Self::Summaries, Self::BlocksMatched, Self::BlocksDecoded, Self::RequestPerBlock];

    /// Methods over a node's RPC.
    pub(crate) const OF_NODE: [Self; 2] = [Self::NodeScanBlocks, Self::NodeGetBlock];

    /// Its name in a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Summaries => "summaries",
            Self::BlocksMatched => "blocks, matched by the wallet",
            Self::BlocksDecoded => "blocks, decoded by the wallet",
            Self::RequestPerBlock => "a request for each block",
            Self::NodeScanBlocks => "the node's scanblocks",
            Self::NodeGetBlock => "the node's getblock",
        }
    }

    /// Its steps, and the respects in which it is favoured.
    pub(crate) fn explanation(self) -> &'static str {
        match self {
            Self::Summaries => {
                "The server filters the blocks, proves matching ones against their headers, and sends the matches."
            }
            Self::BlocksMatched => {
                "The server sends every block, and the wallet filters it with the matcher that the server uses. It proves \
                 nothing."
            }
            Self::BlocksDecoded => {
                "The server sends every block; the wallet decodes it with the bitcoin crate and compares each output and \
                 input. A generous baseline: it hashes matching transactions only, where wallets today hash all, and \
                 proves nothing."
            }
            Self::RequestPerBlock => {
                "One request for each block, one after another, each with all scripts and the coins known so far. The \
                 server sends a matching block whole, and the wallet filters it. The Chain interface proposed for Bitcoin \
                 Core would work so."
            }
            Self::NodeScanBlocks => {
                "The node searches its block filters for blocks that may match (scanblocks), and returns their activity \
                 (getdescriptoractivity)."
            }
            Self::NodeGetBlock => {
                "The wallet fetches one block after another over the node's RPC (getblock), decodes each with the bitcoin \
                 crate and compares. Each call opens a connection, as in bitcoin-cli."
            }
        }
    }
}
