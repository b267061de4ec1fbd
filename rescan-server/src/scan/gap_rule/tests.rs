//! In any order of uses, the rule ends with the indexes of an iteration to the fixed point.
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

fn everything_matched(rules: &[GapLimit]) -> GapRule {
    GapRule::new(rules, |_| Some(u32::MAX))
}

/// A block whose only transaction pays these keychains and indexes.
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

fn positions(reports: &[BlockReport], pending: &[PendingMatch]) -> BTreeSet<(u32, u32, u32)> {
    let reported = reports.iter().flat_map(|report| {
        report.transactions.iter().flat_map(|transaction| &transaction.received).flat_map(|received| {
            received.origins.iter().map(|origin| match *origin {
                Origin::Keychain { keychain, index } => (report.height.0, keychain, index.unwrap()),
                _ => unreachable!(),
            })
        })
    });
    let pending = pending
        .iter()
        .flat_map(|pending| pending.heights.iter().map(|height| (height.0, pending.keychain, pending.index)));
    reported.chain(pending).collect()
}

#[test]
fn an_index_beyond_the_gap_limit_is_withheld_until_another_use_reaches_it() {
    let mut rule = everything_matched(&[ranged(5)]);
    let (reports, pending) = rule.record(vec![block(1, &[(0, 9)])]);
    assert!(reports.is_empty() && pending.is_empty());
    assert_eq!(rule.reported_through(), [Some(8)], "9 is withheld");
    let (reports, pending) = rule.record(vec![block(2, &[(0, 4)])]);
    assert_eq!(positions(&reports, &pending), BTreeSet::from([(2, 0, 4), (1, 0, 9)]));
    assert_eq!(rule.uses(), [KeychainUse::LastUsed(9)]);
}

#[test]
fn a_use_in_the_same_block_moves_the_gap_limit_whatever_its_position() {
    let mut rule = everything_matched(&[ranged(5)]);
    let (reports, pending) = rule.record(vec![block(1, &[(0, 9), (0, 4)])]);
    assert_eq!(positions(&reports, &pending), BTreeSet::from([(1, 0, 4), (1, 0, 9)]));
    assert!(pending.is_empty());
}

#[test]
fn before_any_use_a_gap_limit_is_that_many_indexes() {
    let rule = GapRule::new(&[ranged(20)], |_| Some(19));
    assert!(rule.reaches(&Origin::Keychain { keychain: 0, index: Some(19) }));
    assert!(!rule.reaches(&Origin::Keychain { keychain: 0, index: Some(20) }));
    assert!(!rule.is_exhausted());
}

#[test]
fn a_revealed_index_counts_like_a_used_one() {
    let rule = GapRule::new(&[GapLimit { gap_limit: Some(20), last_revealed: Some(7) }], |_| Some(27));
    assert!(rule.reaches(&Origin::Keychain { keychain: 0, index: Some(27) }));
    assert!(!rule.reaches(&Origin::Keychain { keychain: 0, index: Some(28) }));
}

#[test]
fn an_exhausted_look_ahead_is_extended_from_the_first_unmatched_index() {
    let mut rule = GapRule::new(&[ranged(5), ranged(5)], |_| Some(4));
    drop(rule.record(vec![block(1, &[(1, 3)])]));
    assert!(rule.is_exhausted());
    let ranges = rule.extension(10);
    let range = |keychain, first, last| IndexRange { keychain, first, last };
    assert_eq!(ranges, [range(0, 5, 14), range(1, 5, 18)]);
    rule.mark_matched(&ranges);
    assert!(!rule.is_exhausted());
    assert_eq!(rule.reported_through(), [Some(14), Some(18)]);
}

#[test]
fn above_the_limit_of_withheld_positions_their_indexes_count_as_unmatched() {
    let mut rule = everything_matched(&[ranged(5)]);
    for height in 0..=u32::try_from(WITHHELD_POSITIONS_MAX).unwrap() {
        drop(rule.record(vec![block(height, &[(0, 9)])]));
    }
    assert!(!rule.withholds_nothing());
    assert_eq!(rule.reported_through(), [Some(8)]);
    drop(rule.record(vec![block(u32::MAX, &[(0, 4)])]));
    assert!(rule.is_exhausted(), "9 is within the gap limit, and unmatched");
    assert_eq!(rule.extension(0), [IndexRange { keychain: 0, first: 9, last: 9 }]);
}

/// Repeats until nothing changes: an index within the limit of the uses so far counts as used.
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
    fn any_order_of_uses_ends_at_the_fixed_point_and_reports_each_position_once(
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
        let mut rule = everything_matched(&rules);
        let mut all = BTreeSet::new();
        for segment in reports.chunks(per_segment) {
            let (reports, pending) = rule.record(segment.to_vec());
            for position in positions(&reports, &pending) {
                prop_assert!(all.insert(position), "{:?} is reported twice", position);
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
