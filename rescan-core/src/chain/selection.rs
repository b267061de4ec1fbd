//! Which of all known branches is the active chain: the one that ends in the tip that the node names; where no node is asked,
//! or its tip is not known, the one of most work, the earlier record where two are equal, every link within the network's rule of difficulty,
//! and nothing in it that the node was seen to leave.
//!
//! A run of blocks that nothing links to genesis (a pruned chain, the upper part of an assumeutxo node) is placed by the heights that
//! its first and last block say they have. Files alone cannot prove that choice, nor that a node did not leave the branch of
//! most work: [`Settled`] says what there is to warn of.

use std::collections::{BTreeMap, HashMap};

use bitcoin::BlockHash;

use crate::chain::active_chain::{Entry, NO_ENTRY, NOT_ACTIVE};
use crate::chain::block_index::BlockIndex;
use crate::chain::header::{Bits, Work};
use crate::position::{Height, RecordSpan};

/// No run without a root begins above this: it would be no chain of this millennium, and the gap below it takes four bytes a
/// height. The height is what a coinbase says, in a block that nobody has proven.
pub(crate) const ROOTLESS_HEIGHT_MAX: Height = Height(1 << 25);

/// What the choice found that an operator should know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// A run without a root was placed above a chain that has one; this is the lowest height of the run.
    pub rooted_and_rootless: Option<Height>,
    /// A run without a root contradicts the chain that has one, and lost to it or won over it at this height.
    pub contested_from: Option<Height>,
    /// Blocks of runs that could not be placed: their coinbases name no heights that agree, or no rule binds them to.
    pub unplaced_blocks: u32,
    /// Blocks whose difficulty cannot follow their parent's.
    pub refused_blocks: u32,
}

/// Where a block at the side belongs.
#[derive(Clone, Copy, Debug)]
struct Placement {
    root: Root,
    /// Work from the root's child, or from a rootless run's first block, to this block.
    work: Work,
    /// Blocks from the same to this one.
    depth: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Root {
    /// It descends from the active block at this height.
    Active(Height),
    /// It descends from this block at the side, whose parent is not known.
    Unknown(u32),
    /// Some link on the way breaks the rule of difficulty.
    Refused,
    /// The node left the branch.
    Left,
}

/// A rootless run that its coinbases place.
struct PlacedRun {
    first: Height,
    work: Work,
    /// Where its last block lies.
    tip: RecordSpan,
    /// From the first block to the last.
    ids: Vec<u32>,
}

impl BlockIndex {
    /// Chooses the active chain anew if anything but growth at its top happened. `coinbase_height` reads the height that
    /// the block at a place says it has.
    pub fn settle(&mut self, coinbase_height: &mut dyn FnMut(RecordSpan) -> Option<Height>) -> Option<Settled> {
        if !self.is_unsettled && !self.contradicts_node() {
            self.note_choice();
            return None;
        }
        if let Some(first) = self.chain.rootless_first.take() {
            self.demote_from(first);
        }
        self.remove_lost();
        let is_followed = self.follow_node();
        if !is_followed {
            self.choose_branches();
        }
        self.drop_top_without_data();
        let mut settled = Settled::default();
        let placements = self.placements();
        settled.refused_blocks = count(placements.values().filter(|placement| placement.root == Root::Refused));
        // Above the node's own tip there is nothing, and from genesis to it nothing is missing.
        if !is_followed {
            self.place_rootless(&placements, coinbase_height, &mut settled);
        }
        self.is_unsettled = false;
        self.note_choice();
        Some(settled)
    }

    /// Blocks of changed files that were not found again, and pruned ones that nothing descends from any more.
    fn remove_lost(&mut self) {
        let mut gone = BTreeMap::new();
        for id in std::mem::take(&mut self.lost) {
            gone.extend(self.without_data(id));
        }
        gone.extend(self.side.keys().filter_map(|id| self.without_data(*id)));
        let active = gone.keys().filter_map(|id| self.chain.entry(*id)).map(|entry| entry.height);
        if let Some(lowest) = active.filter(|height| *height != NOT_ACTIVE).min() {
            self.demote_from(Height(lowest));
        }
        self.remove(&gone);
    }

    fn without_data(&self, id: u32) -> Option<(u32, BlockHash)> {
        let entry = self.chain.entry(id)?;
        entry.span_on_disk().is_none().then_some((id, entry.hash))
    }

    /// Pruning takes the oldest blocks: a chain whose highest ones are gone was cut some other way.
    fn drop_top_without_data(&mut self) {
        let top_with_data = (0..self.chain.active.len()).rev().find(|at| self.has_data_at(*at));
        let kept = top_with_data.map_or(0, |at| at + 1);
        if kept < self.chain.active.len() {
            let kept = Height(u32::try_from(kept).unwrap_or(NOT_ACTIVE));
            self.demote_from(kept);
            self.remove_lost();
        }
    }

