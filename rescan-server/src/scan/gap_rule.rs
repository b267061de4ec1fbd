//! The gap rule: the indexes of each keychain that are watched, given its known use.
//!
//! Of a keychain with gap limit G, the indexes 0 to (last used or revealed, whichever is higher) +
//! G are watched. More may have been derived ahead; their matches are withheld as positions to
//! match again. Once the gap limit reaches them, they are pending. If the gap limit passes the last
//! derived index, the look-ahead is exhausted.
//!
//! The rule knows no part of a block but its height, and walks nothing. The rule of one keychain
//! depends neither on the use of another nor on the order of uses: every order of reports ends with
//! the same indexes.
//!
//! Invariant: no index within the gap limit is withheld once the pending matches are taken.

use std::collections::BTreeMap;

use rescan_core::position::Height;
use rescan_core::report::{BlockReport, KeychainUse, Origin, TransactionReport};
use rescan_core::request::INDEX_MAX;

/// Withheld positions that are kept, of all keychains. Above it only the lowest index of each
/// keychain is kept, and blocks are rescanned if the gap limit reaches it: a wallet cannot make the
/// server keep a history that it does not report.
const WITHHELD_POSITIONS_MAX: usize = 1 << 17;

/// The gap limit of a keychain.
#[derive(Clone, Copy, Debug)]
pub struct GapLimit {
    /// The number of indexes watched beyond the last used one; `None` if the descriptor is not
    /// ranged.
    pub gap_limit: Option<u32>,
    /// The highest index that was given out, if known.
    pub last_revealed: Option<u32>,
}

/// The state of all keychains.
#[derive(Debug)]
pub(super) struct GapRule {
    keychains: Vec<KeychainState>,
    /// The heights at which indexes beyond the gap limit matched, by keychain and index.
    withheld: BTreeMap<(u32, u32), Vec<Height>>,
    positions: usize,
    /// Whether positions exceeded their limit.
    has_dropped: bool,
}

#[derive(Clone, Copy, Debug)]
struct KeychainState {
    rule: GapLimit,
    used: KeychainUse,
    /// The highest index all of whose matches so far were reported or withheld.
    matched_through: Option<u32>,
}

/// A range of indexes of a keychain, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexRange {
    /// The number of the keychain.
    pub keychain: u32,
    /// The lowest index.
    pub first: u32,
    /// The highest index.
    pub last: u32,
}

/// Matches of an index that were withheld until the gap limit reached it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingMatch {
    pub(super) keychain: u32,
    pub(super) index: u32,
    pub(super) heights: Vec<Height>,
}

impl GapLimit {
    /// The highest watched index after such a use; `None` if the descriptor is not ranged.
    #[must_use]
    pub fn limit(&self, used: KeychainUse) -> Option<u32> {
        let last_used = match used {
            KeychainUse::LastUsed(index) => Some(index),
            KeychainUse::Unused | KeychainUse::UsedSingle => None,
        };
        let gap_limit = self.gap_limit?;
        let limit = match last_used.max(self.last_revealed) {
            Some(last) => last.saturating_add(gap_limit),
            None => gap_limit.saturating_sub(1),
        };
        Some(limit.min(INDEX_MAX))
    }

    /// The number of indexes that are watched before any use; 1 if the descriptor is not ranged.
    #[must_use]
    pub fn indexes_before_use(&self) -> u64 {
        self.limit(KeychainUse::Unused).map_or(1, |last| u64::from(last).saturating_add(1))
    }
}

impl GapRule {
    /// Unused keychains, each matched up to the index that `matched_through` returns for its
    /// number.
    pub(super) fn new(rules: &[GapLimit], matched_through: impl Fn(u32) -> Option<u32>) -> Self {
        let state = |(number, rule): (u32, &GapLimit)| KeychainState {
            rule: *rule,
            used: KeychainUse::Unused,
            matched_through: rule.gap_limit.and_then(|_| matched_through(number)),
        };
        Self {
            keychains: (0..).zip(rules).map(state).collect(),
            withheld: BTreeMap::new(),
            positions: 0,
            has_dropped: false,
        }
    }

    /// The use of each keychain within its gap limit.
    pub(super) fn uses(&self) -> Vec<KeychainUse> {
        self.keychains.iter().map(|state| state.used).collect()
    }

    /// The highest index of each keychain all of whose matches so far were reported.
    pub(super) fn reported_through(&self) -> Vec<Option<u32>> {
        (0..).zip(&self.keychains).map(|(number, state)| self.reported_through_of(number, state)).collect()
    }

