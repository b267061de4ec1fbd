//! Selects the active chain among all known branches.
//!
//! The active chain ends in the node's tip. Without a node, or while its tip is unknown, it is the
//! branch of most work that is not invalidated and breaks no difficulty rule; the earlier record
//! wins a tie. Files alone cannot prove that choice: [`ChainAnomalies`] lists the doubts.

use std::cmp::Reverse;

use bitcoin::BlockHash;

use self::placement::{Placements, Root};
use super::active_chain::ActiveChain;
use super::block_index::{BlockIndex, FileLoss, HeaderRecord};
use super::block_table::NOT_ACTIVE;
use super::header::{Bits, Work};
use super::network::Network;
use super::node_tip::NodeTip;
use crate::position::{FileNumber, Height, RecordSpan};

mod placement;
mod rootless;

/// Stale blocks, beyond twice those of the last selection, that trigger a selection during
/// insertion. A first walk that follows a stale branch must not let the main one gather among them,
/// where a block costs more.
const STALE_BLOCKS_BEFORE_SELECTION: usize = 4096;

/// Anomalies of the selected chain, for the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainAnomalies {
    /// The first height of a run without known ancestors that was placed above a chain from
    /// genesis.
    pub rooted_and_rootless: Option<Height>,
    /// The first height at which a run without known ancestors and the chain from genesis
    /// contradict each other. The one with more work won.
    pub contested_from: Option<Height>,
    /// Blocks of runs that could not be placed: their coinbases disagree on the height, or BIP34
    /// does not bind them.
    pub unplaced_blocks: u32,
    /// Blocks whose difficulty cannot follow their parent's.
    pub refused_blocks: u32,
}

/// Reads the height from the coinbase of the block at a position; none if it has none.
pub type CoinbaseHeight<'a> = dyn FnMut(RecordSpan) -> Option<Height> + 'a;

/// The block index and the node's tip, and the active chain selected from both.
#[derive(Debug)]
pub struct ChainSelection {
    index: BlockIndex,
    node: NodeTip,
    /// Stale blocks that were left by the last selection during insertion.
    stale_after_selection: usize,
}

impl ChainSelection {
    /// A selection without any block.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self::of(BlockIndex::new(network))
    }

    /// A selection over an index that was restored.
    #[must_use]
    pub fn of(index: BlockIndex) -> Self {
        Self { index, node: NodeTip::default(), stale_after_selection: 0 }
    }

    /// All known blocks.
    #[must_use]
    pub fn index(&self) -> &BlockIndex {
        &self.index
    }

    /// A snapshot of the active chain. After inserting, call [`ChainSelection::select`] first.
    #[must_use]
    pub fn active_chain(&self) -> ActiveChain {
        self.index.chain().clone()
    }

    /// Whether a record of this block was inserted.
    #[must_use]
    pub fn knows(&self, hash: &BlockHash) -> bool {
        self.index.find(hash).is_some()
    }

    /// Adds a record. A known block at another position is a further copy; at a known position it
    /// changes nothing.
    pub fn insert(&mut self, record: HeaderRecord) {
        self.index.insert(record);
        if self.index.stale_count() > 2 * self.stale_after_selection + STALE_BLOCKS_BEFORE_SELECTION {
            select_most_work(&mut self.index);
            self.stale_after_selection = self.index.stale_count();
        }
    }

    /// Forgets every record in `file`. Blocks with a copy in another file stay.
    pub fn forget_file(&mut self, file: FileNumber, loss: FileLoss) {
        self.index.forget_file(file, loss);
    }

    /// Sets the node's tip for the next [`ChainSelection::select`]; none without a connected node.
    pub fn on_tip(&mut self, tip: Option<BlockHash>) {
        if self.node.set(tip) {
            self.index.set_unsettled(true);
        }
    }

    /// Selects the active chain again if anything but growth at its top happened. None if nothing
    /// did.
    pub fn select(&mut self, coinbase_height: &mut CoinbaseHeight<'_>) -> Option<ChainAnomalies> {
        let anomalies = (self.index.is_unsettled() || self.node.contradicts(&self.index))
            .then(|| reselect(&mut self.index, &mut self.node, coinbase_height));
        self.node.record_selection(&mut self.index);
        anomalies
    }
}

