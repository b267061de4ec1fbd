//! A checkpoint is what a replay of the same reports from scratch says, whatever was repeated, late or taken back; and a
//! file that is not one is refused.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, ScriptBuf};
use proptest::prelude::*;
use rescan_core::coins::CoinLedger;
use rescan_core::report::{Received, Spent, TransactionReport};

use super::*;
use crate::checkpoint::file::{parse, serialize};
use crate::wallets::{Wallet, Wallets};

const KEYCHAINS: usize = 2;

/// A branch's block at a height.
fn hash(height: u32, branch: u8) -> BlockHash {
    let mut bytes = [branch; 32];
    bytes[..4].copy_from_slice(&height.to_le_bytes());
    BlockHash::from_byte_array(bytes)
}

fn id(height: u32, branch: u8) -> BlockId {
    BlockId { height: Height(height), hash: hash(height, branch), time: height }
}

fn txid(height: u32, branch: u8, tx_index: u32) -> Txid {
    let mut bytes = [branch; 32];
    bytes[..8].copy_from_slice(&[height.to_le_bytes(), tx_index.to_le_bytes()].concat());
    Txid::from_byte_array(bytes)
}

fn origin(keychain: u32, index: u32) -> Origin {
    Origin::Keychain { keychain, index: Some(index) }
}

fn received(index: u32) -> Received {
    let script_pubkey = ScriptBuf::from_bytes(vec![0x51, u8::try_from(index % 200).unwrap()]);
    let origins = vec![origin(index % 2, index)];
    Received { vout: 0, value: Amount::from_sat(u64::from(index) + 1), script_pubkey, origins }
}

fn spent(coin: &Coin) -> Spent {
    Spent { vin: 0, prevout: coin.outpoint, value: Some(coin.value), origins: coin.origins.clone() }
}

fn report(height: u32, branch: u8, transactions: Vec<(Vec<Received>, Vec<Spent>)>) -> BlockReport {
    let transactions = (0..).zip(transactions).map(|(tx_index, (received, spent))| {
        let txid = txid(height, branch, tx_index);
        TransactionReport { tx_index, txid, received, spent, raw: None, merkle_branch: None }
    });
    let BlockId { height, hash, time } = id(height, branch);
    BlockReport { height, hash, time, is_late: false, header: None, transactions: transactions.collect() }
}

fn mark(height: u32, branch: u8, watched: u32) -> ResumePoint {
    ResumePoint {
        from: Height(1),
        block: id(height, branch),
        locator: (1..=height).rev().map(|height| hash(height, branch)).collect(),
        keychains: vec![KeychainUse::Unused; KEYCHAINS],
        watched_through: vec![Some(watched); KEYCHAINS],
    }
}

fn base() -> ScanRequest {
    ScanRequest::new().keychain("first").keychain("second").from_height(Height(1))
}

fn checkpoint() -> Checkpoint {
    Checkpoint::new(BlockHash::all_zeros(), &base())
}

/// Two moves in a block: a new coin of an index, and the spend of a live one.
type Move = (bool, u32, usize);

/// A chain above `below`: a block for each of `moves` that is not none.
fn grow(below: &[BlockReport], branch: u8, from: u32, moves: &[Option<Vec<Move>>]) -> Vec<BlockReport> {
    let mut chain = below.to_vec();
    for (height, moves) in (from..).zip(moves) {
        let Some(moves) = moves else { continue };
        let mut ledger = CoinLedger::new();
        chain.iter().for_each(|report| ledger.apply(report));
        let mut alive: Vec<Coin> = ledger.sorted().into_iter().cloned().collect();
        let transactions = moves.iter().map(|(spends, index, which)| {
            let coin = (*spends && !alive.is_empty()).then(|| alive.remove(which % alive.len()));
            let received = if coin.is_none() || index % 3 == 0 { vec![received(*index)] } else { Vec::new() };
            (received, coin.iter().map(spent).collect())
        });
        let transactions: Vec<_> = transactions.collect();
        if !transactions.is_empty() {
            chain.push(report(height, branch, transactions));
        }
    }
    chain
}

