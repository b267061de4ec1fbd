//! The wallet fetches one block after another from the node and decodes each, as most wallets on a
//! node's RPC do.

use bitcoin::hex::FromHex;
use rescan_node::RpcError;

use super::blocks_decoded::DecodingWallet;
use super::{Context, Outcome};
use crate::error::CompareError;
use crate::method::Method;
use crate::node::{Node, NodeError};

const METHOD: &str = "getblock";

pub(super) async fn run(context: Context<'_, &Node>) -> Result<Outcome, CompareError> {
    let Context { peer: node, meter, pinned, watched } = context;
    let mut wallet = DecodingWallet::new(watched);
    let mut running = meter.start(pinned.range.count()).await?;
    for height in pinned.range.iter() {
        let hash = node.block_hash(height).await?;
        // Verbosity 0: the block itself, in hexadecimal.
        let digits: String = node.call(METHOD, (hash.to_string(), 0)).await?;
        let data = Vec::from_hex(&digits).map_err(|error| NodeError::from(RpcError::unexpected(METHOD, error)))?;
        if wallet.take(height, &data, Method::NodeGetBlock)? {
            running.matched();
        }
        running.reached(height);
        if height == pinned.range.last() {
            pinned.check_tip(hash)?;
        }
    }
    Ok(Outcome::Answered(running.finish(pinned.range.last()), wallet.answer))
}