    fn has_data_at(&self, at: usize) -> bool {
        let id = self.chain.active.get(at);
        id.and_then(|id| self.chain.entry(*id)).is_some_and(|entry| entry.span_on_disk().is_some())
    }

    /// Goes over to the branch of most work until none has more than the active chain.
    pub(crate) fn choose_branches(&mut self) {
        loop {
            let placements = self.placements();
            let forks = placements.iter().filter_map(|(id, placement)| match placement.root {
                Root::Active(fork) => Some((*id, fork, placement.work)),
                Root::Unknown(_) | Root::Refused | Root::Left => None,
            });
            let better = forks.filter_map(|(id, fork, work)| Some((self.gain(id, fork, work)?, id, fork)));
            let Some((_, tip, fork)) = better.max_by_key(|(gain, ..)| *gain) else { return };
            let branch = self.path_to(tip);
            self.demote_from(Height(fork.0.saturating_add(1)));
            self.promote(&branch);
        }
    }

    /// How much more work a branch has than the active chain above their fork; and where both have the same, whether
    /// its tip is the earlier record. None if the active chain is to stay.
    fn gain(&self, tip: u32, fork: Height, work: Work) -> Option<(Work, std::cmp::Reverse<RecordSpan>)> {
        let span = self.chain.entry(tip)?.span_on_disk()?;
        let mut works = WorkCache::default();
        let mut ours = Work(0);
        for at in fork.to_index() + 1..self.chain.active.len() {
            let id = *self.chain.active.get(at)?;
            ours = ours.plus(works.of(self.chain.entry(id)?.bits));
            if ours > work {
                return None;
            }
        }
        let top = self.chain.entry_at(self.chain.top()?)?.span_on_disk();
        let is_better = work > ours || top.is_none_or(|top| span < top);
        is_better.then_some((Work(work.0.saturating_sub(ours.0)), std::cmp::Reverse(span)))
    }

    /// The blocks at the side from the one after the fork, or from a run's first, to `tip`. No more than there are, where
    /// parents go in a circle.
    pub(crate) fn path_to(&self, tip: u32) -> Vec<u32> {
        let mut path = vec![tip];
        while let Some(parent) = path.last().and_then(|id| self.parent(*id)).filter(|id| self.side.contains_key(id)) {
            if path.len() > self.side.len() {
                break;
            }
            path.push(parent);
        }
        path.reverse();
        path
    }

    pub(crate) fn promote(&mut self, branch: &[u32]) {
        for id in branch {
            self.side.remove(id);
            self.set_height(*id, u32::try_from(self.chain.active.len()).unwrap_or(NOT_ACTIVE));
            self.chain.active.push(*id);
        }
    }

    /// Where each block at the side belongs. Linear in their number: each is climbed from once, and parents in a circle, which
    /// no hashes make but a forged state file can, are climbed no further than all blocks would go.
    fn placements(&self) -> HashMap<u32, Placement> {
        let mut placements = HashMap::with_capacity(self.side.len());
        let mut works = WorkCache::default();
        let mut climbed = Vec::new();
        for start in self.side.keys() {
            let mut id = *start;
            while climbed.len() < self.side.len() && !placements.contains_key(&id) && self.side.contains_key(&id) {
                climbed.push(id);
                match self.parent(id) {
                    Some(parent) => id = parent,
                    None => break,
                }
            }
            while let Some(id) = climbed.pop() {
                let placement = self.placement_after_parent(id, &placements, &mut works);
                placements.insert(id, placement);
            }
        }
        placements
    }

    fn placement_after_parent(
        &self,
        id: u32,
        placements: &HashMap<u32, Placement>,
        works: &mut WorkCache,
    ) -> Placement {
        let work = self.chain.entry(id).map_or(Work(0), |entry| works.of(entry.bits));
        let is_left = self.is_left(id);
        let Some(parent) = self.parent(id) else {
            let root = if is_left { Root::Left } else { Root::Unknown(id) };
            return Placement { root, work, depth: 1 };
        };
        let before = placements.get(&parent).copied().unwrap_or_else(|| {
            let root = match self.chain.entry(parent).map_or(NOT_ACTIVE, |entry| entry.height) {
                NOT_ACTIVE => Root::Refused,
                height => Root::Active(Height(height)),
            };
            Placement { root, work: Work(0), depth: 0 }
        });
        let depth = before.depth.saturating_add(1);
        let root = match before.root {
            _ if is_left => Root::Left,
            Root::Active(fork) if !self.may_follow(id, parent, Height(fork.0.saturating_add(depth))) => Root::Refused,
            root => root,
        };
        Placement { root, work: before.work.plus(work), depth }
    }

