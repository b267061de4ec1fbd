//! The node is asked for one block after another, and the wallet decodes each: what most wallets on a node's RPC do.

use bitcoin::hex::FromHex;
use jsonrpc::serde_json;
use jsonrpc::serde_json::value::to_raw_value;

use super::Node;
use super::error::NodeError;
use crate::comparison::WayId;
use crate::error::CompareError;
use crate::ways::Ground;
use crate::ways::{DecodingWallet, Gone};

/// The call.
const METHOD: &str = "getblock";

pub(super) async fn go(ground: Ground<'_, &Node>) -> Result<Gone, CompareError> {
    let Ground { asked: node, meter, pinned, watched } = ground;
    let mut wallet = DecodingWallet::new(watched);
    let mut running = meter.start(pinned.range.count()).await?;
    for height in pinned.range.iter() {
        let hash = node.block_hash(height).await?;
        // Verbosity 0: the block itself, in hexadecimal digits.
        let params = to_raw_value(&(hash.to_string(), 0)).map_err(|error| NodeError::unexpected(METHOD, error))?;
        let said = node.call(METHOD, params).await?;
        let digits: &str = serde_json::from_str(said.get()).map_err(|error| NodeError::unexpected(METHOD, error))?;
        let data = Vec::from_hex(digits).map_err(|error| NodeError::unexpected(METHOD, error))?;
        if wallet.take(height, &data, WayId::NodeGetBlock)? {
            running.matched();
        }
        running.reached(height);
        if height == pinned.range.last() {
            pinned.check_tip(hash)?;
        }
    }
    Ok(Gone::Came(running.finish(pinned.range.last()), wallet.answer))
}