    /// Whether every match so far was reported.
    pub(super) fn withholds_nothing(&self) -> bool {
        self.withheld.is_empty() && !self.has_dropped
    }

    /// Whether this origin is within the gap limit. Single scripts and outpoints always are.
    pub(super) fn reaches(&self, origin: &Origin) -> bool {
        match *origin {
            Origin::Keychain { keychain, index: Some(index) } => {
                self.state(keychain).and_then(KeychainState::limit).is_none_or(|limit| index <= limit)
            }
            _ => true,
        }
    }

    /// Records keychain use from settled reports and withholds matches beyond the gap limit.
    /// Returns the other matches, and earlier withheld ones that the gap limit has now reached. A
    /// spent coin that is within it as a given outpoint alone loses its found value.
    pub(super) fn record(&mut self, reports: Vec<BlockReport>) -> (Vec<BlockReport>, Vec<PendingMatch>) {
        let mut pending = Vec::new();
        let mut beyond: Vec<(u32, Option<u32>)> = reports
            .iter()
            .flat_map(|report| &report.transactions)
            .flat_map(|transaction| &transaction.received)
            .flat_map(|received| &received.origins)
            .filter_map(|origin| match *origin {
                Origin::Keychain { keychain, index } => Some((keychain, index)),
                Origin::Script(_) | Origin::Outpoint(_) => None,
            })
            .collect();
        // Each use may bring others within the limit, of these and of the withheld ones. Without a
        // use no limit moves, and the withheld ones need not be searched.
        let mut has_moved = false;
        loop {
            let before = beyond.len();
            beyond.retain(|&(keychain, index)| !self.note_use(keychain, index));
            if beyond.len() == before && !has_moved {
                break;
            }
            let now_pending = self.take_pending();
            has_moved = !now_pending.is_empty();
            pending.extend(now_pending);
        }
        let reached = reports.into_iter().filter_map(|report| self.keep_reached(report)).collect();
        (reached, pending)
    }

    /// Whether the gap limit of a keychain has passed its look-ahead.
    pub(super) fn is_exhausted(&self) -> bool {
        self.keychains.iter().any(KeychainState::is_exhausted)
    }

    /// The indexes to derive so that each keychain is matched `lookahead` indexes beyond its gap
    /// limit.
    pub(super) fn extension(&self, lookahead: u32) -> Vec<IndexRange> {
        self.extension_where(lookahead, |_| true)
    }

    /// The same for used keychains alone.
    pub(super) fn extension_of_used(&self, lookahead: u32) -> Vec<IndexRange> {
        self.extension_where(lookahead, |state| state.used != KeychainUse::Unused || state.is_exhausted())
    }

    /// The number of used ranged keychains.
    pub(super) fn used_count(&self) -> usize {
        self.keychains.iter().filter(|state| matches!(state.used, KeychainUse::LastUsed(_))).count()
    }

    fn extension_where(&self, lookahead: u32, is_wanted: impl Fn(&KeychainState) -> bool) -> Vec<IndexRange> {
        let range = |(keychain, state): (u32, &KeychainState)| {
            if !is_wanted(state) {
                return None;
            }
            let last = state.limit()?.saturating_add(lookahead).min(INDEX_MAX);
            let first = state.first_unmatched()?;
            (first <= last).then_some(IndexRange { keychain, first, last })
        };
        (0..).zip(&self.keychains).filter_map(range).collect()
    }

    /// The number of ranged keychains.
    pub(super) fn ranged_count(&self) -> usize {
        self.keychains.iter().filter(|state| state.rule.gap_limit.is_some()).count()
    }

    /// Records that all blocks so far are matched against `ranges`.
    pub(super) fn mark_matched(&mut self, ranges: &[IndexRange]) {
        for range in ranges {
            let Some(state) = self.keychains.get_mut(range.keychain as usize) else { continue };
            // If positions were dropped since the range was chosen, there is a gap below it.
            if state.first_unmatched().is_some_and(|first| range.first <= first) {
                state.matched_through = state.matched_through.max(Some(range.last));
            }
        }
    }

    fn state(&self, keychain: u32) -> Option<&KeychainState> {
        self.keychains.get(keychain as usize) // 32 bits fit
    }

