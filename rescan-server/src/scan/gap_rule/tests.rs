//! However uses come, the rule ends where going over them again and again would end.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, ScriptBuf, Txid};
use proptest::prelude::*;
use rescan_core::report::Received;

use super::*;

fn ranged(gap_limit: u32) -> GapLimit {
    GapLimit { gap_limit: Some(gap_limit), last_revealed: None }
}

fn everything_covered(rules: &[GapLimit]) -> GapRule {
    GapRule::new(rules, |_| Some(u32::MAX))
}

/// A block whose only transaction pays these.
fn block(height: u32, paid: &[(u32, u32)]) -> BlockReport {
    let received = (0..)
        .zip(paid)
        .map(|(vout, &(keychain, index))| Received {
            vout,
            value: Amount::ONE_SAT,
            script_pubkey: ScriptBuf::new(),
            origins: vec![Origin::Keychain { keychain, index: Some(index) }],
        })
        .collect();
    BlockReport {
        height: Height(height),
        hash: BlockHash::all_zeros(),
        time: 0,
        is_late: false,
        header: None,
        transactions: vec![TransactionReport {
            tx_index: 0,
            txid: Txid::all_zeros(),
            received,
            spent: Vec::new(),
            raw: None,
            merkle_branch: None,
        }],
    }
}

fn told(reports: &[BlockReport], due: &[Due]) -> BTreeSet<(u32, u32, u32)> {
    let reported = reports.iter().flat_map(|report| {
        report.transactions.iter().flat_map(|transaction| &transaction.received).flat_map(|received| {
            received.origins.iter().map(|origin| match *origin {
                Origin::Keychain { keychain, index } => (report.height.0, keychain, index.unwrap()),
                _ => unreachable!(),
            })
        })
    });
    let due = due.iter().flat_map(|due| due.heights.iter().map(|height| (height.0, due.keychain, due.index)));
    reported.chain(due).collect()
}

#[test]
fn an_index_beyond_the_gap_is_held_back_until_another_use_reaches_it() {
    let mut rule = everything_covered(&[ranged(5)]);
    let (reports, due) = rule.take(vec![block(1, &[(0, 9)])]);
    assert!(reports.is_empty() && due.is_empty());
    assert_eq!(rule.watched_through(), [Some(8)], "of 9, not everything was reported");
    let (reports, due) = rule.take(vec![block(2, &[(0, 4)])]);
    assert_eq!(told(&reports, &due), BTreeSet::from([(2, 0, 4), (1, 0, 9)]));
    assert_eq!(rule.uses(), [KeychainUse::LastUsed(9)]);
}

#[test]
fn a_use_in_the_same_block_reaches_further_whatever_its_place() {
    let mut rule = everything_covered(&[ranged(5)]);
    let (reports, due) = rule.take(vec![block(1, &[(0, 9), (0, 4)])]);
    assert_eq!(told(&reports, &due), BTreeSet::from([(1, 0, 4), (1, 0, 9)]));
    assert!(due.is_empty());
}

#[test]
fn before_any_use_a_gap_limit_is_that_many_indexes() {
    let rule = GapRule::new(&[ranged(20)], |_| Some(19));
    assert!(rule.reaches(&Origin::Keychain { keychain: 0, index: Some(19) }));
    assert!(!rule.reaches(&Origin::Keychain { keychain: 0, index: Some(20) }));
    assert!(!rule.is_outrun());
}

#[test]
fn a_revealed_index_counts_like_a_used_one() {
    let rule = GapRule::new(&[GapLimit { gap_limit: Some(20), last_revealed: Some(7) }], |_| Some(27));
    assert!(rule.reaches(&Origin::Keychain { keychain: 0, index: Some(27) }));
    assert!(!rule.reaches(&Origin::Keychain { keychain: 0, index: Some(28) }));
}

