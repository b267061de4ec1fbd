//! A history is the same for any portions and any order of reports.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, ScriptBuf, TxMerkleNode, Txid};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::report::Origin;

fn some_origins() -> impl Strategy<Value = Vec<Origin>> {
    let origin = prop_oneof![
        (0..3u32, 0..3u32).prop_map(|(keychain, index)| Origin::Keychain { keychain, index: Some(index) }),
        (0..3u32).prop_map(Origin::Script),
        (0..3u32).prop_map(Origin::Outpoint),
    ];
    btree_set(origin, 1..4).prop_map(|origins: BTreeSet<Origin>| origins.into_iter().collect())
}

type Outputs = BTreeMap<u32, Vec<Origin>>;
type Inputs = BTreeMap<u32, (Option<u64>, Vec<Origin>)>;

/// A transaction whose txid encodes its position.
fn transaction(height: u32, tx_index: u32, outputs: Outputs, inputs: Inputs, has_extras: bool) -> TransactionReport {
    let place = u8::try_from(height * 10 + tx_index).expect("small numbers");
    let received = outputs.into_iter().map(|(vout, origins)| Received {
        vout,
        value: Amount::from_sat(vout.into()),
        script_pubkey: ScriptBuf::from(vec![place]),
        origins,
    });
    let spent = inputs.into_iter().map(|(vin, (value, origins))| {
        let prevout = OutPoint { txid: Txid::all_zeros(), vout: vin };
        Spent { vin, prevout, value: value.map(Amount::from_sat), origins }
    });
    TransactionReport {
        tx_index,
        txid: Txid::from_byte_array([place; 32]),
        received: received.collect(),
        spent: spent.collect(),
        raw: has_extras.then(|| vec![place]),
        merkle_branch: has_extras.then(|| vec![TxMerkleNode::from_byte_array([place; 32])]),
    }
}

fn header() -> bitcoin::block::Header {
    bitcoin::consensus::deserialize(&[9; 80]).expect("any 80 bytes are a header")
}

fn block(height: u32, transactions: Vec<TransactionReport>, has_header: bool) -> BlockReport {
    BlockReport {
        height: Height(height),
        hash: BlockHash::from_byte_array([u8::try_from(height).expect("small numbers"); 32]),
        time: height,
        is_late: false,
        header: has_header.then(header),
        transactions,
    }
}

/// A history in chain order, with a match in every transaction.
fn histories() -> impl Strategy<Value = Vec<BlockReport>> {
    let matches = (
        btree_map(0..4u32, some_origins(), 0..4),
        btree_map(0..4u32, (any::<Option<u64>>(), some_origins()), 0..4),
        any::<bool>(),
    );
    let matches = matches.prop_filter("a match", |(outputs, inputs, _)| !outputs.is_empty() || !inputs.is_empty());
    let blocks = btree_map(0..20u32, (btree_map(0..10u32, matches, 1..4), any::<bool>()), 0..6);
    blocks.prop_map(|blocks| {
        let blocks = blocks.into_iter().map(|(height, (transactions, has_header))| {
            let transactions = transactions.into_iter().map(|(tx_index, (outputs, inputs, has_extras))| {
                transaction(height, tx_index, outputs, inputs, has_extras)
            });
            block(height, transactions.collect(), has_header)
        });
        blocks.collect()
    })
}

/// The part of a report with the origins that `takes` accepts; none if nothing is left. Optional
/// fields are kept only if `whole` is true.
fn portion(report: &BlockReport, whole: bool, mut takes: impl FnMut() -> bool) -> Option<BlockReport> {
    let mut part = report.clone();
    for transaction in &mut part.transactions {
        for received in &mut transaction.received {
            received.origins.retain(|_origin| takes());
        }
        transaction.received.retain(|received| !received.origins.is_empty());
        for spent in &mut transaction.spent {
            spent.origins.retain(|_origin| takes());
            spent.value = spent.value.filter(|_value| whole);
        }
        transaction.spent.retain(|spent| !spent.origins.is_empty());
        transaction.raw = transaction.raw.take().filter(|_raw| whole);
        transaction.merkle_branch = transaction.merkle_branch.take().filter(|_branch| whole);
    }
    part.transactions.retain(|transaction| !transaction.received.is_empty() || !transaction.spent.is_empty());
    part.header = part.header.filter(|_header| whole);
    (!part.transactions.is_empty()).then_some(part)
}

