//! The tip that a Bitcoin Core node reports, which takes precedence over the block files, and the
//! branches it abandons.
//!
//! If the node abandons a branch for one with no more work (`invalidateblock`), the branch's lowest
//! block is marked invalid. Most work alone would select the branch again once the node is gone.
//! The mark stays until the node reactivates the block or a descendant. A switch to more work needs
//! no mark, since most work agrees.

use bitcoin::BlockHash;

use super::block_index::BlockIndex;
use super::header::Work;
use crate::position::Height;

/// The node's tip, and the tip selected last.
#[derive(Debug, Default)]
pub(super) struct NodeTip {
    /// None without a connected node.
    tip: Option<BlockHash>,
    selected: Option<BlockHash>,
}

impl NodeTip {
    /// Sets the node's tip; none without a connected node. Returns whether a node was lost, after
    /// which most work counts.
    pub(super) fn set(&mut self, tip: Option<BlockHash>) -> bool {
        let is_lost = tip.is_none() && self.tip.is_some();
        self.tip = tip;
        is_lost
    }

    /// The node's tip, if the index has it.
    pub(super) fn id(&self, index: &BlockIndex) -> Option<u32> {
        index.find(self.tip.as_ref()?)
    }

    /// Whether the node's tip is known and is not the top of the active chain.
    pub(super) fn contradicts(&self, index: &BlockIndex) -> bool {
        self.id(index).is_some_and(|tip| index.chain().top_id() != Some(tip))
    }

    /// Whether no tip was selected yet.
    pub(super) fn is_first(&self) -> bool {
        self.selected.is_none()
    }

    /// Takes the chain that files alone select for the one the node had before anyone asked it.
    pub(super) fn assume_selected(&mut self, index: &BlockIndex) {
        self.selected = top_hash(index);
    }

    /// Activates the branch that ends in `tip`. False if no known blocks lead to it from genesis.
    pub(super) fn activate(index: &mut BlockIndex, tip: u32) -> bool {
        index.reconsider(tip);
        let (fork, branch) = match index.active_height(tip) {
            Some(height) => (Some(height), Vec::new()),
            None => {
                let branch = index.path_to(tip);
                (fork_below(index, &branch), branch)
            }
        };
        let Some(fork) = fork else { return false };
        index.deactivate_from(Height(fork.0.saturating_add(1)));
        index.activate(&branch);
        true
    }

    /// Records the selected tip. If the node abandoned the one before for no more work, invalidates
    /// its branch.
    pub(super) fn record_selection(&mut self, index: &mut BlockIndex) {
        let selected = top_hash(index);
        let before = std::mem::replace(&mut self.selected, selected).filter(|before| Some(*before) != selected);
        if let Some(before) = before.and_then(|before| index.find(&before))
            && self.id(index).is_some_and(|tip| index.chain().top_id() == Some(tip))
            && let Some(lowest) = abandoned_for_no_more_work(index, before)
        {
            index.invalidate(lowest);
        }
    }
}

/// The lowest block of the stale branch that ends in `before`, if the active chain has no more work
/// above their fork.
fn abandoned_for_no_more_work(index: &BlockIndex, before: u32) -> Option<u32> {
    if !index.is_stale(before) {
        return None;
    }
    let branch = index.path_to(before);
    let lowest = *branch.first()?;
    let fork = fork_below(index, &branch)?;
    let work = |work: Work, id: u32| index.entry(id).map_or(work, |entry| work.plus(entry.bits.work()));
    let theirs = branch.iter().copied().fold(Work(0), work);
    let ours = index.chain().ids_from(Height(fork.0.saturating_add(1))).fold(Work(0), work);
    (theirs >= ours).then_some(lowest)
}

/// The height of the active block that a stale branch descends from.
fn fork_below(index: &BlockIndex, branch: &[u32]) -> Option<Height> {
    index.active_height(index.parent(*branch.first()?)?)
}

fn top_hash(index: &BlockIndex) -> Option<BlockHash> {
    index.hash(index.chain().top_id()?)
}