#[test]
fn what_is_outrun_is_extended_from_where_it_is_covered() {
    let mut rule = GapRule::new(&[ranged(5), ranged(5)], |_| Some(4));
    drop(rule.take(vec![block(1, &[(1, 3)])]));
    assert!(rule.is_outrun());
    let ranges = rule.extension(10);
    let range = |keychain, first, last| IndexRange { keychain, first, last };
    assert_eq!(ranges, [range(0, 5, 14), range(1, 5, 18)]);
    rule.cover(&ranges);
    assert!(!rule.is_outrun());
    assert_eq!(rule.watched_through(), [Some(14), Some(18)]);
}

#[test]
fn where_too_many_places_are_held_back_their_indexes_are_not_covered_any_more() {
    let mut rule = everything_covered(&[ranged(5)]);
    for height in 0..=u32::try_from(PLACES_MAX).unwrap() {
        drop(rule.take(vec![block(height, &[(0, 9)])]));
    }
    assert!(!rule.holds_nothing_back());
    assert_eq!(rule.watched_through(), [Some(8)]);
    drop(rule.take(vec![block(u32::MAX, &[(0, 4)])]));
    assert!(rule.is_outrun(), "9 is reached now, and has to be looked for again");
    assert_eq!(rule.extension(0), [IndexRange { keychain: 0, first: 9, last: 9 }]);
}

/// Until nothing changes: what the rule reaches with the uses so far counts as used.
fn fixed_point(rules: &[GapLimit], uses: &[(u32, u32)]) -> Vec<KeychainUse> {
    let mut used = vec![KeychainUse::Unused; rules.len()];
    loop {
        let before = used.clone();
        for (number, rule) in (0..).zip(rules) {
            let limit = rule.limit(used[number as usize]).unwrap();
            let last = uses.iter().filter(|(keychain, index)| *keychain == number && *index <= limit).max();
            used[number as usize] = last.map_or(KeychainUse::Unused, |(_, index)| KeychainUse::LastUsed(*index));
        }
        if used == before {
            return used;
        }
    }
}

proptest! {
    #[test]
    fn any_order_of_uses_comes_to_the_fixed_point_and_tells_each_place_once(
        limits in prop::collection::vec((1_u32..12, prop::option::of(0_u32..20)), 1..4),
        blocks in prop::collection::vec(prop::collection::vec((0_u32..3, 0_u32..60), 0..4), 0..20),
        per_segment in 1_usize..5,
    ) {
        let rules: Vec<GapLimit> = limits.iter()
            .map(|&(gap_limit, last_revealed)| GapLimit { gap_limit: Some(gap_limit), last_revealed }).collect();
        let count = u32::try_from(rules.len()).unwrap();
        let blocks: Vec<Vec<(u32, u32)>> =
            blocks.iter().map(|uses| uses.iter().map(|&(k, index)| (k % count, index)).collect()).collect();
        let reports: Vec<BlockReport> =
            (0..).zip(&blocks).filter(|(_, uses)| !uses.is_empty()).map(|(height, uses)| block(height, uses)).collect();
        let mut rule = everything_covered(&rules);
        let mut all = BTreeSet::new();
        for segment in reports.chunks(per_segment) {
            let (reports, due) = rule.take(segment.to_vec());
            for place in told(&reports, &due) {
                prop_assert!(all.insert(place), "{:?} is told twice", place);
            }
        }
        let expected = fixed_point(&rules, &blocks.concat());
        prop_assert_eq!(rule.uses(), expected.clone());
        let reached = |&(_, keychain, index): &(u32, u32, u32)| {
            let number = keychain as usize;
            index <= rules[number].limit(expected[number]).unwrap()
        };
        let everything = (0..).zip(&blocks)
            .flat_map(|(height, uses)| uses.iter().map(move |&(keychain, index)| (height, keychain, index)));
        let expected: BTreeSet<_> = everything.filter(reached).collect();
        prop_assert_eq!(all, expected);
    }
}
