//! The gap rule on random chains: for any order of use, any look-ahead and any point at which a
//! scan is resumed, the answer is that of repeated scans until nothing changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::OutPoint;
use proptest::prelude::*;
use rescan_core::coins::{Coin, CoinLedger};
use rescan_core::history::History;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{BlockReport, KeychainUse, Origin, Outcome, Received, Spent, TransactionReport};
use rescan_core::request::GivenKeychain;
use rescan_core::watching::watch_set::WatchSetBuilder;
use rescan_fixtures::closure::random::{Case, random_case};
use rescan_fixtures::closure::{self, Closure, Owner};
use rescan_server::blocks::block_file::Access;
use rescan_server::scan::{LookaheadConfig, ScanPlan, ScannedPart, SegmentSize};

use crate::{Answer, ReadChain, RunConfig, WatchInput, plan, run, watch_keychains};

/// The watch input of a case, given the last known use of each keychain and the known coins.
fn input(case: &Case, last_used: &[KeychainUse], coins: &[Coin]) -> WatchInput {
    let specs = case.descriptors.iter().zip(&case.asked.keychains).enumerate();
    let given = specs.map(|(number, (descriptor, spec))| {
        let used = match last_used.get(number) {
            Some(KeychainUse::LastUsed(index)) => Some(*index),
            _ => None,
        };
        let last_revealed = spec.last_revealed.max(used);
        GivenKeychain { descriptor: descriptor.clone(), gap_limit: spec.gap_limit, last_revealed }
    });
    let input = watch_keychains(given);
    let mut more = WatchSetBuilder::new();
    for (number, script) in (0..).zip(&case.asked.scripts) {
        more.add_script(script.as_bytes(), Origin::Script(number)).unwrap();
    }
    let given = case.asked.outpoints.iter().map(|(outpoint, output)| (*outpoint, output.as_ref().map(|it| it.value)));
    let live = coins.iter().map(|coin| (coin.outpoint, Some(coin.value)));
    for (number, (outpoint, value)) in (0..).zip(given.chain(live)) {
        more.add_outpoint(outpoint, value, Origin::Outpoint(number));
    }
    WatchInput { watch: Arc::new(input.watch.extended(more)), keychains: input.keychains }
}

fn owned(owners: &[Owner]) -> impl Iterator<Item = Origin> {
    owners
        .iter()
        .map(|owner| Origin::Keychain { keychain: u32::try_from(owner.keychain).unwrap(), index: Some(owner.index) })
}

/// The answer of the specification, as reports.
fn expected(case: &Case, closure: &Closure) -> Vec<BlockReport> {
    let single = |script: &bitcoin::Script| {
        let at = case.asked.scripts.iter().position(|own| own.as_script() == script);
        at.map(|at| Origin::Script(u32::try_from(at).unwrap()))
    };
    let given = |outpoint: &OutPoint| {
        let at = case.asked.outpoints.iter().position(|(own, _)| own == outpoint);
        at.map(|at| Origin::Outpoint(u32::try_from(at).unwrap()))
    };
    // A given outpoint from before the range has no known script.
    let made_in_range = |outpoint: &OutPoint| {
        let made = closure.answer.transactions.iter().filter(|transaction| transaction.txid == outpoint.txid);
        let mut received = made.flat_map(|transaction| &transaction.received);
        received.find(|received| received.vout == outpoint.vout).map(|received| received.output.clone())
    };
    let mut reports: BTreeMap<u32, BlockReport> = BTreeMap::new();
    for transaction in &closure.answer.transactions {
        let received = transaction.received.iter().map(|received| Received {
            vout: received.vout,
            value: received.output.value,
            script_pubkey: received.output.script_pubkey.clone(),
            origins: owned(&closure.owners(&received.output.script_pubkey))
                .chain(single(&received.output.script_pubkey))
                .collect(),
        });
        let spent = transaction.spent.iter().map(|spent| Spent {
            vin: spent.vin,
            prevout: spent.prevout,
            value: spent.output.as_ref().map(|output| output.value),
            origins: owned(&closure.owners_of_spent(spent))
                .chain(made_in_range(&spent.prevout).and_then(|output| single(&output.script_pubkey)))
                .chain(given(&spent.prevout))
                .collect(),
        });
        let (received, spent) = (received.collect(), spent.collect());
        let (tx_index, txid) = (transaction.tx_index, transaction.txid);
        let report = reports.entry(transaction.height).or_insert_with(|| BlockReport {
            height: Height(transaction.height),
            hash: transaction.block_hash,
            time: transaction.block_time,
            is_late: false,
            header: None,
            transactions: Vec::new(),
        });
        report.transactions.push(TransactionReport { tx_index, txid, received, spent, raw: None, merkle_branch: None });
    }
    reports.into_values().collect()
}

fn uses(closure: &Closure) -> Vec<KeychainUse> {
    let used = closure.keychains.iter().map(|end| end.last_used);
    used.map(|used| used.map_or(KeychainUse::Unused, KeychainUse::LastUsed)).collect()
}

