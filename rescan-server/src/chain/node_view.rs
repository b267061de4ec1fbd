//! The chain's view of the node: its tip, whether the published chain ends in that tip, and whether files may be mapped.
//!
//! A node that crashed restarts at a lower height and overwrites finished files (seen with v31.99), which a map must not
//! see. So a lost link ends all mapping. Files are only read until the node is back, the files are walked again, and the
//! chain is as high as before: by then the overwritten blocks are on disk again.

use std::time::{Duration, Instant};

use bitcoin::BlockHash;
use rescan_core::position::Height;

/// How long to wait for the node's tip to appear in the files. A node writes a block before it reports it, so a longer
/// wait means that these are another node's files.
const TIP_PATIENCE: Duration = Duration::from_secs(10);

/// The last known state of the node.
#[derive(Debug, Default)]
pub(super) struct NodeView {
    tip: Option<ReportedTip>,
    /// The tip of the published chain, if it is the node's tip.
    confirmed: Option<BlockHash>,
    /// The height of the chain when the link dropped; none if files may be mapped.
    unmapped_below: Option<Height>,
}

#[derive(Debug)]
struct ReportedTip {
    hash: BlockHash,
    received: Instant,
    is_logged: bool,
}

impl NodeView {
    /// The node reported its tip.
    pub(super) fn on_tip(&mut self, hash: BlockHash) {
        if self.tip.as_ref().is_none_or(|tip| tip.hash != hash) {
            self.tip = Some(ReportedTip { hash, received: Instant::now(), is_logged: false });
        }
    }

    /// The link dropped while the chain had this height. Returns whether the node was linked before.
    pub(super) fn on_disconnect(&mut self, height: Option<Height>) -> bool {
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

    /// Whether the published chain lacks the node's tip and the tip may still come.
    pub(super) fn awaits_tip(&self) -> bool {
        self.is_patient() && self.tip() != self.confirmed
    }

    /// Whether a tip missing from the files may still come.
    pub(super) fn is_patient(&self) -> bool {
        self.tip.as_ref().is_some_and(|tip| tip.received.elapsed() < TIP_PATIENCE)
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed.is_some()
    }

    pub(super) fn may_map(&self) -> bool {
        self.unmapped_below.is_none()
    }

    /// A chain that ends in this block was published, selected for the tip `node_tip`.
    pub(super) fn on_publish(&mut self, published: Option<(BlockHash, Height)>, node_tip: Option<BlockHash>) {
        // The node may have a new tip by now, or be gone; the next refresh handles that.
        let Some(tip) = self.tip.as_mut() else { return };
        let ends_in = published.filter(|(hash, _)| node_tip == Some(*hash));
        self.confirmed = ends_in.map(|(hash, _)| hash);
        match ends_in {
            Some((_, height)) if self.unmapped_below.is_some_and(|below| height >= below) => {
                self.unmapped_below = None;
                tracing::info!("the node is back and its files were read again; mapping them again");
            }
            Some(_) => {}
            None if tip.received.elapsed() >= TIP_PATIENCE && !tip.is_logged => {
                tip.is_logged = true;
                tracing::warn!(
                    hash = %tip.hash,
                    "the block files lack the node's tip; selecting the active chain from files alone; check that --node-socket and the \
                     block files belong to the same node"
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
    fn files_are_mapped_again_once_a_lost_node_is_as_high_as_before() {
        let mut view = NodeView::default();
        assert!(view.may_map());
        view.on_tip(hash(1));
        view.on_publish(Some((hash(1), Height(800))), Some(hash(1)));
        assert!(view.is_confirmed() && view.may_map());
        assert!(view.on_disconnect(Some(Height(800))));
        assert!(!view.on_disconnect(Some(Height(10))), "it was already lost");
        assert!(!view.is_confirmed() && !view.may_map());
        view.on_tip(hash(2));
        view.on_publish(Some((hash(2), Height(799))), Some(hash(2)));
        assert!(view.is_confirmed() && !view.may_map());
        view.on_tip(hash(3));
        view.on_publish(Some((hash(2), Height(801))), Some(hash(3)));
        assert!(!view.is_confirmed() && !view.may_map(), "the published chain is not the node's");
        view.on_publish(Some((hash(3), Height(800))), Some(hash(3)));
        assert!(view.is_confirmed() && view.may_map());
    }

    #[test]
    fn a_tip_missing_on_disk_is_awaited_for_a_while_and_then_logged_once() {
        let mut view = NodeView::default();
        view.on_tip(hash(1));
        view.on_publish(Some((hash(9), Height(5))), Some(hash(1)));
        let tip = view.tip.as_mut().expect("it was reported");
        assert!(!tip.is_logged);
        tip.received -= TIP_PATIENCE;
        assert!(!view.awaits_tip() && !view.is_patient());
        view.on_publish(Some((hash(9), Height(5))), Some(hash(1)));
        assert!(!view.is_confirmed() && view.tip.as_ref().is_some_and(|tip| tip.is_logged));
        view.on_tip(hash(1));
        assert!(!view.awaits_tip(), "the same tip is not a new one");
        view.on_tip(hash(2));
        assert!(view.awaits_tip());
    }

    #[test]
    fn a_node_that_was_never_there_costs_no_map() {
        let mut view = NodeView::default();
        assert!(!view.on_disconnect(Some(Height(800))));
        assert!(view.may_map());
    }
}
