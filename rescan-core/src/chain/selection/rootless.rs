//! Places a run of blocks that no known block links to genesis: a pruned chain, or the upper part
//! of an assumeutxo node's.
//!
//! The heights in the coinbases of its first and last block place the run (BIP34). The placement of
//! a run is a claim that files alone cannot prove.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::placement::{Placements, Root};
use super::{ChainAnomalies, CoinbaseHeight, WorkCache, count};
use crate::chain::active_chain::ROOTLESS_HEIGHT_MAX;
use crate::chain::block_index::BlockIndex;
use crate::chain::block_table::Entry;
use crate::chain::header::Work;
use crate::chain::node_tip::NodeTip;
use crate::position::{Height, RecordSpan};

/// A run that its coinbases place.
struct PlacedRun {
    first: Height,
    work: Work,
    /// Position of its last block.
    tip: RecordSpan,
    /// From the first block to the last.
    ids: Vec<u32>,
}

/// Places the run that ends in the node's tip, else the one that reaches highest, then the one of
/// most work, then the one whose tip is the earlier record.
pub(super) fn place(
    index: &mut BlockIndex,
    node: &NodeTip,
    placements: &Placements,
    coinbase_height: &mut CoinbaseHeight<'_>,
    anomalies: &mut ChainAnomalies,
) {
    let run =
        node_run(index, node, coinbase_height).or_else(|| highest_run(index, placements, coinbase_height, anomalies));
    if let Some(run) = run {
        place_run(index, &run, anomalies);
    }
}

/// The run that ends in the node's tip, if no known block links it to genesis and its coinbases
/// place it.
fn node_run(index: &BlockIndex, node: &NodeTip, coinbase_height: &mut CoinbaseHeight<'_>) -> Option<PlacedRun> {
    let tip = node.id(index).filter(|tip| index.is_stale(*tip))?;
    let ids = index.path_to(tip);
    let is_rootless = ids.first().is_some_and(|first| index.parent(*first).is_none());
    let first = first_height(index, &ids, coinbase_height).filter(|_| is_rootless)?;
    let tip = index.entry(tip)?.span_on_disk()?;
    // The maximum, since the node decides.
    Some(PlacedRun { first, work: Work(u128::MAX), tip, ids })
}

fn highest_run(
    index: &BlockIndex,
    placements: &Placements,
    coinbase_height: &mut CoinbaseHeight<'_>,
    anomalies: &mut ChainAnomalies,
) -> Option<PlacedRun> {
    let mut tips: BTreeMap<u32, (Work, Reverse<RecordSpan>, u32)> = BTreeMap::new();
    for (id, placement) in placements.iter() {
        let Root::Unknown(root) = placement.root else { continue };
        let Some(span) = index.entry(id).and_then(Entry::span_on_disk) else { continue };
        let candidate = (placement.work, Reverse(span), id);
        let best = tips.entry(root).or_insert(candidate);
        *best = (*best).max(candidate);
    }
    let mut runs = Vec::new();
    for (work, Reverse(tip), id) in tips.into_values() {
        let ids = index.path_to(id);
        match first_height(index, &ids, coinbase_height) {
            Some(first) => runs.push(PlacedRun { first, work, tip, ids }),
            None => anomalies.unplaced_blocks = anomalies.unplaced_blocks.saturating_add(count(ids.iter())),
        }
    }
    let end = |run: &PlacedRun| run.first.0.saturating_add(count(run.ids.iter()));
    runs.into_iter().max_by_key(|run| (end(run), run.work, Reverse(run.tip)))
}

/// The height of a run's first block, from its coinbase. None unless the last coinbase agrees,
/// BIP34 binds both, the height is not absurd, and every difficulty may follow the one before.
fn first_height(index: &BlockIndex, ids: &[u32], coinbase_height: &mut CoinbaseHeight<'_>) -> Option<Height> {
    let mut height_of = |id: &u32| coinbase_height(index.entry(*id)?.span_on_disk()?);
    let (first, last) = (height_of(ids.first()?)?, height_of(ids.last()?)?);
    let agree = last.0.checked_sub(first.0).and_then(|steps| steps.checked_add(1)) == Some(count(ids.iter()));
    let is_bound = (index.network().bip34_height()..=ROOTLESS_HEIGHT_MAX).contains(&first);
    let heights = (first.0..).map(Height).skip(1);
    let mut links = heights.zip(ids.windows(2));
    let is_permitted = |(height, link): (Height, &[u32])| matches!(link, [a, b] if index.may_follow(*b, *a, height));
    (agree && is_bound && links.all(is_permitted)).then_some(first)
}

/// Places a run above the rooted chain. If they overlap, or touch without a link, the one with more
/// work from there on stays.
fn place_run(index: &mut BlockIndex, run: &PlacedRun, anomalies: &mut ChainAnomalies) {
    let first = run.first;
    let rooted_len = index.chain().len();
    if rooted_len >= first.to_index() && rooted_len > 0 {
        anomalies.contested_from = Some(first);
        let mut works = WorkCache::default();
        let rooted = index.chain().ids_from(first).filter_map(|id| index.entry(id));
        let rooted_work = rooted.fold(Work(0), |sum, entry| sum.plus(works.of(entry.bits)));
        if rooted_work >= run.work {
            return;
        }
        index.deactivate_from(Height(first.0.saturating_sub(1)));
    }
    if index.chain().len() > 0 {
        anomalies.rooted_and_rootless = Some(first);
    }
    index.activate_rootless(first, &run.ids);
}