/// A plan for the case's range up to `last`, with a first look-ahead of `lookahead` indexes.
fn case_plan(
    chain: &ReadChain,
    case: &Case,
    input: &WatchInput,
    last: Height,
    lookahead: u32,
    blocks_max: u32,
) -> ScanPlan {
    // Half of the cases look far ahead, as far as is worthwhile, the others as little as possible.
    let each = if blocks_max == 1 { lookahead.saturating_mul(50) } else { lookahead };
    let size = SegmentSize { blocks_max, ..SegmentSize::default() };
    ScanPlan {
        range: HeightRange::new(Height(case.from_height), last).unwrap(),
        lookahead: LookaheadConfig { each, total: u32::MAX, each_min: lookahead, after: Duration::ZERO },
        ..plan(chain, input, RunConfig { size, ..RunConfig::with_workers(1) })
    }
}

/// Compares block by block: a failure with two whole histories would be unreadable.
fn assert_same(found: &[BlockReport], expected: &[BlockReport]) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((found.height, found.transactions.len()), (expected.height, expected.transactions.len()));
        for (found, expected) in found.transactions.iter().zip(&expected.transactions) {
            assert_eq!(found, expected, "at one height");
        }
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

fn assert_complete(answer: &Answer, case: &Case, closure: &Closure, lookahead: u32) {
    assert_eq!(answer.outcome, Outcome::Complete);
    assert_same(&answer.reports, &expected(case, closure));
    assert_eq!(answer.totals.keychains, uses(closure));
    assert_eq!(answer.totals.transactions, closure.answer.transactions.len() as u64);
    assert_eq!(answer.totals.coins.count, closure.answer.coins.len() as u64);
    let sat: u64 = closure.answer.coins.iter().map(|coin| coin.output.value.to_sat()).sum();
    assert_eq!(answer.totals.coins.total_sat, sat);
    for (through, end) in answer.totals.watched_through.iter().zip(&closure.keychains) {
        assert!(*through >= end.watched_through, "{through:?} of {end:?}");
    }
    let highest = closure.keychains.iter().filter_map(|end| end.last_used).max().unwrap_or(0);
    let doublings = f64::from((highest + 1).max(lookahead)) / f64::from(lookahead);
    let passes_max = 2.0 + doublings.log2().ceil();
    assert!(f64::from(answer.totals.passes) <= passes_max, "{} passes to {highest}", answer.totals.passes);
}

fn open(case: &Case) -> (ReadChain, Height, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    case.chain.write(dir.path()).unwrap();
    let chain = ReadChain::open(dir.path(), Access::read());
    let tip = chain.chain.newest().unwrap().tip().unwrap().height;
    (chain, tip, dir)
}

// Four scans a case: a defect of look-ahead, backfill or withheld matches shows within the first few.
proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn every_order_of_use_ends_at_the_fixed_point(seed in any::<u64>(), lookahead in 1_u32..40) {
        let case = random_case(seed);
        let closure = closure::scan(case.range(), &case.asked);
        let (chain, tip, _dir) = open(&case);
        let input = input(&case, &[], &[]);
        for (workers, blocks_max) in [(1, 1), (2, 3), (4, 1), (3, 1_000)] {
            let plan = case_plan(&chain, &case, &input, tip, lookahead, blocks_max);
            let answer = run(&chain, plan, workers).unwrap();
            assert_complete(&answer, &case, &closure, lookahead);
        }
    }
}

// A lost backfill of earlier scripts showed only after 10 cases.
proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_scan_and_its_resumption_add_up_to_one_scan(
        seed in any::<u64>(),
        lookahead in 1_u32..40,
        part in 0.0_f64..1.0,
    ) {
        let case = random_case(seed);
        let closure = closure::scan(case.range(), &case.asked);
        let (chain, tip, _dir) = open(&case);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two heights")]
        let through = Height(case.from_height + (f64::from(tip.0 - case.from_height) * part) as u32);
        let first = case_plan(&chain, &case, &input(&case, &[], &[]), through, lookahead, 2);
        let first = run(&chain, first, 2).unwrap();
        let mut ledger = CoinLedger::new();
        first.reports.iter().for_each(|report| ledger.apply(report));
        let coins: Vec<Coin> = ledger.sorted().into_iter().cloned().collect();
        let input = input(&case, &first.totals.keychains, &coins);
        let scanned = ScannedPart { through, watched_through: first.totals.watched_through.clone() };
        let second = ScanPlan { scanned: Some(scanned), ..case_plan(&chain, &case, &input, tip, lookahead, 2) };
        let second = run(&chain, second, 2).unwrap();
        let mut both = History::new();
        for mut report in first.reports.into_iter().chain(second.reports) {
            restore_origins(&mut report, case.asked.outpoints.len(), &coins);
            both.add(report);
        }
        prop_assert_eq!(second.outcome, Outcome::Complete);
        assert_same(&both.into_reports().collect::<Vec<_>>(), &expected(&case, &closure));
    }
}

/// Replaces the outpoint origin of a coin that an earlier scan found by the origins which that scan
/// reported.
fn restore_origins(report: &mut BlockReport, given: usize, coins: &[Coin]) {
    for spent in report.transactions.iter_mut().flat_map(|transaction| &mut transaction.spent) {
        let origins = spent.origins.iter().flat_map(|origin| match *origin {
            Origin::Outpoint(number) if number as usize >= given => coins[number as usize - given].origins.clone(),
            origin => vec![origin],
        });
        let mut origins: Vec<Origin> = origins.collect();
        origins.sort_unstable();
        origins.dedup();
        spent.origins = origins;
    }
}
