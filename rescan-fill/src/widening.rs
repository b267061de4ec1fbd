//! Ranges of descriptors that end below an index in use.
//!
//! A wallet watches the indexes of its range, and more as its keypool is topped up. An address used
//! out of order lies beyond it until later blocks have been rescanned. So the range is widened first,
//! if the scan found a use beyond it.

use std::collections::BTreeMap;

use rescan_core::history::History;
use rescan_core::report::Origin;
use rescan_node::{IndexRange, ListedDescriptor};

/// Changes to a wallet's descriptors before its rescan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Widening {
    /// Descriptors to import again with a wider range: of a wallet without private keys.
    pub imports: Vec<ListedDescriptor>,
    /// The size to which the keypool is topped up: of a wallet with private keys.
    pub keypool: Option<u32>,
}

impl Widening {
    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.imports.is_empty() && self.keypool.is_none()
    }

    /// The changes that a history needs. Keychain numbers in it are positions in `descriptors`.
    ///
    /// A wallet with private keys takes no descriptor without them, so its keypool is topped up,
    /// which reaches active descriptors alone.
    pub(crate) fn of(
        descriptors: &[ListedDescriptor],
        history: &History,
        gap_limit: u32,
        has_private_keys: bool,
    ) -> Self {
        let mut widening = Self::default();
        for (keychain, used) in used_indexes(history) {
            let listed = usize::try_from(keychain).ok().and_then(|number| descriptors.get(number));
            let Some((listed, range)) = listed.and_then(|listed| Some((listed, listed.range?))) else { continue };
            if range.first() <= used.first && used.last <= range.last() {
                continue;
            }
            let last = used.last.saturating_add(gap_limit).max(range.last());
            if !has_private_keys {
                widening.imports.push(ListedDescriptor { range: Some(IndexRange::Both([0, last])), ..listed.clone() });
            } else if listed.active {
                let size = last.saturating_add(1).saturating_sub(listed.next_index.unwrap_or(0));
                widening.keypool = widening.keypool.max(Some(size));
            }
        }
        widening
    }
}

/// The lowest and the highest index in use.
struct Used {
    first: u32,
    last: u32,
}

/// By keychain number.
fn used_indexes(history: &History) -> BTreeMap<u32, Used> {
    let mut used: BTreeMap<u32, Used> = BTreeMap::new();
    let transactions = history.reports().flat_map(|report| &report.transactions);
    for origin in transactions.flat_map(|transaction| &transaction.received).flat_map(|received| &received.origins) {
        if let Origin::Keychain { keychain, index: Some(index) } = *origin {
            let entry = used.entry(keychain).or_insert(Used { first: index, last: index });
            entry.first = entry.first.min(index);
            entry.last = entry.last.max(index);
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash;
    use bitcoin::{Amount, BlockHash, ScriptBuf, Txid};
    use rescan_core::position::Height;
    use rescan_core::report::{BlockReport, Received, TransactionReport};
    use rescan_node::Timestamp;

    use super::*;

    fn listed(active: bool, range: [u32; 2]) -> ListedDescriptor {
        ListedDescriptor {
            desc: "d".to_owned(),
            timestamp: Timestamp::Seconds(7),
            active,
            internal: active.then_some(false),
            range: Some(IndexRange::Both(range)),
            next_index: Some(2),
            label: None,
        }
    }

    /// A history in which keychain 0 received on these indexes.
    fn used(indexes: &[u32]) -> History {
        let received = |(vout, index): (u32, &u32)| Received {
            vout,
            value: Amount::ZERO,
            script_pubkey: ScriptBuf::new(),
            origins: vec![Origin::Keychain { keychain: 0, index: Some(*index) }],
        };
        let transaction = TransactionReport {
            tx_index: 0,
            txid: Txid::all_zeros(),
            received: (0..).zip(indexes).map(received).collect(),
            spent: Vec::new(),
            raw: None,
            merkle_branch: None,
        };
        let (height, hash) = (Height(1), BlockHash::all_zeros());
        let report =
            BlockReport { height, hash, time: 0, is_late: false, header: None, transactions: vec![transaction] };
        [report].into_iter().collect()
    }

    #[test]
    fn a_range_that_has_every_use_stays() {
        for has_private_keys in [true, false] {
            assert!(Widening::of(&[listed(true, [0, 9])], &used(&[0, 9]), 5, has_private_keys).is_empty());
            assert!(Widening::of(&[listed(true, [0, 9])], &History::new(), 5, has_private_keys).is_empty());
        }
    }

    #[test]
    fn a_use_beyond_the_range_widens_it_to_the_gap_limit_beyond_that_use() {
        let widening = Widening::of(&[listed(false, [0, 9])], &used(&[3, 10]), 5, false);
        assert_eq!(widening.keypool, None);
        let expected = ListedDescriptor { range: Some(IndexRange::Both([0, 15])), ..listed(false, [0, 9]) };
        assert_eq!(widening.imports, [expected]);
    }

    #[test]
    fn a_use_below_the_range_widens_it_and_never_cuts_it() {
        let widening = Widening::of(&[listed(false, [4, 99])], &used(&[3]), 5, false);
        assert_eq!(widening.imports[0].range, Some(IndexRange::Both([0, 99])));
    }

    #[test]
    fn with_private_keys_the_keypool_is_topped_up_to_the_same_index() {
        let widening = Widening::of(&[listed(true, [0, 9])], &used(&[10]), 5, true);
        // Core counts from the next index, 2: 2 + 14 = 16 indexes, the last of them 15.
        assert_eq!(widening, Widening { imports: Vec::new(), keypool: Some(14) });
        assert!(
            Widening::of(&[listed(false, [0, 9])], &used(&[10]), 5, true).is_empty(),
            "a keypool is of active ones"
        );
    }
}