fn moves(blocks: usize) -> impl Strategy<Value = Vec<Option<Vec<Move>>>> {
    let one = prop::collection::vec((any::<bool>(), 0u32..40, any::<usize>()), 0..4);
    prop::collection::vec(prop::option::of(one), blocks)
}

/// Live coins and last uses, replayed from scratch.
fn replayed(chain: &[BlockReport]) -> (BTreeMap<OutPoint, Coin>, BTreeMap<u32, Option<u32>>) {
    let mut ledger = CoinLedger::new();
    chain.iter().for_each(|report| ledger.apply(report));
    let coins = ledger.sorted().into_iter().map(|coin| (coin.outpoint, coin.clone())).collect();
    let mut uses = BTreeMap::new();
    let received = chain.iter().flat_map(|report| &report.transactions).flat_map(|transaction| &transaction.received);
    for origin in received.flat_map(|received| &received.origins) {
        if let Origin::Keychain { keychain, index } = origin {
            let last = uses.entry(*keychain).or_insert(*index);
            *last = (*last).max(*index);
        }
    }
    (coins, uses)
}

fn known(checkpoint: &Checkpoint) -> (BTreeMap<OutPoint, Coin>, BTreeMap<u32, Option<u32>>) {
    (checkpoint.ledger.coins.clone(), checkpoint.ledger.uses())
}

fn txids(reports: &[BlockReport]) -> Vec<(Height, BlockHash, Txid)> {
    let each = |report: &BlockReport| {
        let (height, hash) = (report.height, report.hash);
        report.transactions.iter().map(|transaction| (height, hash, transaction.txid)).collect::<Vec<_>>()
    };
    reports.iter().flat_map(each).collect()
}

/// Reports of the indexes from `split` on, as a backfill pass sends them, and of the others, which came in time.
fn split_late(chain: &[BlockReport], split: u32) -> (Vec<BlockReport>, Vec<BlockReport>) {
    let is_late =
        |origins: &[Origin]| matches!(origins[0], Origin::Keychain { index: Some(index), .. } if index >= split);
    let part = |late: bool| -> Vec<BlockReport> {
        let part = chain.iter().map(|report| {
            let mut report = report.clone();
            report.is_late = late;
            for transaction in &mut report.transactions {
                transaction.received.retain(|received| is_late(&received.origins) == late);
                transaction.spent.retain(|spent| is_late(&spent.origins) == late);
            }
            report.transactions.retain(|transaction| !transaction.received.is_empty() || !transaction.spent.is_empty());
            report
        });
        part.filter(|report| !report.transactions.is_empty()).collect()
    };
    (part(false), part(true))
}

