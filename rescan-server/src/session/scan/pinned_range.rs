//! A definite range of heights in a pinned chain.

use std::sync::Arc;

use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{BlockId, Failure, Refusal, RefusalReason};
use rescan_core::request::{RangeRequest, Scanned};

use crate::chain::ActiveChain;
use crate::refresh::chain_view::ChainView;
use crate::refresh::refresher::{RefreshError, internal};
use crate::session::scan::range;

/// The end of a scan before its first block.
pub(crate) enum StartError {
    Cancelled,
    Refused(Refusal),
    Failed(Failure),
}

impl From<RefreshError> for StartError {
    fn from(error: RefreshError) -> Self {
        match error {
            // A stopping server cancels all scans, this one included.
            RefreshError::Stopping => Self::Cancelled,
            RefreshError::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// The range of a scan, and the chain that it is pinned to.
#[derive(Clone)]
pub(crate) struct PinnedRange {
    pub(crate) chain: Arc<ActiveChain>,
    /// The whole range, with the heights of earlier scans. Its last block alone if there is nothing to walk.
    pub(crate) range: HeightRange,
    /// The heights to walk; none if there are none.
    pub(crate) walked: Option<HeightRange>,
    /// The part that earlier scans scanned, up to the first height to walk.
    pub(crate) scanned: Option<Scanned>,
    /// If blocks of the range are missing, the lowest height that is complete up to its end.
    pub(crate) pruned_below: Option<Height>,
    pub(crate) tip: BlockId,
    pub(crate) prepare_micros: u64,
}

impl PinnedRange {
    /// Takes as long as a pass over all headers.
    pub(crate) fn new(
        request: &RangeRequest,
        scanned: Option<Scanned>,
        view: ChainView,
        prepare_micros: u64,
    ) -> Result<Self, StartError> {
        let span = range::definite(request, &view.chain).map_err(StartError::Refused)?;
        let first = match &scanned {
            Some(scanned) if scanned.from >= span.first => {
                return Err(StartError::Refused(bad_coverage(scanned.from, span.first)));
            }
            Some(scanned) => scanned.from,
            None => span.first,
        };
        let range = HeightRange::new(first.min(span.last), span.last)
            .ok_or_else(|| StartError::Failed(internal(format!("a range from {first} to {}", span.last))))?;
        let walked = span.walked();
        let pruned_below = walked.and_then(|walked| range::pruned_below(walked, &view));
        let last = range.last();
        let no_id = || StartError::Failed(internal(format!("height {last} of the active chain has no id")));
        let tip = view.chain.id(last).ok_or_else(no_id)?;
        Ok(Self { chain: view.chain, range, walked, scanned, pruned_below, tip, prepare_micros })
    }
}

fn bad_coverage(from: Height, first: Height) -> Refusal {
    Refusal {
        reason: RefusalReason::BadCoverage,
        position: 0,
        detail: format!("expected coverage from below the range's first height, {first}, found coverage from {from}"),
    }
}
