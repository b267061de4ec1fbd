//! Lines about blocks and transactions that the chain gains or loses.

use rescan_client::Reverted;
use rescan_client::report::BlockId;
use serde::Serialize;

use super::Line;

/// A transaction printed before, in a block that was disconnected.
#[derive(Debug, Serialize)]
pub(crate) struct RevertedLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet: Option<String>,
    height: u32,
    block_hash: String,
    txid: String,
}

/// A block connected or disconnected.
#[derive(Debug, Serialize)]
pub(crate) struct BlockLine {
    height: u32,
    block_hash: String,
}

/// A `withdrawn` line, for one of several wallets or for the only one.
pub(crate) fn reverted(reverted: &Reverted, wallet: Option<&str>) -> Line {
    let Reverted { height, block_hash, txid, .. } = reverted;
    let (block_hash, txid) = (block_hash.to_string(), txid.to_string());
    Line::Reverted(RevertedLine { wallet: wallet.map(str::to_owned), height: height.0, block_hash, txid })
}

/// A `connected` line.
pub(crate) fn connected(block: &BlockId) -> Line {
    Line::Connected(block_line(block))
}

/// A `disconnected` line.
pub(crate) fn disconnected(block: &BlockId) -> Line {
    Line::Disconnected(block_line(block))
}

fn block_line(block: &BlockId) -> BlockLine {
    BlockLine { height: block.height.0, block_hash: block.hash.to_string() }
}
