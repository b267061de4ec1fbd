//! One block against one watch set, for itself: what a call that keeps no state asks for.
//!
//! Coins are those of the watch set and those that the block itself makes; nothing of other blocks is known.

use std::sync::Arc;

use rescan_core::blocks::obfuscation::RawBlock;
use rescan_core::blocks::proof::{Prover, Unproven};
use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{Failure, FailureKind};
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::matching::{BlockPlace, Matcher};
use rescan_core::watching::watch_set::WatchSet;

use super::pinned::{BlockFault, Pinned, SegmentBlocks, SegmentFault, missing};
use crate::cancel::Cancel;
use crate::chain::Chain;

/// The block at `height` of `snapshot`, in the clear and with its witnesses, if anything in it matches. It is proven then:
/// its transactions are those of its header, and its witnesses those that its coinbase commits to. For a worker.
///
/// # Errors
/// [`Failure`] where the block is at fault in every copy that is known of. The chain may have changed meanwhile.
pub fn match_single_block(
    chain: Arc<Chain>,
    snapshot: Arc<ActiveChain>,
    height: Height,
    watch: &WatchSet,
    cancel: Cancel,
) -> Result<Option<Vec<u8>>, Failure> {
    let pinned = Pinned::new(chain, snapshot, cancel);
    let only = HeightRange::new(height, height).expect("a height is not above itself");
    let place = if height == Height::GENESIS { BlockPlace::Genesis } else { BlockPlace::Later };
    let examined = SegmentBlocks::open(&pinned, only).examine(height, |raw| examine(raw, place, watch));
    examined.map(|(_block, data)| data).map_err(|fault| match fault {
        SegmentFault::Cancelled => Failure {
            kind: FailureKind::Internal,
            detail: "the call was given up before its block was looked at".to_owned(),
            at: None,
        },
        SegmentFault::Missing(height) => missing(height),
        SegmentFault::Block { height, span, cause } => pinned.failure(height, span, &cause),
    })
}

fn examine(raw: RawBlock<'_>, place: BlockPlace, watch: &WatchSet) -> Result<Option<Vec<u8>>, BlockFault> {
    let matched = Matcher::new(watch).match_block(raw, place, &mut CoinMap::new(watch)).map_err(Unproven::from)?;
    if matched.is_empty() {
        return Ok(None);
    }
    let mut prover = Prover::default();
    prover.prove(raw, &matched)?;
    prover.prove_witnesses(raw)?;
    let mut data = Vec::with_capacity(raw.bytes().len());
    raw.copy_clear(&mut data);
    Ok(Some(data))
}
