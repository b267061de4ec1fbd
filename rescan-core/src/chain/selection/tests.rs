//! Selection against a slow and obvious oracle, on random block trees read in random order.

#![expect(clippy::indexing_slicing, reason = "tests")]

use bitcoin::hashes::Hash;
use proptest::prelude::*;

use super::*;
use crate::chain::active_chain::ROOTLESS_HEIGHT_MAX;

mod node;

/// Two difficulties: a block of the second has the work of about 2^15 of the first.
const BITS: [Bits; 2] = [Bits(0x207f_ffff), Bits(0x1f00_ffff)];
/// Blocks in one block file.
const BLOCKS_PER_FILE: u32 = 7;

/// A random tree: for each block after genesis the distance to its parent, in blocks made, and its
/// difficulty.
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

/// The chain of most work from genesis; the earlier record of the tip wins a tie.
fn heaviest(records: &[HeaderRecord]) -> Vec<BlockHash> {
    heaviest_without(records, &[])
}

/// The same among the chains without the blocks in `invalidated`.
fn heaviest_without(records: &[HeaderRecord], invalidated: &[BlockHash]) -> Vec<BlockHash> {
    let chains = records.iter().map(|tip| chain_to(records, tip));
    let rooted = chains.filter(|chain| chain[0].hash == Network::Regtest.genesis_hash());
    let taken = rooted.filter(|chain| !chain.iter().any(|record| invalidated.contains(&record.hash)));
    let best = taken.max_by_key(|chain| (work_of(chain), std::cmp::Reverse(chain[chain.len() - 1].span)));
    best.unwrap_or_default().iter().map(|record| record.hash).collect()
}

/// The known ancestors of `tip`, the oldest first, and `tip`.
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

/// Selects with coinbases that hold no height: runs without known ancestors stay unplaced.
fn select(selection: &mut ChainSelection) -> ActiveChain {
    selection.select(&mut |_| None);
    selection.active_chain()
}

fn shuffled(records: &[HeaderRecord], order: &[u16]) -> Vec<HeaderRecord> {
    let mut keyed: Vec<(u16, HeaderRecord)> = order.iter().copied().cycle().zip(records.iter().copied()).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, record)| record).collect()
}

proptest! {
    #[test]
    fn the_active_chain_has_most_work_in_any_order_of_reading(
        records in trees(), order in prop::collection::vec(any::<u16>(), 1..80), select_every in 1usize..40
    ) {
        let mut selection = ChainSelection::new(Network::Regtest);
        let read = shuffled(&records, &order);
        for (count, record) in read.iter().enumerate() {
            selection.insert(*record);
            if count % select_every == 0 {
                prop_assert_eq!(hashes(&select(&mut selection)), heaviest(&read[..=count]));
            }
        }
        let snapshot = select(&mut selection);
        prop_assert_eq!(hashes(&snapshot), heaviest(&records));
        for (height, hash) in (0u32..).zip(heaviest(&records)) {
            prop_assert_eq!(snapshot.height_of(&hash), Some(Height(height)));
        }
    }

    #[test]
    fn a_changed_file_equals_a_first_reading(
        records in trees(), order in prop::collection::vec(any::<u16>(), 1..80),
        changed in prop::collection::vec(0u32..9, 0..4), kept: u64
    ) {
        let mut selection = ChainSelection::new(Network::Regtest);
        shuffled(&records, &order).into_iter().for_each(|record| selection.insert(record));
        select(&mut selection);
        let is_kept = |record: &&HeaderRecord| {
            !changed.contains(&record.span.file.0) || kept >> (record.time % 64) & 1 == 1
        };
        let left: Vec<HeaderRecord> = records.iter().filter(is_kept).copied().collect();
        for file in &changed {
            selection.forget_file(FileNumber(*file), FileLoss::Changed);
        }
        let in_changed = left.iter().filter(|record| changed.contains(&record.span.file.0));
        in_changed.for_each(|record| selection.insert(*record));
        prop_assert_eq!(hashes(&select(&mut selection)), heaviest(&left));
        // Lost blocks may come back.
        records.iter().for_each(|record| selection.insert(*record));
        prop_assert_eq!(hashes(&select(&mut selection)), heaviest(&records));
        prop_assert_eq!(selection.index().chain().blocks().block_count(), records.len());
    }

    #[test]
    fn a_restored_index_equals_the_original(
        records in trees(), order in prop::collection::vec(any::<u16>(), 1..80), omitted in 0u32..30
    ) {
        let heights_by_time = |span: RecordSpan| {
            records.iter().find(|record| record.span == span).map(|record| Height(record.time + 100))
        };
        let mut selection = ChainSelection::new(Network::Regtest);
        let some = shuffled(&records, &order).into_iter().filter(|record| record.time != omitted);
        some.for_each(|record| selection.insert(record));
        selection.select(&mut |span| heights_by_time(span));
        let mut restorer = crate::chain::codec::IndexRestorer::new(Network::Regtest);
        for record in selection.index().rooted_records() {
            prop_assert!(restorer.push(record));
        }
        if let Some((first, run)) = selection.index().rootless_records() {
            let run: Vec<HeaderRecord> = run.collect();
            prop_assert!(restorer.begin_rootless(first, run[0].prev_hash));
            for record in run {
                prop_assert!(restorer.push(record));
            }
        }
        let mut again = ChainSelection::of(restorer.finish());
        selection.index().other_records().for_each(|record| again.insert(record));
        again.select(&mut |span| heights_by_time(span));
        prop_assert_eq!(hashes(&selection.active_chain()), hashes(&again.active_chain()));
        prop_assert_eq!(selection.active_chain().rootless_from(), again.active_chain().rootless_from());
        prop_assert_eq!(selection.index().chain().blocks().block_count(), again.index().chain().blocks().block_count());
        // Both grow alike.
        records.iter().for_each(|record| { selection.insert(*record); again.insert(*record); });
        prop_assert_eq!(hashes(&select(&mut again)), heaviest(&records));
        prop_assert_eq!(hashes(&select(&mut selection)), heaviest(&records));
    }
}