proptest! {
    #[test]
    fn a_checkpoint_is_what_a_replay_says_before_and_after_it_went_back(
        first in moves(14), second in moves(10), fork in 0u32..14, repeat in any::<bool>()
    ) {
        let mut checkpoint = checkpoint();
        let trunk = grow(&[], 0, 1, &first);
        for report in &trunk {
            checkpoint.apply(report);
            if repeat { checkpoint.apply(report); }
        }
        prop_assert_eq!(known(&checkpoint), replayed(&trunk));
        checkpoint.settle(&mark(14, 0, 100));
        let (below, above): (Vec<_>, Vec<_>) = trunk.into_iter().partition(|report| report.height.0 <= fork);
        let withdrawn = checkpoint.rewind_to((fork > 0).then(|| id(fork, 0))).unwrap();
        let withdrawn: Vec<_> = withdrawn.iter().map(|it| (it.height, it.block_hash, it.txid)).collect();
        prop_assert_eq!(withdrawn, txids(&above).into_iter().rev().collect::<Vec<_>>());
        prop_assert_eq!(known(&checkpoint), replayed(&below));
        prop_assert_eq!(checkpoint.scanned_to(), (fork > 0).then(|| id(fork, 0)));
        let branch = grow(&below, 1, fork + 1, &second);
        branch.iter().for_each(|report| checkpoint.apply(report));
        prop_assert_eq!(known(&checkpoint), replayed(&branch));
    }

    #[test]
    fn reports_may_be_late_repeated_and_out_of_order_across_the_edge_of_the_undo(
        moves in moves(400), split in 1u32..40, twice in 0usize..3, order in any::<prop::sample::Index>(),
        fork in 320u32..400,
    ) {
        let chain = grow(&[], 0, 1, &moves);
        let (timely, mut late) = split_late(&chain, split);
        let mut checkpoint = checkpoint();
        timely.iter().for_each(|report| checkpoint.apply(report));
        // A late pass that was broken off, and begins anew after a mark; its parts in some other order.
        let middle = order.index(late.len() + 1);
        late[..middle].iter().for_each(|report| checkpoint.apply(report));
        checkpoint.settle(&mark(400, 0, split - 1));
        late.rotate_left(middle);
        for _ in 0..=twice {
            late.iter().for_each(|report| checkpoint.apply(report));
        }
        prop_assert_eq!(known(&checkpoint), replayed(&chain));
        checkpoint.settle(&mark(400, 0, 40));
        prop_assert!(checkpoint.ledger.buried.is_empty());
        let bytes = serialize(&checkpoint);
        prop_assert_eq!(&parse(Path::new("c"), &bytes).unwrap(), &checkpoint);
        checkpoint.rewind_to(Some(id(fork, 0))).unwrap();
        let below: Vec<_> = chain.into_iter().filter(|report| report.height.0 <= fork).collect();
        prop_assert_eq!(known(&checkpoint), replayed(&below));
    }
}

/// A report of a coin at each height.
fn busy(heights: std::ops::RangeInclusive<u32>) -> Vec<BlockReport> {
    heights.map(|height| report(height, 0, vec![(vec![received(height)], Vec::new())])).collect()
}

#[test]
fn a_fork_is_gone_back_to_within_288_blocks_and_no_deeper() {
    let mut checkpoint = checkpoint();
    busy(1..=400).iter().for_each(|report| checkpoint.apply(report));
    checkpoint.settle(&mark(400, 0, 500));
    let before = checkpoint.clone();
    assert_eq!(checkpoint.rewind_to(Some(id(111, 0))), Err(TooDeepError { fork: Some(Height(111)) }));
    assert_eq!(checkpoint.rewind_to(None), Err(TooDeepError { fork: None }));
    assert_eq!(checkpoint, before);
    assert_eq!(checkpoint.rewind_to(Some(id(112, 0))).unwrap().len(), 288);
    let mut checkpoint = before;
    assert_eq!(checkpoint.start_over().reverted.len(), 288);
    assert_eq!((checkpoint.scanned_to(), checkpoint.coins().count()), (None, 0));
}

#[test]
fn a_wallet_that_was_quiet_goes_back_as_deep_as_it_was_quiet() {
    let mut checkpoint = checkpoint();
    busy(1..=3).iter().for_each(|report| checkpoint.apply(report));
    checkpoint.settle(&mark(5_000, 0, 100));
    assert_eq!(checkpoint.rewind_to(Some(id(4, 0))), Ok(Vec::new()));
    assert_eq!(checkpoint.scanned_to(), Some(id(4, 0)));
}

#[test]
fn reports_above_the_last_mark_come_again_and_are_withdrawn_only_if_they_fell() {
    let mut checkpoint = checkpoint();
    let reports = busy(1..=20);
    reports.iter().for_each(|report| checkpoint.apply(report));
    checkpoint.settle(&mark(10, 0, 100));
    let withdrawn = checkpoint.rewind_to(Some(id(17, 0))).unwrap();
    assert_eq!(withdrawn.iter().map(|it| it.height.0).collect::<Vec<_>>(), [20, 19, 18]);
    assert_eq!(known(&checkpoint), replayed(&reports[..10]));
    assert_eq!(checkpoint.scanned_to(), Some(id(10, 0)));
}

