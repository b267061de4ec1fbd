//! The choice against a slow and obvious one, on random trees read in random order.

#![expect(clippy::indexing_slicing, reason = "tests")]

use bitcoin::hashes::Hash;
use proptest::prelude::*;

use super::*;
use crate::chain::active_chain::ActiveChain;
use crate::chain::block_index::{FileLoss, HeaderRecord};
use crate::chain::network::Network;
use crate::position::FileNumber;

mod node;

/// Two difficulties: the second counts for about 2^15 of the first.
const BITS: [Bits; 2] = [Bits(0x207f_ffff), Bits(0x1f00_ffff)];
/// Blocks in one block file.
const BLOCKS_PER_FILE: u32 = 7;

/// A random tree: of each block after genesis how far back its parent was made, and which difficulty it has.
fn trees() -> impl Strategy<Value = Vec<HeaderRecord>> {
    prop::collection::vec((prop_oneof![6 => Just(1usize), 2 => 2usize..6, 1 => 1usize..60], 0usize..8), 0..60).prop_map(
        |blocks| {
            let mut records = vec![record(0, Network::Regtest.genesis_hash(), BlockHash::all_zeros(), 0)];
            for (made, (back, bits)) in (1u32..).zip(blocks) {
                let parent = records[records.len().saturating_sub(back)].hash;
                records.push(record(made, hash_of(made), parent, usize::from(bits == 7)));
            }
            records
        },
    )
}

fn hash_of(made: u32) -> BlockHash {
    BlockHash::hash(&made.to_le_bytes())
}

fn record(made: u32, hash: BlockHash, prev_hash: BlockHash, bits: usize) -> HeaderRecord {
    let span =
        RecordSpan { file: FileNumber(made / BLOCKS_PER_FILE), offset: 8 + 300 * (made % BLOCKS_PER_FILE), size: 200 };
    HeaderRecord { hash, prev_hash, time: made, bits: BITS[bits], span }
}

/// The chain of most work that genesis reaches, the earlier record of the tip where two have the same.
fn oracle(records: &[HeaderRecord]) -> Vec<BlockHash> {
    oracle_without(records, &[])
}

/// The same among the chains that have none of the blocks in `left`.
fn oracle_without(records: &[HeaderRecord], left: &[BlockHash]) -> Vec<BlockHash> {
    let chains = records.iter().map(|tip| chain_to(records, tip));
    let rooted = chains.filter(|chain| chain[0].hash == Network::Regtest.genesis_hash());
    let taken = rooted.filter(|chain| !chain.iter().any(|record| left.contains(&record.hash)));
    let best = taken.max_by_key(|chain| (work_of(chain), std::cmp::Reverse(chain[chain.len() - 1].span)));
    best.unwrap_or_default().iter().map(|record| record.hash).collect()
}

/// What is known of the ancestors of `tip`, the oldest first, and `tip`.
fn chain_to(records: &[HeaderRecord], tip: &HeaderRecord) -> Vec<HeaderRecord> {
    let find = |hash: BlockHash| records.iter().find(|record| record.hash == hash);
    let mut chain = vec![*tip];
    while let Some(parent) = find(chain[chain.len() - 1].prev_hash) {
        chain.push(*parent);
    }
    chain.reverse();
    chain
}

fn work_of(records: &[HeaderRecord]) -> u128 {
    records.iter().map(|record| record.bits.work().0).sum()
}

fn hashes(snapshot: &ActiveChain) -> Vec<BlockHash> {
    let top = snapshot.tip().map_or(0, |tip| tip.height.0 + 1);
    (0..top).filter_map(|height| snapshot.id(Height(height))).map(|id| id.hash).collect()
}

/// No coinbase says anything: runs without a root stay unplaced.
fn settle(tree: &mut BlockIndex) -> ActiveChain {
    tree.settle(&mut |_| None);
    tree.snapshot()
}

fn shuffled(records: &[HeaderRecord], order: &[u16]) -> Vec<HeaderRecord> {
    let mut keyed: Vec<(u16, HeaderRecord)> = order.iter().copied().cycle().zip(records.iter().copied()).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, record)| record).collect()
}

