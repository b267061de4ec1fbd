//! One block against one watch set, for a call without a scan.
//!
//! Coins are those of the watch set and those of the block itself; no other block is read.

use std::sync::Arc;

use rescan_core::blocks::obfuscation::RawBlock;
use rescan_core::blocks::proof::{Prover, Unproven};
use rescan_core::chain::active_chain::ActiveChain;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{Failure, FailureKind};
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::matching::{BlockPlace, Matcher};
use rescan_core::watching::watch_set::WatchSet;

use super::pinned_chain::{BlockFault, PinnedChain, SegmentBlocks, SegmentFault, missing};
use crate::cancel::Cancel;
use crate::chain::Chain;

/// The block at `height` of `snapshot`, in the clear and with its witnesses, if anything in it
/// matches. It is proven: its transactions by its header, and its witnesses by its coinbase's
/// commitment. For a worker.
///
/// # Errors
/// [`Failure`] if every known copy of the block is bad. The chain may have changed meanwhile.
pub fn match_single_block(
    chain: Arc<Chain>,
    snapshot: Arc<ActiveChain>,
    height: Height,
    watch: &WatchSet,
    cancel: Cancel,
) -> Result<Option<Vec<u8>>, Failure> {
    let pinned = PinnedChain::new(chain, snapshot, cancel);
    let only = HeightRange::new(height, height).expect("a height is not above itself");
    let place = if height == Height::GENESIS { BlockPlace::Genesis } else { BlockPlace::Later };
    let examined = SegmentBlocks::open(&pinned, only).examine(height, |raw| examine(raw, place, watch));
    examined.map(|(_block, data)| data).map_err(|fault| match fault {
        SegmentFault::Cancelled => Failure {
            kind: FailureKind::Internal,
            detail: "the call was cancelled before its block was read".to_owned(),
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