#[test]
fn what_was_above_a_fork_is_not_taken_for_known_again() {
    let mut checkpoint = checkpoint();
    busy(1..=20).iter().for_each(|report| checkpoint.apply(report));
    checkpoint.settle(&mark(20, 0, 100));
    checkpoint.rewind_to(Some(id(15, 0))).unwrap();
    let known: BTreeSet<BlockHash> = checkpoint.known_blocks().into_iter().collect();
    assert_eq!(known, (1..=15).map(|height| hash(height, 0)).collect());
    assert_eq!(checkpoint.known_blocks().first(), Some(&hash(15, 0)));
}

#[test]
fn the_request_that_goes_on_gives_the_coins_and_the_last_uses_and_its_answers_look_as_if_nothing_had_stopped() {
    let mut checkpoint = checkpoint();
    let found = report(5, 0, vec![(vec![received(6)], Vec::new()), (vec![received(9)], Vec::new())]);
    checkpoint.apply(&found);
    checkpoint.settle(&mark(10, 0, 30));
    let given = GivenOutpoint { outpoint: OutPoint { txid: txid(0, 9, 9), vout: 3 }, output: None };
    let mut base = base().outpoint(given.clone());
    base.keychains[0].last_revealed = Some(20);
    let resume = checkpoint.request(&base);
    let request = &resume.request;
    assert_eq!(request.range.from, RangeStart::After(vec![hash(10, 0)]));
    assert_eq!(request.scanned, Some(Scanned { from: Height(1), watched_through: vec![Some(30); 2] }));
    assert_eq!(request.keychains.iter().map(|it| it.last_revealed).collect::<Vec<_>>(), [Some(20), Some(9)]);
    assert_eq!(request.outpoints.len(), 3);
    assert_eq!(request.outpoints[0], given);
    // A spend of all three.
    let answer = |origins: [Vec<Origin>; 3]| {
        let spend = |(given, origins): (&GivenOutpoint, Vec<Origin>)| Spent {
            vin: 0,
            prevout: given.outpoint,
            value: None,
            origins,
        };
        report(11, 0, vec![(Vec::new(), request.outpoints.iter().zip(origins).map(spend).collect())])
    };
    let mut said =
        answer([vec![Origin::Outpoint(0)], vec![Origin::Outpoint(1)], vec![origin(0, 6), Origin::Outpoint(2)]]);
    resume.restore_origins(&mut said);
    let real: Vec<_> = checkpoint.coins().map(|coin| coin.origins.clone()).collect();
    let last = said.transactions[0].spent[2].origins.clone();
    assert_eq!(said, answer([vec![Origin::Outpoint(0)], real[0].clone(), last.clone()]));
    assert!(last.iter().all(|origin| matches!(origin, Origin::Keychain { .. })));
}

fn small() -> Checkpoint {
    let mut checkpoint = checkpoint();
    let paid = report(3, 0, vec![(vec![received(6)], Vec::new())]);
    let coin = {
        checkpoint.apply(&paid);
        checkpoint.coins().next().unwrap().clone()
    };
    checkpoint.apply(&report(4, 0, vec![(vec![received(7)], vec![spent(&coin)])]));
    checkpoint.settle(&mark(4, 0, 7));
    checkpoint
}

#[test]
fn no_flipped_byte_goes_unnoticed() {
    let checkpoint = small();
    let bytes = serialize(&checkpoint);
    for at in 0..bytes.len() {
        for flip in [1, 0x20, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            assert!(parse(Path::new("c"), &damaged).is_err(), "byte {at} with {flip:#x}");
        }
    }
}

