//! The chain of an update: one that BDK can connect to the wallet's own.
//!
//! BDK compares both chains from their tips down. Each of its own blocks above the highest common one must be replaced by
//! another block at the same height (`merge_chains` in `bdk_chain`'s `local_chain.rs`). So the update names the common
//! block, the active blocks at the heights of stale ones, those with transactions, and the tip; all of one chain, ascending.

use std::collections::BTreeMap;

use bdk_wallet::chain::{self, CheckPoint};
use bitcoin::BlockHash;
use rescan_core::position::Height;
use rescan_core::report::BlockId;

use super::error::BdkError;
use crate::{CallError, Client, LOCATE_HASHES_MAX, ScanHandle};

/// Heights in one call for block ids: a server answers no more.
const HEIGHTS_MAX: usize = rescan_core::protocol::BLOCK_IDS_PER_CALL_MAX as usize; // 4,096

/// The wallet's highest block that is active. It may be disconnected before a scan starts.
pub(super) async fn find_common(client: &Client, wallet: &CheckPoint) -> Result<BlockId, BdkError> {
    let mut newest_first = wallet.iter();
    let mut lowest = wallet.hash();
    loop {
        let hashes: Vec<BlockHash> = newest_first.by_ref().take(LOCATE_HASHES_MAX).map(|it| it.hash()).collect();
        let Some(last) = hashes.last() else { return Err(BdkError::OtherChain { genesis: lowest }) };
        lowest = *last;
        if let Some(found) = client.locate(hashes).await? {
            let is_known = wallet.get(found.height.0).is_some_and(|it| it.hash() == found.hash);
            let wrong = || format!("block {} is not at height {} in this wallet", found.hash, found.height);
            return is_known.then_some(found).ok_or_else(|| CallError::protocol(wrong()).into());
        }
    }
}

/// The chain of an update for a wallet whose highest active block was `common`, after a scan up to `tip` that found
/// transactions in the blocks `anchors`. None if the scan was pinned to a chain without `common`.
pub(super) async fn assemble(
    scan: &ScanHandle,
    wallet: &CheckPoint,
    common: BlockId,
    tip: &BlockId,
    anchors: BTreeMap<u32, BlockHash>,
) -> Result<Option<CheckPoint>, BdkError> {
    let lowest_stale = wallet.iter().map(|it| it.height()).take_while(|height| *height > common.height.0).last();
    if let Some(stale) = lowest_stale.filter(|stale| *stale > tip.height.0) {
        return Err(BdkError::ChainTooShort { tip: tip.height, stale: Height(stale) });
    }
    let mut blocks = anchors;
    blocks.insert(tip.height.0, tip.hash);
    if common.height < tip.height && !blocks.contains_key(&common.height.0) {
        // The server does not know blocks that were pruned before it read them: then the wallet's stays.
        blocks.extend(pinned(scan, &[common.height.0]).await?);
    }
    if blocks.get(&common.height.0).is_some_and(|hash| *hash != common.hash) || tip.height < common.height {
        return Ok(None);
    }
    let stale = wallet.iter().map(|it| it.height());
    let replaced: Vec<u32> =
        stale.take_while(|height| *height > common.height.0).filter(|it| *it < tip.height.0).collect();
    blocks.extend(pinned(scan, &replaced).await?);
    Ok(Some(connect(wallet, common.height.0, blocks)))
}

/// The blocks of the scan's chain at those heights, without those that the server does not know.
async fn pinned(scan: &ScanHandle, heights: &[u32]) -> Result<Vec<(u32, BlockHash)>, BdkError> {
    let mut found = Vec::with_capacity(heights.len());
    for part in heights.chunks(HEIGHTS_MAX) {
        let ids = scan.block_ids(part.iter().copied().map(Height).collect()).await?;
        found.extend(ids.into_iter().flatten().map(|id| (id.height.0, id.hash)));
    }
    Ok(found)
}

/// The wallet's chain up to `common`, with `blocks` in it and above it. The part of the wallet's chain below all of `blocks`
/// is shared with it: BDK stops comparing there.
fn connect(wallet: &CheckPoint, common: u32, mut blocks: BTreeMap<u32, BlockHash>) -> CheckPoint {
    let lowest = blocks.keys().next().copied().unwrap_or(common).min(common);
    for kept in wallet.range(lowest..=common) {
        blocks.insert(kept.height(), kept.hash());
    }
    let below = lowest.checked_sub(1).and_then(|height| wallet.floor_at(height));
    let above = blocks.into_iter().map(|(height, hash)| chain::BlockId { height, hash });
    let chain = match below {
        Some(below) => below.extend(above).ok(),
        None => CheckPoint::from_block_ids(above).ok(),
    };
    chain.expect("there is the tip, and a map is in ascending order")
}