proptest! {
    #[test]
    fn the_active_chain_has_most_work_in_whatever_order_blocks_are_read(
        records in trees(), order in prop::collection::vec(any::<u16>(), 1..80), settle_every in 1usize..40
    ) {
        let mut tree = BlockIndex::new(Network::Regtest);
        let read = shuffled(&records, &order);
        for (count, record) in read.iter().enumerate() {
            tree.insert(*record);
            if count % settle_every == 0 {
                prop_assert_eq!(hashes(&settle(&mut tree)), oracle(&read[..=count]));
            }
        }
        let snapshot = settle(&mut tree);
        prop_assert_eq!(hashes(&snapshot), oracle(&records));
        for (height, hash) in (0u32..).zip(oracle(&records)) {
            prop_assert_eq!(snapshot.height_of(&hash), Some(Height(height)));
        }
    }

    #[test]
    fn a_changed_file_leaves_what_a_first_reading_would_find(
        records in trees(), order in prop::collection::vec(any::<u16>(), 1..80),
        changed in prop::collection::vec(0u32..9, 0..4), kept: u64
    ) {
        let mut tree = BlockIndex::new(Network::Regtest);
        shuffled(&records, &order).into_iter().for_each(|record| tree.insert(record));
        settle(&mut tree);
        let is_kept = |record: &&HeaderRecord| {
            !changed.contains(&record.span.file.0) || kept >> (record.time % 64) & 1 == 1
        };
        let left: Vec<HeaderRecord> = records.iter().filter(is_kept).copied().collect();
        for file in &changed {
            tree.forget_file(FileNumber(*file), FileLoss::Changed);
        }
        let in_changed = left.iter().filter(|record| changed.contains(&record.span.file.0));
        in_changed.for_each(|record| tree.insert(*record));
        prop_assert_eq!(hashes(&settle(&mut tree)), oracle(&left));
        // What was lost may come back.
        records.iter().for_each(|record| tree.insert(*record));
        prop_assert_eq!(hashes(&settle(&mut tree)), oracle(&records));
        prop_assert_eq!(tree.block_count(), records.len());
    }

    #[test]
    fn a_tree_put_together_again_is_the_same(
        records in trees(), order in prop::collection::vec(any::<u16>(), 1..80), omitted in 0u32..30
    ) {
        let heights_by_time = |span: RecordSpan| {
            records.iter().find(|record| record.span == span).map(|record| Height(record.time + 100))
        };
        let mut tree = BlockIndex::new(Network::Regtest);
        let some = shuffled(&records, &order).into_iter().filter(|record| record.time != omitted);
        some.for_each(|record| tree.insert(record));
        tree.settle(&mut |span| heights_by_time(span));
        let mut restorer = crate::chain::codec::TreeRestorer::new(Network::Regtest);
        for record in tree.rooted_records() {
            prop_assert!(restorer.push(record));
        }
        if let Some((first, run)) = tree.rootless_records() {
            let run: Vec<HeaderRecord> = run.collect();
            prop_assert!(restorer.begin_rootless(first, run[0].prev_hash));
            for record in run {
                prop_assert!(restorer.push(record));
            }
        }
        let mut again = restorer.finish();
        tree.other_records().for_each(|record| again.insert(record));
        again.settle(&mut |span| heights_by_time(span));
        prop_assert_eq!(hashes(&tree.snapshot()), hashes(&again.snapshot()));
        prop_assert_eq!(tree.snapshot().rootless_from(), again.snapshot().rootless_from());
        prop_assert_eq!(tree.block_count(), again.block_count());
        // And it goes on as the other does.
        records.iter().for_each(|record| { tree.insert(*record); again.insert(*record); });
        prop_assert_eq!(hashes(&settle(&mut again)), oracle(&records));
        prop_assert_eq!(hashes(&settle(&mut tree)), oracle(&records));
    }
}

#[test]
fn a_block_whose_difficulty_jumps_is_left_out_with_all_that_follow_it() {
    let network = Network::Main;
    let easy = Bits(0x1d00_ffff);
    let made = |made: u32, prev_hash, bits| HeaderRecord { bits, ..record(made, hash_of(made), prev_hash, 0) };
    let genesis = HeaderRecord { bits: easy, ..record(0, network.genesis_hash(), BlockHash::all_zeros(), 0) };
    let mut tree = BlockIndex::new(network);
    tree.insert(genesis);
    let honest = [made(1, genesis.hash, easy), made(2, hash_of(1), easy)];
    let jump = [made(3, genesis.hash, Bits(0x1b00_ffff)), made(4, hash_of(3), Bits(0x1b00_ffff))];
    honest.iter().chain(&jump).for_each(|record| tree.insert(*record));
    let settled = tree.settle(&mut |_| None).expect("there was something to settle");
    assert_eq!(settled.refused_blocks, 2);
    assert_eq!(hashes(&tree.snapshot()), [genesis.hash, hash_of(1), hash_of(2)]);
}

#[test]
fn a_first_walk_that_follows_a_stale_branch_keeps_few_blocks_at_the_side() {
    let mut tree = BlockIndex::new(Network::Regtest);
    let genesis = record(0, Network::Regtest.genesis_hash(), BlockHash::all_zeros(), 0);
    tree.insert(genesis);
    tree.insert(record(1, hash_of(1), genesis.hash, 0));
    let mut parent = genesis.hash;
    for made in 2..20_000 {
        tree.insert(record(made, hash_of(made), parent, 0));
        parent = hash_of(made);
        assert!(tree.side.len() <= 5000);
    }
    assert_eq!(hashes(&settle(&mut tree)).len(), 19_999);
}

