//! The gap rule: which indexes of each keychain are watched, as far as its use is known.
//!
//! Of a keychain with the gap limit G, the indexes 0 to (last used or revealed, whichever is higher) plus G are watched.
//! More than those may have been derived ahead. What is found of the rest is held back, as places to look again; when the
//! rule comes to reach it, it is due. Where the rule reaches further than was derived, the keychain is outrun.
//!
//! This knows nothing of blocks but their heights, and walks nothing. The rule of one keychain does not depend on the use
//! of another, nor on the order of uses: whatever the order in which reports come, the indexes that it ends with are the
//! same.
//!
//! Invariant: no index that the rule reaches is held back, once what was due is taken.

use std::collections::BTreeMap;

use rescan_core::position::Height;
use rescan_core::report::{BlockReport, KeychainUse, Origin, TransactionReport};
use rescan_core::request::INDEX_MAX;

/// Places held back that are kept, of all keychains. Beyond that it is kept which indexes have some, and blocks are gone
/// over again for them if the rule reaches them: a wallet cannot make the server keep a history that it is not told.
const PLACES_MAX: usize = 1 << 17;

/// A keychain as the rule sees it.
#[derive(Clone, Copy, Debug)]
pub struct GapLimit {
    /// How far beyond its last use it is watched; none where the descriptor is not ranged.
    pub gap_limit: Option<u32>,
    /// The highest index that was given out, where it is known.
    pub last_revealed: Option<u32>,
}

/// The state of all keychains.
#[derive(Debug)]
pub(super) struct GapRule {
    keychains: Vec<State>,
    /// Where indexes that the rule does not reach matched.
    held_back: BTreeMap<(u32, u32), Vec<Height>>,
    places: usize,
    /// Whether places were too many to be kept.
    has_dropped: bool,
}

#[derive(Clone, Copy, Debug)]
struct State {
    rule: GapLimit,
    used: KeychainUse,
    /// The highest index all of whose matches so far are reported or held back.
    covered: Option<u32>,
}

/// Indexes of a keychain from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexRange {
    /// The number of the keychain.
    pub keychain: u32,
    /// The lowest.
    pub first: u32,
    /// The highest.
    pub last: u32,
}

/// An index that was held back and is not any more, and where it matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) keychain: u32,
    pub(super) index: u32,
    pub(super) heights: Vec<Height>,
}

impl GapLimit {
    /// The highest index that is watched after such a use; none where the descriptor is not ranged.
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
}

impl GapRule {
    /// Nothing used yet; each keychain covered up to what `covered` says.
    pub(super) fn new(rules: &[GapLimit], covered: impl Fn(u32) -> Option<u32>) -> Self {
        let state = |(number, rule): (u32, &GapLimit)| State {
            rule: *rule,
            used: KeychainUse::Unused,
            covered: rule.gap_limit.and_then(|_| covered(number)),
        };
        Self {
            keychains: (0..).zip(rules).map(state).collect(),
            held_back: BTreeMap::new(),
            places: 0,
            has_dropped: false,
        }
    }

    /// The keychains' use, as far as the rule reaches.
    pub(super) fn uses(&self) -> Vec<KeychainUse> {
        self.keychains.iter().map(|state| state.used).collect()
    }

    /// The highest index of each keychain of which every match so far was reported.
    pub(super) fn watched_through(&self) -> Vec<Option<u32>> {
        (0..).zip(&self.keychains).map(|(number, state)| self.unmatched_through(number, state)).collect()
    }

    /// Whether everything that was found was reported.
    pub(super) fn holds_nothing_back(&self) -> bool {
        self.held_back.is_empty() && !self.has_dropped
    }

    /// Whether the rule reaches this entry of the watch set. What is no keychain's is always reached.
    pub(super) fn reaches(&self, origin: &Origin) -> bool {
        match *origin {
            Origin::Keychain { keychain, index: Some(index) } => {
                self.state(keychain).and_then(State::limit).is_none_or(|limit| index <= limit)
            }
            _ => true,
        }
    }

    /// Takes in settled reports: notes uses, and leaves of the reports what the rule then reaches. Gives what had been
    /// held back and is due now. A spent coin that is a given outpoint alone to the rule loses the value that was found.
    pub(super) fn take(&mut self, reports: Vec<BlockReport>) -> (Vec<BlockReport>, Vec<Due>) {
        let mut due = Vec::new();
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
        // Each use may let the rule reach others, among these and among those held back. Without a use no limit moves, and
        // what is held back need not be gone through.
        let mut has_moved = false;
        loop {
            let before = beyond.len();
            beyond.retain(|&(keychain, index)| !self.note_use(keychain, index));
            if beyond.len() == before && !has_moved {
                break;
            }
            let now_due = self.take_due();
            has_moved = !now_due.is_empty();
            due.extend(now_due);
        }
        let reached = reports.into_iter().filter_map(|report| self.keep_reached(report)).collect();
        (reached, due)
    }

    /// Whether the rule reaches an index that is not covered.
    pub(super) fn is_outrun(&self) -> bool {
        self.keychains.iter().any(State::is_outrun)
    }