    fn reported_through_of(&self, number: u32, state: &KeychainState) -> Option<u32> {
        let lowest = self.withheld.range((number, 0)..=(number, u32::MAX)).next().map(|(&(_, index), _)| index);
        match lowest {
            Some(lowest) => state.matched_through.min(lowest.checked_sub(1)),
            None => state.matched_through,
        }
    }

    /// Records a use within the gap limit; returns whether it is within.
    pub(super) fn note_use(&mut self, keychain: u32, index: Option<u32>) -> bool {
        // The watch set returns only the numbers of keychains that were put into it.
        let Some(state) = self.keychains.get_mut(keychain as usize) else { return true };
        let reached = index.is_none_or(|index| state.limit().is_none_or(|limit| index <= limit));
        if reached {
            state.used = match (state.used, index) {
                (KeychainUse::LastUsed(last), Some(index)) => KeychainUse::LastUsed(last.max(index)),
                (_, Some(index)) => KeychainUse::LastUsed(index),
                (_, None) => KeychainUse::UsedSingle,
            };
        }
        reached
    }

    fn take_pending(&mut self) -> Vec<PendingMatch> {
        let reached = |&(keychain, index): &(u32, u32)| {
            self.state(keychain).and_then(KeychainState::limit).is_some_and(|limit| index <= limit)
        };
        let keys: Vec<(u32, u32)> = self.withheld.keys().copied().filter(reached).collect();
        let mut pending = Vec::with_capacity(keys.len());
        for (keychain, index) in keys {
            let heights = self.withheld.remove(&(keychain, index)).unwrap_or_default();
            self.positions = self.positions.saturating_sub(heights.len());
            self.note_use(keychain, Some(index));
            pending.push(PendingMatch { keychain, index, heights });
        }
        pending
    }

    /// The report without matches beyond the gap limit, which are withheld.
    fn keep_reached(&mut self, mut report: BlockReport) -> Option<BlockReport> {
        let height = report.height;
        let keep = |rule: &mut Self, origins: &mut Vec<Origin>| {
            origins.retain(|origin| {
                let reached = rule.reaches(origin);
                if !reached {
                    rule.withhold(origin, height);
                }
                reached
            });
            !origins.is_empty()
        };
        let mut keep_transaction = |transaction: &mut TransactionReport| {
            transaction.received.retain_mut(|received| keep(self, &mut received.origins));
            transaction.spent.retain_mut(|spent| {
                let before = spent.origins.len();
                let kept = keep(self, &mut spent.origins);
                // A coin beyond the gap limit counts as unknown, whether or not it was derived
                // ahead.
                if spent.origins.len() < before
                    && spent.origins.iter().all(|origin| matches!(origin, Origin::Outpoint(_)))
                {
                    spent.value = None;
                }
                kept
            });
            !transaction.received.is_empty() || !transaction.spent.is_empty()
        };
        report.transactions.retain_mut(&mut keep_transaction);
        (!report.transactions.is_empty()).then_some(report)
    }

    fn withhold(&mut self, origin: &Origin, height: Height) {
        let Origin::Keychain { keychain, index: Some(index) } = *origin else { return };
        // Blocks are rescanned for an unmatched index in any case.
        if self.state(keychain).is_none_or(|state| Some(index) > state.matched_through) {
            return;
        }
        let heights = self.withheld.entry((keychain, index)).or_default();
        if heights.last() != Some(&height) {
            heights.push(height);
            self.positions = self.positions.saturating_add(1);
        }
        if self.positions > WITHHELD_POSITIONS_MAX {
            self.drop_positions();
        }
    }

    /// Forgets the withheld positions. Each keychain is unmatched from its lowest such index on.
    fn drop_positions(&mut self) {
        for &(keychain, index) in self.withheld.keys() {
            if let Some(state) = self.keychains.get_mut(keychain as usize) {
                state.matched_through = state.matched_through.min(index.checked_sub(1));
            }
        }
        self.withheld.clear();
        self.has_dropped = true;
        self.positions = 0;
    }
}

impl KeychainState {
    fn limit(&self) -> Option<u32> {
        self.rule.limit(self.used)
    }

    fn is_exhausted(&self) -> bool {
        self.limit().is_some_and(|limit| Some(limit) > self.matched_through)
    }

    /// The lowest unmatched index; `None` if all indexes are matched.
    fn first_unmatched(&self) -> Option<u32> {
        self.matched_through.map_or(Some(0), |matched| matched.checked_add(1))
    }
}

#[cfg(test)]
mod tests;
