//! Resolves the range of a request to heights of one chain.

use bitcoin::BlockHash;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{BlockId, Refusal, RefusalReason};
use rescan_core::request::{RangeEnd, RangeRequest, RangeStart};

use crate::chain::ActiveChain;
use crate::refresh::chain_view::ChainView;

/// The heights of a range, which is empty if it begins after a locator of its last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first height to walk; one above the last if there is nothing to walk.
    pub(crate) first: Height,
    /// The last height.
    pub(crate) last: Height,
}

impl Span {
    /// The heights to walk.
    pub(crate) fn walked(self) -> Option<HeightRange> {
        HeightRange::new(self.first, self.last)
    }
}

/// The heights that `request` means in `chain`.
///
/// A birthday later than every block resolves to the tip alone: the node may be behind, or the wallet may be new.
///
/// # Errors
/// [`RefusalReason::BadRange`] if the range is inverted or exceeds the tip, [`RefusalReason::NotInChain`] if no block of a
/// locator is in the chain.
pub(crate) fn definite(request: &RangeRequest, chain: &ActiveChain) -> Result<Span, Refusal> {
    let Some(tip) = chain.tip() else {
        return Err(refusal("the block files hold no blocks yet".to_owned()));
    };
    let highest_of = |hashes: &[BlockHash]| hashes.iter().filter_map(|hash| chain.height_of(hash)).max();
    ends(request, tip.height, |time| chain.first_height_since(time), highest_of)
}

/// The heights that `request` means before the chain is read. It does not search for a birthday.
pub(crate) fn as_far_as_known(request: &RangeRequest, tip: Option<BlockId>) -> HeightRange {
    let first = match request.from {
        RangeStart::Height(height) => height,
        RangeStart::Birthday(_) | RangeStart::After(_) => Height::GENESIS,
    };
    let last = match request.to {
        RangeEnd::Tip => tip.map_or(first, |tip| tip.height),
        RangeEnd::Height(height) => height,
    };
    HeightRange::new(first, last.max(first)).expect("the greater of two heights is not below either")
}

/// If blocks of the range are missing, the lowest height that is complete up to its end; one above the range if its last
/// block is missing.
pub(crate) fn pruned_below(range: HeightRange, view: &ChainView) -> Option<Height> {
    match view.lowest_complete_to(range.last()) {
        Some(lowest) => (range.first() < lowest).then_some(lowest),
        None => range.last().next(),
    }
}

/// The lowest height whose block in `pin` is not in the `newest` chain, if it is at most `last`.
pub(crate) fn reorganised_from(pin: &ActiveChain, newest: &ActiveChain, last: Height) -> Option<Height> {
    pin.fork_height(newest).filter(|&fork| fork <= last)
}

fn ends(
    request: &RangeRequest,
    tip: Height,
    first_height_since: impl FnOnce(u32) -> Option<Height>,
    highest_of: impl FnOnce(&[BlockHash]) -> Option<Height>,
) -> Result<Span, Refusal> {
    let last = match request.to {
        RangeEnd::Tip => tip,
        RangeEnd::Height(height) => height,
    };
    if last > tip {
        return Err(refusal(format!("the range ends at height {last}, and the tip is at height {tip}")));
    }
    let (first, may_be_empty) = match &request.from {
        RangeStart::Height(height) => (*height, false),
        RangeStart::Birthday(time) => (first_height_since(*time).unwrap_or(tip), false),
        RangeStart::After(hashes) => {
            let found = highest_of(hashes).ok_or_else(|| not_in_chain(hashes.len()))?;
            (found.next().unwrap_or(found), true)
        }
    };
    let is_empty = first.0.checked_sub(1) == Some(last.0);
    if first <= last || (may_be_empty && is_empty) {
        return Ok(Span { first, last });
    }
    Err(refusal(if first > tip {
        format!("the range begins at height {first}, and the tip is at height {tip}")
    } else {
        format!("the range begins at height {first} and ends below it, at height {last}")
    }))
}

fn not_in_chain(count: usize) -> Refusal {
    let detail = format!("none of the locator's {count} blocks is in the active chain: find the fork with locate");
    Refusal { reason: RefusalReason::NotInChain, position: 0, detail }
}