#[test]
fn a_block_whose_difficulty_jumps_is_left_out_with_all_that_follow_it() {
    let network = Network::Main;
    let easy = Bits(0x1d00_ffff);
    let made = |made: u32, prev_hash, bits| HeaderRecord { bits, ..record(made, hash_of(made), prev_hash, 0) };
    let genesis = HeaderRecord { bits: easy, ..record(0, network.genesis_hash(), BlockHash::all_zeros(), 0) };
    let mut selection = ChainSelection::new(network);
    selection.insert(genesis);
    let honest = [made(1, genesis.hash, easy), made(2, hash_of(1), easy)];
    let jump = [made(3, genesis.hash, Bits(0x1b00_ffff)), made(4, hash_of(3), Bits(0x1b00_ffff))];
    honest.iter().chain(&jump).for_each(|record| selection.insert(*record));
    let anomalies = selection.select(&mut |_| None).expect("something happened");
    assert_eq!(anomalies.refused_blocks, 2);
    assert_eq!(hashes(&selection.active_chain()), [genesis.hash, hash_of(1), hash_of(2)]);
}

#[test]
fn a_first_walk_that_follows_a_stale_branch_keeps_few_stale_blocks() {
    let mut selection = ChainSelection::new(Network::Regtest);
    let genesis = record(0, Network::Regtest.genesis_hash(), BlockHash::all_zeros(), 0);
    selection.insert(genesis);
    selection.insert(record(1, hash_of(1), genesis.hash, 0));
    let mut parent = genesis.hash;
    for made in 2..20_000 {
        selection.insert(record(made, hash_of(made), parent, 0));
        parent = hash_of(made);
        assert!(selection.index().stale_count() <= 5000);
    }
    assert_eq!(hashes(&select(&mut selection)).len(), 19_999);
}

