//! The summaries of a scan.

use bitcoin::Amount;
use rescan_core::position::Height;
use rescan_core::report::{BlockId, Outcome, Summary};

use crate::session::scan::item_stream::ItemStream;
use crate::session::scan::job::{Job, Stalled};
use crate::session::scan::pinned_range::PinnedRange;
use crate::session::scan::range;

impl<S: ItemStream> Job<S> {
    /// The summary of a scan that walked.
    pub(super) fn summary(&self, pinned: &PinnedRange, stream: &S, stalled: Option<&Stalled>) -> Summary {
        let settled = stream.settled();
        let (outcome, delivered) = match (stalled, stream.outcome()) {
            (None, Some(outcome)) => (outcome, settled),
            (None, None) => (Outcome::Cancelled, settled),
            (Some(stalled), _) => (Outcome::Cancelled, stalled.sent_through),
        };
        // The stream compares its pin at every segment. Only a cancelled scan may have missed a reorganisation since.
        let newest = (outcome == Outcome::Cancelled).then(|| self.shared.chain.newest()).flatten();
        let reorganised = newest.and_then(|newest| range::reorganised_from(&pinned.chain, &newest, settled?));
        let totals = stream.totals();
        Summary {
            outcome: reorganised.map_or(outcome, Outcome::ReorganisedFrom),
            transactions: totals.transactions,
            unspent_count: totals.coins.count,
            unspent: Amount::from_sat(totals.coins.total_sat),
            keychains: totals.keychains,
            watched_through: totals.watched_through,
            passes: totals.passes,
            blocks_scanned: totals.blocks_scanned,
            bytes_scanned: totals.bytes_scanned,
            locator: delivered.map_or_else(Vec::new, |height| pinned.chain.locator(height)),
            ..self.empty_summary(pinned)
        }
    }

    /// The summary of a scan whose range is empty.
    pub(super) fn nothing_to_walk(&self, pinned: &PinnedRange) -> Summary {
        let locator = pinned.chain.locator(pinned.range.last());
        Summary { outcome: Outcome::Complete, locator, passes: 1, ..self.empty_summary(pinned) }
    }

    /// The summary of a scan that walked nothing of its range.
    pub(super) fn empty_summary(&self, pinned: &PinnedRange) -> Summary {
        Summary {
            range: pinned.range,
            tip: pinned.tip,
            prepare_micros: pinned.prepare_micros,
            ..self.unstarted_summary()
        }
    }

    /// The summary of a scan that was cancelled before its range was definite. The
    /// range is the best known one; the genesis block, which every chain has, stands for an unknown last block.
    pub(super) fn unstarted_summary(&self) -> Summary {
        let newest = self.shared.chain.newest();
        let range = range::as_far_as_known(&self.call.range, newest.as_ref().and_then(|chain| chain.tip()));
        let tip = newest.and_then(|chain| chain.id(range.last())).unwrap_or_else(|| {
            let genesis = bitcoin::constants::genesis_block(self.shared.chain.network().to_bitcoin());
            BlockId { height: Height::GENESIS, hash: genesis.block_hash(), time: genesis.header.time }
        });
        let keychains = self.call.keychain_count.get() as usize; // usize has at least 32 bits
        let elapsed = self.state.called.elapsed();
        // The client adds its own preparation; the server spent none.
        Summary { prepare_micros: 0, ..Summary::cancelled(range, tip, keychains, Vec::new(), elapsed) }
    }
}
