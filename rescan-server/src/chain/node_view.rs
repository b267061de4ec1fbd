//! What the node says, as a chain knows it: the tip that it named, whether the chain published ends in it, and what
//! a link that dropped costs.
//!
//! A node that crashed comes back lower than it was and writes over files that it had finished (seen with v31.99), which a
//! map must not see. So when the link drops, nothing is mapped any more, and files are only read until the node is back, the chain is walked
//! anew, and it is as high as it was: by then what a crash took back was written again.

use std::time::{Duration, Instant};

use bitcoin::BlockHash;
use rescan_core::position::Height;

/// How long a tip that no file has yet is waited for. A node writes a block before it names it, so that it takes longer
/// only where these are another node's files.
const TIP_PATIENCE: Duration = Duration::from_secs(10);

/// What the node said last.
#[derive(Debug, Default)]
pub(super) struct NodeView {
    tip: Option<NamedTip>,
    /// The tip of the chain published last, if the node had named it.
    confirmed: Option<BlockHash>,
    /// How high the chain was when the link dropped; none where files may be mapped.
    unmapped_below: Option<Height>,
}

#[derive(Debug)]
struct NamedTip {
    hash: BlockHash,
    named: Instant,
    is_warned_of: bool,
}

impl NodeView {
    /// The node names its tip.
    pub(super) fn name(&mut self, hash: BlockHash) {
        if self.tip.as_ref().is_none_or(|tip| tip.hash != hash) {
            self.tip = Some(NamedTip { hash, named: Instant::now(), is_warned_of: false });
        }
    }

    /// The node can no longer be asked; the chain was so high. Whether it could be before.
    pub(super) fn lose(&mut self, height: Option<Height>) -> bool {
        self.confirmed = None;
        let was_linked = self.tip.take().is_some();
        if was_linked {
            self.unmapped_below = self.unmapped_below.max(height.or(Some(Height(0))));
        }
        was_linked
    }

    pub(super) fn tip(&self) -> Option<BlockHash> {
        self.tip.as_ref().map(|tip| tip.hash)
    }

    /// Whether the chain published last does not end in the tip named last, and may still come to.
    pub(super) fn awaits_tip(&self) -> bool {
        self.is_patient() && self.tip() != self.confirmed
    }

    /// Whether a tip that no file has may still come.
    pub(super) fn is_patient(&self) -> bool {
        self.tip.as_ref().is_some_and(|tip| tip.named.elapsed() < TIP_PATIENCE)
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed.is_some()
    }

    pub(super) fn may_map(&self) -> bool {
        self.unmapped_below.is_none()
    }

    /// A chain that ends in this block is published, chosen while the node's tip was `asked`.
    pub(super) fn compare(&mut self, published: Option<(BlockHash, Height)>, asked: Option<BlockHash>) {
        // The node may have named another meanwhile, or be gone; then the next refresh says.
        let Some(tip) = self.tip.as_mut() else { return };
        let ends_in = published.filter(|(hash, _)| asked == Some(*hash));
        self.confirmed = ends_in.map(|(hash, _)| hash);
        match ends_in {
            Some((_, height)) if self.unmapped_below.is_some_and(|below| height >= below) => {
                self.unmapped_below = None;
                tracing::info!("the node is back and its files were looked at anew; they are mapped again");
            }
            Some(_) => {}
            None if tip.named.elapsed() >= TIP_PATIENCE && !tip.is_warned_of => {
                tip.is_warned_of = true;
                tracing::warn!(
                    hash = %tip.hash,
                    "no chain of the block files ends in the node's tip; what they say by themselves is served: is --node-socket \
                     that of the node whose files these are?"
                );
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash;

    use super::*;

    fn hash(byte: u8) -> BlockHash {
        BlockHash::from_byte_array([byte; 32])
    }

    #[test]
    fn files_are_mapped_again_once_a_node_that_was_lost_is_as_high_as_it_was() {
        let mut view = NodeView::default();
        assert!(view.may_map());
        view.name(hash(1));
        view.compare(Some((hash(1), Height(800))), Some(hash(1)));
        assert!(view.is_confirmed() && view.may_map());
        assert!(view.lose(Some(Height(800))));
        assert!(!view.lose(Some(Height(10))), "it was lost before");
        assert!(!view.is_confirmed() && !view.may_map());
        view.name(hash(2));
        view.compare(Some((hash(2), Height(799))), Some(hash(2)));
        assert!(view.is_confirmed() && !view.may_map());
        view.name(hash(3));
        view.compare(Some((hash(2), Height(801))), Some(hash(3)));
        assert!(!view.is_confirmed() && !view.may_map(), "the chain published is not the node's");
        view.compare(Some((hash(3), Height(800))), Some(hash(3)));
        assert!(view.is_confirmed() && view.may_map());
    }

    #[test]
    fn a_tip_that_is_not_on_disk_is_waited_for_a_while_and_then_warned_of_once() {
        let mut view = NodeView::default();
        view.name(hash(1));
        view.compare(Some((hash(9), Height(5))), Some(hash(1)));
        let tip = view.tip.as_mut().expect("it was named");
        assert!(!tip.is_warned_of);
        tip.named -= TIP_PATIENCE;
        assert!(!view.awaits_tip() && !view.is_patient());
        view.compare(Some((hash(9), Height(5))), Some(hash(1)));
        assert!(!view.is_confirmed() && view.tip.as_ref().is_some_and(|tip| tip.is_warned_of));
        view.name(hash(1));
        assert!(!view.awaits_tip(), "the same tip is no other");
        view.name(hash(2));
        assert!(view.awaits_tip());
    }

    #[test]
    fn a_node_that_was_never_there_costs_no_map() {
        let mut view = NodeView::default();
        assert!(!view.lose(Some(Height(800))));
        assert!(view.may_map());
    }
}