#[test]
fn a_locator_steps_as_bitcoin_cores_does() {
    let mut selection = ChainSelection::new(Network::Regtest);
    let genesis = record(0, Network::Regtest.genesis_hash(), BlockHash::all_zeros(), 0);
    selection.insert(genesis);
    let mut parent = genesis.hash;
    for made in 1..=100 {
        selection.insert(record(made, hash_of(made), parent, 0));
        parent = hash_of(made);
    }
    let snapshot = select(&mut selection);
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
    let mut selection = ChainSelection::new(Network::Regtest);
    let mut parent = BlockHash::all_zeros();
    // Times go back once: the highest so far counts.
    for (made, time) in (0u32..).zip([10_000, 11_000, 15_000, 12_000, 16_000]) {
        let hash = if made == 0 { Network::Regtest.genesis_hash() } else { hash_of(made) };
        selection.insert(HeaderRecord { time, ..record(made, hash, parent, 0) });
        parent = hash;
    }
    let snapshot = select(&mut selection);
    let first = |birthday| snapshot.first_height_since(birthday).map(|height| height.0);
    assert_eq!(first(0), Some(0));
    assert_eq!(first(7200 + 11_000), Some(1));
    assert_eq!(first(7200 + 11_001), Some(2));
    assert_eq!(first(7200 + 15_001), Some(4));
    assert_eq!(first(7200 + 16_001), None);
}

/// No hashes form a circle; a forged state file can.
#[test]
fn blocks_that_are_their_own_ancestors_are_left_out() {
    let genesis = Network::Regtest.genesis_hash();
    let mut selection = ChainSelection::new(Network::Regtest);
    let honest = [record(0, genesis, BlockHash::all_zeros(), 0), record(1, hash_of(1), genesis, 0)];
    let circles =
        [(2, 4), (3, 2), (4, 3), (5, 5), (6, 5)].map(|(made, parent)| record(made, hash_of(made), hash_of(parent), 1));
    honest.into_iter().chain(circles).for_each(|record| selection.insert(record));
    let anomalies = selection.select(&mut |_| None).unwrap_or_default();
    assert_eq!(hashes(&selection.active_chain()), [genesis, hash_of(1)]);
    assert_eq!(anomalies.refused_blocks, 5);
}

#[test]
fn a_run_whose_coinbase_claims_an_absurd_height_fills_no_memory() {
    let genesis = Network::Regtest.genesis_hash();
    for (claimed, is_placed) in [(ROOTLESS_HEIGHT_MAX.0, true), (ROOTLESS_HEIGHT_MAX.0 + 1, false), (u32::MAX, false)] {
        let mut selection = ChainSelection::new(Network::Regtest);
        selection.insert(record(0, genesis, BlockHash::all_zeros(), 0));
        selection.insert(record(2, hash_of(2), hash_of(1), 0));
        let anomalies = selection.select(&mut |_| Some(Height(claimed))).unwrap_or_default();
        assert_eq!(anomalies.unplaced_blocks, u32::from(!is_placed));
        let tip = if is_placed { claimed } else { 0 };
        assert_eq!(selection.active_chain().tip().map(|tip| tip.height), Some(Height(tip)));
    }
}

/// Selects a pruned chain of four blocks with these heights in its first and last coinbase. Returns
/// its first height, if it was placed, and the number of blocks left out.
fn placed(network: Network, first: u32, last: u32) -> (Option<u32>, u32) {
    let bits = Bits(0x1d00_ffff);
    let mut selection = ChainSelection::new(network);
    let run: Vec<HeaderRecord> =
        (1..5).map(|made| HeaderRecord { bits, ..record(made, hash_of(made), hash_of(made - 1), 0) }).collect();
    run.iter().for_each(|record| selection.insert(*record));
    let claims = |span: RecordSpan| match span {
        span if span == run[0].span => Some(Height(first)),
        span if span == run[3].span => Some(Height(last)),
        _ => None,
    };
    let anomalies = selection.select(&mut |span| claims(span)).expect("something happened");
    (selection.active_chain().rootless_from().map(|height| height.0), anomalies.unplaced_blocks)
}

#[test]
fn a_rootless_run_is_placed_only_where_bip34_binds_its_coinbases() {
    for (network, bound) in [(Network::Main, 227_931), (Network::Testnet3, 21_111)] {
        assert_eq!(placed(network, bound, bound + 3), (Some(bound), 0), "{network}");
        assert_eq!(placed(network, bound - 1, bound + 2), (None, 4), "{network}: its first block is not bound");
    }
}

#[test]
fn a_rootless_run_whose_last_block_disagrees_with_its_first_is_left_out() {
    for (network, bound) in [(Network::Main, 227_931), (Network::Testnet3, 21_111)] {
        for last in [bound + 2, bound + 4, bound - 1, 0, u32::MAX] {
            assert_eq!(placed(network, bound, last), (None, 4), "{network}: the last block claims {last}");
        }
    }
}