    /// What to derive so that each keychain is covered `lookahead` indexes beyond what the rule reaches.
    pub(super) fn extension(&self, lookahead: u32) -> Vec<IndexRange> {
        self.extension_where(lookahead, |_| true)
    }

    /// The same of keychains that were used.
    pub(super) fn extension_of_used(&self, lookahead: u32) -> Vec<IndexRange> {
        self.extension_where(lookahead, |state| state.used != KeychainUse::Unused || state.is_outrun())
    }

    /// How many ranged keychains were used.
    pub(super) fn used_count(&self) -> usize {
        self.keychains.iter().filter(|state| matches!(state.used, KeychainUse::LastUsed(_))).count()
    }

    fn extension_where(&self, lookahead: u32, is_wanted: impl Fn(&State) -> bool) -> Vec<IndexRange> {
        let range = |(keychain, state): (u32, &State)| {
            if !is_wanted(state) {
                return None;
            }
            let last = state.limit()?.saturating_add(lookahead).min(INDEX_MAX);
            let first = state.covered.map_or(Some(0), |covered| covered.checked_add(1))?;
            (first <= last).then_some(IndexRange { keychain, first, last })
        };
        (0..).zip(&self.keychains).filter_map(range).collect()
    }

    /// How many keychains the rule is about.
    pub(super) fn ranged_count(&self) -> usize {
        self.keychains.iter().filter(|state| state.rule.gap_limit.is_some()).count()
    }

    /// Notes that all blocks so far were gone over for these.
    pub(super) fn cover(&mut self, ranges: &[IndexRange]) {
        for range in ranges {
            let Some(state) = self.keychains.get_mut(range.keychain as usize) else { continue };
            // Where places were dropped since the range was chosen, there is a gap below it.
            let next = state.covered.map_or(Some(0), |covered| covered.checked_add(1));
            if next.is_some_and(|next| range.first <= next) {
                state.covered = state.covered.max(Some(range.last));
            }
        }
    }

    fn state(&self, keychain: u32) -> Option<&State> {
        self.keychains.get(keychain as usize) // 32 bits fit
    }

    fn unmatched_through(&self, number: u32, state: &State) -> Option<u32> {
        let lowest = self.held_back.range((number, 0)..=(number, u32::MAX)).next().map(|(&(_, index), _)| index);
        match lowest {
            Some(lowest) => state.covered.min(lowest.checked_sub(1)),
            None => state.covered,
        }
    }

    /// Notes a use, if the rule reaches it.
    fn note_use(&mut self, keychain: u32, index: Option<u32>) -> bool {
        // A number that is no keychain's cannot come out of the watch set it went into.
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

    fn take_due(&mut self) -> Vec<Due> {
        let reached = |&(keychain, index): &(u32, u32)| {
            self.state(keychain).and_then(State::limit).is_some_and(|limit| index <= limit)
        };
        let keys: Vec<(u32, u32)> = self.held_back.keys().copied().filter(reached).collect();
        let mut due = Vec::with_capacity(keys.len());
        for (keychain, index) in keys {
            let heights = self.held_back.remove(&(keychain, index)).unwrap_or_default();
            self.places = self.places.saturating_sub(heights.len());
            self.note_use(keychain, Some(index));
            due.push(Due { keychain, index, heights });
        }
        due
    }

    /// The report without what the rule does not reach, which is held back.
    fn keep_reached(&mut self, mut report: BlockReport) -> Option<BlockReport> {
        let height = report.height;
        let keep = |rule: &mut Self, origins: &mut Vec<Origin>| {
            origins.retain(|origin| {
                let reached = rule.reaches(origin);
                if !reached {
                    rule.hold_back(origin, height);
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
                // What the rule does not reach is not known of, whether or not it was derived ahead.
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

    fn hold_back(&mut self, origin: &Origin, height: Height) {
        let Origin::Keychain { keychain, index: Some(index) } = *origin else { return };
        // Of what is not covered, nothing is kept: blocks are gone over again for it.
        if self.state(keychain).is_none_or(|state| Some(index) > state.covered) {
            return;
        }
        let heights = self.held_back.entry((keychain, index)).or_default();
        if heights.last() != Some(&height) {
            heights.push(height);
            self.places = self.places.saturating_add(1);
        }
        if self.places > PLACES_MAX {
            self.drop_places();
        }
    }

    /// Forgets what is held back. From the lowest such index of each keychain on, nothing is covered any more.
    fn drop_places(&mut self) {
        for &(keychain, index) in self.held_back.keys() {
            if let Some(state) = self.keychains.get_mut(keychain as usize) {
                state.covered = state.covered.min(index.checked_sub(1));
            }
        }
        self.held_back.clear();
        self.has_dropped = true;
        self.places = 0;
    }
}

impl State {
    fn limit(&self) -> Option<u32> {
        self.rule.limit(self.used)
    }

    fn is_outrun(&self) -> bool {
        self.limit().is_some_and(|limit| Some(limit) > self.covered)
    }
}

#[cfg(test)]
mod tests;