fn refusal(detail: String) -> Refusal {
    Refusal { reason: RefusalReason::BadRange, position: 0, detail }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use bitcoin::hashes::Hash;

    use super::*;

    const TIP: Height = Height(100);

    fn of(from: RangeStart, to: RangeEnd) -> Result<(u32, u32), String> {
        // The block at height h has the time 10 h.
        let since = |time: u32| (time <= 1_000).then(|| Height(time.div_ceil(10)));
        ends(&RangeRequest { from, to }, TIP, since, |hashes| Some(Height(u32::try_from(hashes.len()).unwrap())))
            .map(|span| (span.first.0, span.last.0))
            .map_err(|refusal| refusal.detail)
    }

    #[test]
    fn a_range_to_the_tip_ends_there() {
        assert_eq!(of(RangeStart::Height(Height(7)), RangeEnd::Tip), Ok((7, 100)));
        assert_eq!(of(RangeStart::Height(Height(7)), RangeEnd::Height(Height(100))), Ok((7, 100)));
    }

    #[test]
    fn a_birthday_is_the_first_block_since() {
        assert_eq!(of(RangeStart::Birthday(95), RangeEnd::Tip), Ok((10, 100)));
    }

    #[test]
    fn a_birthday_later_than_every_block_means_the_tip() {
        assert_eq!(of(RangeStart::Birthday(1_001), RangeEnd::Tip), Ok((100, 100)));
    }

    /// A locator of n blocks stands for the block at height n.
    #[test]
    fn after_a_locator_comes_the_next_block_or_nothing_at_the_end() {
        let after = |count: usize| RangeStart::After(vec![BlockHash::all_zeros(); count]);
        assert_eq!(of(after(7), RangeEnd::Tip), Ok((8, 100)));
        assert_eq!(of(after(100), RangeEnd::Tip), Ok((101, 100)));
        assert_eq!(of(after(7), RangeEnd::Height(Height(7))), Ok((8, 7)));
        assert_eq!(
            of(after(7), RangeEnd::Height(Height(6))),
            Err("the range begins at height 8 and ends below it, at height 6".to_owned())
        );
    }

    #[test]
    fn an_end_above_the_tip_is_refused_with_both_heights() {
        assert_eq!(
            of(RangeStart::Height(Height(0)), RangeEnd::Height(Height(101))),
            Err("the range ends at height 101, and the tip is at height 100".to_owned())
        );
    }

    #[test]
    fn a_start_above_the_tip_is_refused_with_both_heights() {
        assert_eq!(
            of(RangeStart::Height(Height(u32::MAX)), RangeEnd::Tip),
            Err("the range begins at height 4294967295, and the tip is at height 100".to_owned())
        );
    }

    #[test]
    fn before_the_chain_is_read_a_range_is_the_requested_one() {
        let hash = bitcoin::constants::genesis_block(bitcoin::Network::Regtest).block_hash();
        let of = |from, to, tip: Option<Height>| {
            let range =
                as_far_as_known(&RangeRequest { from, to }, tip.map(|height| BlockId { height, hash, time: 0 }));
            (range.first().0, range.last().0)
        };
        let (seven, nine) = (Height(7), Height(9));
        assert_eq!(of(RangeStart::Height(seven), RangeEnd::Height(nine), None), (7, 9));
        assert_eq!(of(RangeStart::Height(seven), RangeEnd::Tip, Some(TIP)), (7, 100));
        assert_eq!(of(RangeStart::Height(seven), RangeEnd::Tip, None), (7, 7));
        assert_eq!(of(RangeStart::Birthday(5), RangeEnd::Height(nine), None), (0, 9));
        assert_eq!(
            of(RangeStart::Height(nine), RangeEnd::Height(seven), Some(TIP)),
            (9, 9),
            "refused after the chain is read"
        );
    }

    #[test]
    fn a_range_upside_down_is_refused_with_both_heights() {
        assert_eq!(
            of(RangeStart::Height(Height(9)), RangeEnd::Height(Height(8))),
            Err("the range begins at height 9 and ends below it, at height 8".to_owned())
        );
        assert_eq!(
            of(RangeStart::Birthday(500), RangeEnd::Height(Height(8))),
            Err("the range begins at height 50 and ends below it, at height 8".to_owned())
        );
    }
}
