//! What a node says of its chain, which goes before everything that files can say: its tip, and the branches that it was
//! seen to leave.
//!
//! A block that the node left for less work, or for as much, is *left*, and all that descends from it: most work would choose it
//! again as soon as nobody asks the node. It stays left until the node takes it back, or a block above it. Where the node
//! goes over to more work, nothing needs to be remembered: most work says the same.

use std::collections::HashSet;

use bitcoin::BlockHash;

use crate::chain::active_chain::{NO_ENTRY, NOT_ACTIVE};
use crate::chain::block_index::BlockIndex;
use crate::chain::header::Work;
use crate::position::Height;

/// What the tree knows of the node.
#[derive(Debug, Default)]
pub(crate) struct NodeWord {
    /// The node's tip; none where it cannot be asked.
    tip: Option<BlockHash>,
    /// The lowest blocks of branches that it left. Each is known to the tree and none of them active.
    left: HashSet<BlockHash>,
    /// The tip that was chosen last.
    chosen: Option<BlockHash>,
}

impl NodeWord {
    /// Whether this block is the lowest of a branch that the node left.
    pub(crate) fn is_left(&self, hash: &BlockHash) -> bool {
        !self.left.is_empty() && self.left.contains(hash)
    }
}

impl BlockIndex {
    /// The tip that the node says its chain has, which the next [`BlockIndex::settle`] chooses where it is known; none where
    /// there is no node to ask.
    pub fn set_node_tip(&mut self, tip: Option<BlockHash>) {
        // Where the node has a tip, what counts is whether the top of the chain is another.
        self.is_unsettled |= tip.is_none() && self.node.tip.is_some();
        self.node.tip = tip;
    }

    /// Whether a record of this block was seen.
    #[must_use]
    pub fn knows(&self, hash: &BlockHash) -> bool {
        self.chain.find(hash).is_some()
    }

    /// The node's tip, if it is known.
    pub(crate) fn node_tip(&self) -> Option<u32> {
        self.chain.find(self.node.tip.as_ref()?)
    }

    /// Whether the top of the active chain is another block than the node says.
    pub(crate) fn contradicts_node(&self) -> bool {
        self.node_tip().is_some_and(|tip| self.top_id() != Some(tip))
    }

    /// Goes over to the node's tip, if blocks that are known lead to it from genesis.
    pub(crate) fn follow_node(&mut self) -> bool {
        let Some(tip) = self.node_tip() else { return false };
        if self.node.chosen.is_none() {
            // What files alone say the node may have left before anybody asked it.
            self.choose_branches();
            self.node.chosen = self.top_hash();
        }
        self.take_back(tip);
        let (fork, branch) = match self.chain.entry(tip).map(|entry| entry.height) {
            Some(height) if height != NOT_ACTIVE => (Some(height), Vec::new()),
            _ => {
                let branch = self.path_to(tip);
                let below = branch.first().and_then(|first| self.parent(*first));
                (below.and_then(|below| self.chain.entry(below)).map(|below| below.height), branch)
            }
        };
        match fork {
            Some(fork) if fork != NOT_ACTIVE => {
                self.demote_from(Height(fork.saturating_add(1)));
                self.promote(&branch);
                true
            }
            _ => false,
        }
    }

    /// What was chosen before and is no longer: if it was left at the node's word, it is not to be chosen without.
    pub(crate) fn note_choice(&mut self) {
        let chosen = self.top_hash();
        let before = std::mem::replace(&mut self.node.chosen, chosen);
        if let Some(before) =
            before.filter(|before| Some(*before) != chosen).and_then(|before| self.chain.find(&before))
            && self.node_tip().is_some_and(|tip| self.top_id() == Some(tip))
            && let Some(left) = self.left_for_no_more_work(before)
        {
            self.node.left.insert(left);
        }
        if !self.node.left.is_empty() {
            let Self { node, chain, .. } = self;
            node.left.retain(|hash| chain.find(hash).is_some());
        }
    }

    /// The lowest block of the branch that ends in `before`, if the active chain has no more work than it above their fork.
    fn left_for_no_more_work(&self, before: u32) -> Option<BlockHash> {
        if !self.side.contains_key(&before) {
            return None;
        }
        let branch = self.path_to(before);
        let lowest = *branch.first()?;
        let fork = self.chain.entry(self.parent(lowest)?)?.height;
        if fork == NOT_ACTIVE {
            return None;
        }
        let work = |work: Work, id: u32| self.chain.entry(id).map_or(work, |entry| work.plus(entry.bits.work()));
        let theirs = branch.iter().copied().fold(Work(0), work);
        let above = Height(fork).to_index() + 1..self.chain.active.len();
        let ours = above.filter_map(|at| self.chain.active.get(at).copied()).fold(Work(0), work);
        (theirs >= ours).then(|| self.chain.entry(lowest).map(|entry| entry.hash))?
    }

    /// The node's chain goes through these: whatever it left of them, it came back to.
    fn take_back(&mut self, tip: u32) {
        if self.node.left.is_empty() {
            return;
        }
        for id in self.path_to(tip) {
            if let Some(entry) = self.chain.entry(id) {
                self.node.left.remove(&entry.hash);
            }
        }
    }

    fn top_hash(&self) -> Option<BlockHash> {
        Some(self.chain.entry(self.top_id()?)?.hash)
    }

    fn top_id(&self) -> Option<u32> {
        let top = self.chain.active.len().checked_sub(1)?;
        self.chain.active.get(top).copied().filter(|id| *id != NO_ENTRY)
    }
}