fn reselect(index: &mut BlockIndex, node: &mut NodeTip, coinbase_height: &mut CoinbaseHeight<'_>) -> ChainAnomalies {
    index.deactivate_rootless();
    index.remove_lost();
    let follows_node = follow_node(index, node);
    if !follows_node {
        select_most_work(index);
    }
    drop_top_without_data(index);
    let mut anomalies = ChainAnomalies::default();
    let placements = Placements::of(index);
    anomalies.refused_blocks = count(placements.iter().filter(|(_, placement)| placement.root == Root::Refused));
    // The node's tip is the top of its chain, and no block is missing between genesis and it.
    if !follows_node {
        rootless::place(index, node, &placements, coinbase_height, &mut anomalies);
    }
    index.set_unsettled(false);
    anomalies
}

/// Activates the node's branch. False without a node, or if no known blocks lead to its tip from
/// genesis.
fn follow_node(index: &mut BlockIndex, node: &mut NodeTip) -> bool {
    let Some(tip) = node.id(index) else { return false };
    if node.is_first() {
        // The node may have abandoned the branch of most work before anyone asked it.
        select_most_work(index);
        node.assume_selected(index);
    }
    NodeTip::activate(index, tip)
}

/// Pruning takes the oldest blocks: highest blocks without data were lost in another way.
fn drop_top_without_data(index: &mut BlockIndex) {
    let chain = index.chain();
    let has_data = |height: &u32| chain.block(Height(*height)).is_some();
    let heights = u32::try_from(chain.len()).unwrap_or(NOT_ACTIVE);
    let kept = (0..heights).rev().find(has_data).map_or(0, |top| top.saturating_add(1));
    if kept < heights {
        index.deactivate_from(Height(kept));
        index.remove_lost();
    }
}

/// Switches to the branch of most work until none has more than the active chain.
fn select_most_work(index: &mut BlockIndex) {
    loop {
        let placements = Placements::of(index);
        let forks = placements.iter().filter_map(|(id, placement)| match placement.root {
            Root::Active(fork) => Some((id, fork, placement.work)),
            Root::Unknown(_) | Root::Refused | Root::Invalidated => None,
        });
        let better = forks.filter_map(|(id, fork, work)| Some((gain(index, id, fork, work)?, id, fork)));
        let Some((_, tip, fork)) = better.max_by_key(|(gain, ..)| *gain) else { return };
        let branch = index.path_to(tip);
        index.deactivate_from(Height(fork.0.saturating_add(1)));
        index.activate(&branch);
    }
}

/// The work that a branch has beyond the active chain above their fork, and the position of its
/// tip, which decides a tie. None if the active chain stays.
fn gain(index: &BlockIndex, tip: u32, fork: Height, work: Work) -> Option<(Work, Reverse<RecordSpan>)> {
    let span = index.entry(tip)?.span_on_disk()?;
    let chain = index.chain();
    let top = chain.top()?;
    let mut works = WorkCache::default();
    let mut ours = Work(0);
    for height in fork.0.saturating_add(1)..=top.0 {
        ours = ours.plus(works.of(chain.entry_at(Height(height))?.bits));
        if ours > work {
            return None;
        }
    }
    let top_span = chain.entry_at(top)?.span_on_disk();
    let is_better = work > ours || top_span.is_none_or(|top_span| span < top_span);
    is_better.then_some((Work(work.0.saturating_sub(ours.0)), Reverse(span)))
}

/// The work of the last bits. They stay the same for 2,016 blocks, and a division of 256 bits costs
/// more than all else in the selection.
#[derive(Default)]
struct WorkCache(Option<(Bits, Work)>);

impl WorkCache {
    fn of(&mut self, bits: Bits) -> Work {
        match self.0 {
            Some((known, work)) if known == bits => work,
            _ => {
                let work = bits.work();
                self.0 = Some((bits, work));
                work
            }
        }
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