    /// Places the run without a root that reaches highest, then the one of most work, then the earlier record, if its
    /// coinbases agree on where.
    fn place_rootless(
        &mut self,
        placements: &HashMap<u32, Placement>,
        coinbase_height: &mut dyn FnMut(RecordSpan) -> Option<Height>,
        settled: &mut Settled,
    ) {
        if let Some(run) = self.node_run(coinbase_height) {
            self.place(&run, settled);
            return;
        }
        let mut tips: BTreeMap<u32, (Work, std::cmp::Reverse<RecordSpan>, u32)> = BTreeMap::new();
        for (id, placement) in placements {
            let Root::Unknown(root) = placement.root else { continue };
            let Some(span) = self.chain.entry(*id).and_then(Entry::span_on_disk) else { continue };
            let candidate = (placement.work, std::cmp::Reverse(span), *id);
            let best = tips.entry(root).or_insert(candidate);
            *best = (*best).max(candidate);
        }
        let mut runs = Vec::new();
        for (work, std::cmp::Reverse(tip), id) in tips.into_values() {
            let ids = self.path_to(id);
            match self.first_height(&ids, coinbase_height) {
                Some(first) => runs.push(PlacedRun { first, work, tip, ids }),
                None => settled.unplaced_blocks = settled.unplaced_blocks.saturating_add(count(ids.iter())),
            }
        }
        let end = |run: &PlacedRun| run.first.0.saturating_add(count(run.ids.iter()));
        let reach = |run: &PlacedRun| (end(run), run.work, std::cmp::Reverse(run.tip));
        if let Some(run) = runs.into_iter().max_by_key(reach) {
            self.place(&run, settled);
        }
    }

    /// The run that ends in the node's tip, if nothing links it to genesis and its coinbases place it.
    fn node_run(&self, coinbase_height: &mut dyn FnMut(RecordSpan) -> Option<Height>) -> Option<PlacedRun> {
        let tip = self.node_tip().filter(|tip| self.side.contains_key(tip))?;
        let ids = self.path_to(tip);
        let is_rootless = ids.first().is_some_and(|first| self.parent(*first).is_none());
        let first = self.first_height(&ids, coinbase_height).filter(|_| is_rootless)?;
        let tip = self.chain.entry(tip)?.span_on_disk()?;
        // More than any other has: the node decides.
        Some(PlacedRun { first, work: Work(u128::MAX), tip, ids })
    }

    /// The height of a run's first block: what its coinbase says, if the last one's agrees, the network's rule binds both, it
    /// is not absurd, and every difficulty between may follow the one before.
    fn first_height(
        &self,
        ids: &[u32],
        coinbase_height: &mut dyn FnMut(RecordSpan) -> Option<Height>,
    ) -> Option<Height> {
        let mut height_of = |id: &u32| coinbase_height(self.chain.entry(*id)?.span_on_disk()?);
        let (first, last) = (height_of(ids.first()?)?, height_of(ids.last()?)?);
        let agree = last.0.checked_sub(first.0).and_then(|steps| steps.checked_add(1)) == Some(count(ids.iter()));
        let is_bound = (self.network.bip34_height()..=ROOTLESS_HEIGHT_MAX).contains(&first);
        let heights = (first.0..).map(Height).skip(1);
        let links = heights.zip(ids.windows(2));
        let is_permitted = |(height, link): (Height, &[u32])| matches!(link, [a, b] if self.may_follow(*b, *a, height));
        (agree && is_bound && links.into_iter().all(is_permitted)).then_some(first)
    }

    /// Puts a rootless run over the rooted chain. Where they overlap, or touch without being linked, the one with more
    /// work from there on stays.
    fn place(&mut self, run: &PlacedRun, settled: &mut Settled) {
        let first = run.first;
        let rooted_len = self.chain.active.len();
        if rooted_len >= first.to_index() && rooted_len > 0 {
            settled.contested_from = Some(first);
            let mut works = WorkCache::default();
            let contested = (first.to_index()..rooted_len).filter_map(|at| self.chain.active.get(at));
            let rooted = contested.filter_map(|id| self.chain.entry(*id));
            let rooted_work = rooted.fold(Work(0), |sum, entry| sum.plus(works.of(entry.bits)));
            if rooted_work >= run.work {
                return;
            }
            self.demote_from(Height(first.0.saturating_sub(1)));
        }
        if !self.chain.active.is_empty() {
            settled.rooted_and_rootless = Some(first);
        }
        while self.chain.active.len() < first.to_index() {
            self.chain.active.push(NO_ENTRY);
        }
        self.promote(&run.ids);
        self.chain.rootless_first = Some(first);
    }
}

/// The work of the bits last asked for: they stay the same for two thousand blocks, and a division of 256 bits costs
/// more than all else in the choice.
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
