//! The branch of each stale block: its fork from the active chain, and its work above the fork.

use std::collections::HashMap;

use super::WorkCache;
use crate::chain::block_index::BlockIndex;
use crate::chain::header::Work;
use crate::position::Height;

/// The branch of a stale block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement {
    pub(super) root: Root,
    /// Work from the root's child, or from a rootless run's first block, to this block.
    pub(super) work: Work,
    /// Number of blocks over the same distance.
    depth: u32,
}

/// The origin of a stale block's branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Root {
    /// The active block at this height.
    Active(Height),
    /// This stale block, whose parent is not known.
    Unknown(u32),
    /// Some link on the way breaks the difficulty rule.
    Refused,
    /// The block or an ancestor is invalidated.
    Invalidated,
}

/// The placement of every stale block.
pub(super) struct Placements(HashMap<u32, Placement>);

impl Placements {
    /// Places all stale blocks, in time linear in their number: each is climbed from once. A forged
    /// state file can make parents form a circle, which no hashes do; a climb ends after as many
    /// blocks as are stale.
    pub(super) fn of(index: &BlockIndex) -> Self {
        let mut placements = Self(HashMap::with_capacity(index.stale_count()));
        let mut works = WorkCache::default();
        let mut climbed = Vec::new();
        for start in index.stale() {
            let mut id = start;
            while climbed.len() < index.stale_count() && !placements.0.contains_key(&id) && index.is_stale(id) {
                climbed.push(id);
                match index.parent(id) {
                    Some(parent) => id = parent,
                    None => break,
                }
            }
            while let Some(id) = climbed.pop() {
                let placement = placements.after_parent(index, id, &mut works);
                placements.0.insert(id, placement);
            }
        }
        placements
    }

    /// Blocks and their placements, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Placement)> {
        self.0.iter().map(|(id, placement)| (*id, placement))
    }

    /// The placement of a block whose parent is placed or active.
    fn after_parent(&self, index: &BlockIndex, id: u32, works: &mut WorkCache) -> Placement {
        let work = index.entry(id).map_or(Work(0), |entry| works.of(entry.bits));
        let is_invalidated = index.is_invalidated(id);
        let Some(parent) = index.parent(id) else {
            let root = if is_invalidated { Root::Invalidated } else { Root::Unknown(id) };
            return Placement { root, work, depth: 1 };
        };
        let before = self.0.get(&parent).copied().unwrap_or_else(|| {
            let root = index.active_height(parent).map_or(Root::Refused, Root::Active);
            Placement { root, work: Work(0), depth: 0 }
        });
        let depth = before.depth.saturating_add(1);
        let root = match before.root {
            _ if is_invalidated => Root::Invalidated,
            Root::Active(fork) if !index.may_follow(id, parent, Height(fork.0.saturating_add(depth))) => Root::Refused,
            root => root,
        };
        Placement { root, work: before.work.plus(work), depth }
    }
}
