//! A published chain with the facts that take a walk over all its heights.

use std::sync::Arc;

use rescan_core::position::Height;

use crate::chain::ActiveChain;

/// A published chain, and the lowest height from which it is complete.
#[derive(Clone, Debug)]
pub(crate) struct ChainView {
    pub(crate) chain: Arc<ActiveChain>,
    /// The lowest height from which every block up to the tip is on disk; none without a tip.
    pub(crate) lowest: Option<Height>,
}

impl ChainView {
    /// Walks over all heights to find the lowest complete one.
    pub(crate) fn new(chain: Arc<ActiveChain>) -> Self {
        let lowest = chain.tip().and_then(|tip| chain.lowest_complete_to(tip.height));
        Self { chain, lowest }
    }

    /// The lowest height from which every block up to `last` is on disk; none if `last` itself is not.
    pub(crate) fn lowest_complete_to(&self, last: Height) -> Option<Height> {
        match self.lowest {
            // A chain that is complete up to its tip is complete up to any height in between.
            Some(lowest) if lowest <= last => Some(lowest),
            _ => self.chain.lowest_complete_to(last),
        }
    }
}