#[test]
fn a_locator_steps_as_cores_does() {
    let mut tree = BlockIndex::new(Network::Regtest);
    let genesis = record(0, Network::Regtest.genesis_hash(), BlockHash::all_zeros(), 0);
    tree.insert(genesis);
    let mut parent = genesis.hash;
    for made in 1..=100 {
        tree.insert(record(made, hash_of(made), parent, 0));
        parent = hash_of(made);
    }
    let snapshot = settle(&mut tree);
    let heights = |from| -> Vec<u32> {
        let hashes = snapshot.locator(Height(from));
        hashes.iter().filter_map(|hash| snapshot.height_of(hash)).map(|height| height.0).collect()
    };
    // Eleven in a row; the twelfth is one below, then the steps double.
    assert_eq!(heights(100), [100, 99, 98, 97, 96, 95, 94, 93, 92, 91, 90, 89, 87, 83, 75, 59, 27, 0]);
    assert_eq!(heights(3), [3, 2, 1, 0]);
    assert_eq!(heights(0), [0]);
}

#[test]
fn a_birthday_is_the_first_block_not_older_than_two_hours_before() {
    let mut tree = BlockIndex::new(Network::Regtest);
    let mut parent = BlockHash::all_zeros();
    // Times go back once: what counts is the highest so far.
    for (made, time) in (0u32..).zip([10_000, 11_000, 15_000, 12_000, 16_000]) {
        let hash = if made == 0 { Network::Regtest.genesis_hash() } else { hash_of(made) };
        tree.insert(HeaderRecord { time, ..record(made, hash, parent, 0) });
        parent = hash;
    }
    let snapshot = settle(&mut tree);
    let first = |birthday| snapshot.first_height_since(birthday).map(|height| height.0);
    assert_eq!(first(0), Some(0));
    assert_eq!(first(7200 + 11_000), Some(1));
    assert_eq!(first(7200 + 11_001), Some(2));
    assert_eq!(first(7200 + 15_001), Some(4));
    assert_eq!(first(7200 + 16_001), None);
}

/// No hashes are like this; a state file that somebody made up is.
#[test]
fn blocks_that_are_their_own_ancestors_are_left_out() {
    let genesis = Network::Regtest.genesis_hash();
    let mut tree = BlockIndex::new(Network::Regtest);
    let honest = [record(0, genesis, BlockHash::all_zeros(), 0), record(1, hash_of(1), genesis, 0)];
    let circles =
        [(2, 4), (3, 2), (4, 3), (5, 5), (6, 5)].map(|(made, parent)| record(made, hash_of(made), hash_of(parent), 1));
    honest.into_iter().chain(circles).for_each(|record| tree.insert(record));
    let settled = tree.settle(&mut |_| None).unwrap_or_default();
    assert_eq!(hashes(&tree.snapshot()), [genesis, hash_of(1)]);
    assert_eq!(settled.refused_blocks, 5);
}

#[test]
fn a_run_whose_coinbase_claims_an_absurd_height_fills_no_memory() {
    let genesis = Network::Regtest.genesis_hash();
    for (claimed, is_placed) in [(ROOTLESS_HEIGHT_MAX.0, true), (ROOTLESS_HEIGHT_MAX.0 + 1, false), (u32::MAX, false)] {
        let mut tree = BlockIndex::new(Network::Regtest);
        tree.insert(record(0, genesis, BlockHash::all_zeros(), 0));
        tree.insert(record(2, hash_of(2), hash_of(1), 0));
        let settled = tree.settle(&mut |_| Some(Height(claimed))).unwrap_or_default();
        assert_eq!(settled.unplaced_blocks, u32::from(!is_placed));
        let tip = if is_placed { claimed } else { 0 };
        assert_eq!(tree.snapshot().tip().map(|tip| tip.height), Some(Height(tip)));
    }
}

/// A pruned chain of four blocks whose first and last coinbase say these heights: where it was placed, if it was, and how
/// many blocks were left out.
fn placed(network: Network, first: u32, last: u32) -> (Option<u32>, u32) {
    let bits = Bits(0x1d00_ffff);
    let mut tree = BlockIndex::new(network);
    let run: Vec<HeaderRecord> =
        (1..5).map(|made| HeaderRecord { bits, ..record(made, hash_of(made), hash_of(made - 1), 0) }).collect();
    run.iter().for_each(|record| tree.insert(*record));
    let claims = |span: RecordSpan| match span {
        span if span == run[0].span => Some(Height(first)),
        span if span == run[3].span => Some(Height(last)),
        _ => None,
    };
    let settled = tree.settle(&mut |span| claims(span)).expect("there was something to settle");
    (tree.snapshot().rootless_from().map(|height| height.0), settled.unplaced_blocks)
}

#[test]
fn a_run_without_a_root_is_placed_only_where_bip34_binds_its_coinbases() {
    for (network, bound) in [(Network::Main, 227_931), (Network::Testnet3, 21_111)] {
        assert_eq!(placed(network, bound, bound + 3), (Some(bound), 0), "{network}");
        assert_eq!(placed(network, bound - 1, bound + 2), (None, 4), "{network}: its first block is not bound");
    }
}

#[test]
fn a_run_without_a_root_whose_last_block_disagrees_with_its_first_is_left_out() {
    for (network, bound) in [(Network::Main, 227_931), (Network::Testnet3, 21_111)] {
        for last in [bound + 2, bound + 4, bound - 1, 0, u32::MAX] {
            assert_eq!(placed(network, bound, last), (None, 4), "{network}: the last block says {last}");
        }
    }
}