/// A history, and the same history as a main part and late parts, shuffled. Parts may overlap.
fn histories_in_portions() -> impl Strategy<Value = (Vec<BlockReport>, Vec<BlockReport>)> {
    (histories(), vec(any::<u8>(), 64)).prop_flat_map(|(whole, choices)| {
        let mut portions = Vec::new();
        let mut choices = choices.into_iter().cycle();
        for report in &whole {
            // Each origin is in the parts named by its bits; origins in neither of the first two
            // are in the last.
            let bits: Vec<u8> = choices.by_ref().take(97).collect();
            for part in 0..3 {
                let mut bits = bits.iter().cycle();
                let takes = || {
                    let mask = bits.next().expect("a cycle") % 4;
                    if part < 2 { mask & (1 << part) != 0 } else { mask == 0 }
                };
                portions
                    .extend(portion(report, false, takes).map(|portion| BlockReport { is_late: part > 0, ..portion }));
            }
            // Some part has each optional field.
            portions.extend(
                portion(report, true, || choices.next().expect("a cycle") % 5 > 0)
                    .map(|part| BlockReport { is_late: true, ..part }),
            );
        }
        let rest = whole.clone();
        (Just(whole), Just(portions).prop_shuffle()).prop_map(move |(whole, mut portions)| {
            // The last part is whole, for the optional fields of transactions and inputs that the
            // chosen part left out.
            portions.extend(rest.iter().map(|report| BlockReport { is_late: true, ..report.clone() }).filter(
                |report| {
                    report.header.is_some()
                        || report.transactions.iter().any(|transaction| {
                            transaction.raw.is_some() || transaction.spent.iter().any(|spent| spent.value.is_some())
                        })
                },
            ));
            (whole, portions)
        })
    })
}

proptest! {
    #[test]
    fn a_history_in_portions_is_merged((whole, portions) in histories_in_portions()) {
        let history: History = portions.into_iter().collect();
        prop_assert_eq!(history.transaction_count(), whole.iter().map(|report| report.transactions.len()).sum::<usize>());
        prop_assert_eq!(history.into_reports().collect::<Vec<_>>(), whole);
    }

    #[test]
    fn a_repeated_report_changes_nothing(whole in histories()) {
        let history: History = whole.iter().chain(&whole).cloned().collect();
        prop_assert_eq!(history.into_reports().collect::<Vec<_>>(), whole);
    }

    #[test]
    fn truncation_removes_all_blocks_from_that_height_on(whole in histories(), from in 0..20u32) {
        let mut history: History = whole.iter().rev().cloned().collect();
        history.truncate(Height(from));
        let left: Vec<_> = whole.into_iter().filter(|report| report.height.0 < from).collect();
        prop_assert_eq!(history.is_empty(), left.is_empty());
        prop_assert_eq!(history.into_reports().collect::<Vec<_>>(), left);
    }
}

fn spend(value: Option<u64>) -> BlockReport {
    let inputs = Inputs::from([(0, (value, vec![Origin::Outpoint(0)]))]);
    block(1, vec![transaction(1, 0, Outputs::new(), inputs, false)], false)
}

#[test]
fn a_value_in_either_report_is_kept() {
    for pair in [[None, Some(5)], [Some(5), None]] {
        let history: History = pair.into_iter().map(spend).collect();
        let values: Vec<_> = history.reports().map(|report| report.transactions[0].spent[0].value).collect();
        assert_eq!(values, [Some(Amount::from_sat(5))]);
    }
}

#[test]
fn blocks_of_one_height_and_two_hashes_are_kept_apart() {
    let other = BlockReport { hash: BlockHash::from_byte_array([77; 32]), ..spend(None) };
    let history: History = [spend(None), other].into_iter().collect();
    assert_eq!(history.reports().count(), 2);
}