#[test]
fn no_truncation_and_no_appendix_goes_unnoticed() {
    let bytes = serialize(&small());
    for length in 0..bytes.len() {
        assert!(parse(Path::new("c"), &bytes[..length]).is_err(), "{length} bytes");
    }
    assert!(parse(Path::new("c"), &[&bytes[..], b"\n"].concat()).is_err());
}

#[test]
fn a_checkpoint_is_saved_for_its_owner_alone_and_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wallet.checkpoint");
    assert_eq!(Checkpoint::load(&path).unwrap(), None);
    std::fs::write(directory.path().join("wallet.checkpoint.new"), "left by a run that was killed").unwrap();
    checkpoint().save(&path).unwrap();
    small().save(&path).unwrap();
    assert_eq!(Checkpoint::load(&path).unwrap(), Some(small()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn what_is_no_checkpoint_is_told_apart_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    let load = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        let error = Checkpoint::load(&path).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), content);
        error
    };
    assert!(matches!(load(b"{\"wallet\":1}"), LoadError::NotACheckpoint { found, .. } if found.contains("wallet")));
    assert!(matches!(load(b""), LoadError::NotACheckpoint { .. }));
    assert!(matches!(load(b"rescan-checkpoint 2 and more\n"), LoadError::Newer { found: 2, known: 1, .. }));
    assert!(matches!(load(b"rescan-checkpoint one\n"), LoadError::Damaged { .. }));
}

#[test]
fn a_reverted_transaction_has_the_origins_of_all_its_reports_from_a_file_too() {
    for mut checkpoint in [small(), parse(Path::new("c"), &serialize(&small())).unwrap()] {
        let reverted = checkpoint.start_over().reverted;
        let origins: Vec<_> = reverted.iter().map(|it| it.origins.as_slice()).collect();
        assert_eq!(origins, [&[origin(0, 6), origin(1, 7)][..], &[origin(0, 6)]]);
    }
}

#[test]
fn a_checkpoint_is_bound_to_the_names_and_the_parts_of_its_wallets() {
    let genesis = BlockHash::all_zeros();
    let request = |wallets: &[(&str, &[&str])]| {
        let mut all = Wallets::new();
        for (name, keychains) in wallets {
            let wallet = keychains.iter().fold(Wallet::new(), |wallet, keychain| wallet.keychain(*keychain));
            all.add(*name, wallet).unwrap();
        }
        all.watched_by(base())
    };
    let two = request(&[("a", &["first"]), ("b", &["second"])]);
    let checkpoint = Checkpoint::new(genesis, &two);
    assert_eq!(checkpoint.check(genesis, &two), Ok(()));
    let both: &[&str] = &["first", "second"];
    for other in [
        request(&[("a", &["first"]), ("c", &["second"])]),
        request(&[("b", &["first"]), ("a", &["second"])]),
        request(&[("a", both), ("b", &[])]),
        request(&[("a", both)]),
        base(),
    ] {
        assert!(matches!(checkpoint.check(genesis, &other), Err(ResumeError::Request { .. })), "{other:?}");
    }
}

#[test]
fn a_checkpoint_of_another_network_or_request_is_refused_and_of_another_gap_limit_is_not() {
    let checkpoint = checkpoint();
    let genesis = BlockHash::all_zeros();
    assert_eq!(checkpoint.check(genesis, &base()), Ok(()));
    let mut later = base().to_height(Height(9));
    later.keychains[0] = "first#checksum".into();
    later.keychains[1].gap_limit = 20;
    assert_eq!(checkpoint.check(genesis, &later), Ok(()));
    assert!(matches!(checkpoint.check(hash(1, 1), &base()), Err(ResumeError::Network { .. })));
    for other in
        [base().keychain("third"), base().from_height(Height(0)), base().birthday(1), base().script(ScriptBuf::new())]
    {
        assert!(matches!(checkpoint.check(genesis, &other), Err(ResumeError::Request { .. })), "{other:?}");
    }
}
