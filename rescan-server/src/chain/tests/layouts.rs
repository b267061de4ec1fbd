//! Layouts of blocks in the files.

use rescan_fixtures::assemble;
use rescan_fixtures::block_file_writer::{BlockFileLayout, BlockFileWriter};

use super::*;

#[test]
fn both_datadirs_of_a_real_node_have_its_tip() {
    for which in Which::ALL {
        let dir = tempfile::tempdir().unwrap();
        let datadir = CoreDatadir::unpack(which, dir.path()).unwrap();
        let expected = datadir.expected();
        let config = ChainConfig {
            blocks_dir: datadir.blocks_dir(),
            network: None,
            signet_challenge: None,
            state_dir: dir.path().join("state"),
            access: Access::read(),
        };
        let chain = Chain::open(config).unwrap();
        let snapshot = refreshed(&chain);
        assert_eq!(chain.network(), Network::Regtest);
        assert_eq!(tip_of(&snapshot), (expected.tip_height, expected.tip_hash));
        assert_eq!(snapshot.lowest_complete_to(Height(expected.tip_height)), Some(Height(0)));
        for stale in &expected.stale_roots {
            assert_eq!(snapshot.height_of(stale), None);
        }
        assert_eq!(snapshot.rootless_from(), None);
    }
}

#[test]
fn obfuscated_and_clear_files_have_the_same_chain() {
    for key in [None, Some([0; 8]), Some([0x9b, 0x94, 0xee, 0x94, 0xad, 0x7f, 0x26, 0x11])] {
        let scene = Scene::new();
        let mut chain = chain_of(40);
        if let Some(key) = key {
            chain.xor(key);
        }
        chain.file_bytes_max(4000).write(&scene.blocks_dir()).unwrap();
        assert_is_active(&scene, &scene.fresh_chain(), &chain, 0);
    }
}

#[test]
fn a_preallocated_tail_is_raw_zeros_under_a_key_too() {
    let scene = Scene::new();
    let mut chain = chain_of(10);
    chain.xor([0xff; 8]).preallocate(1 << 20).write(&scene.blocks_dir()).unwrap();
    assert_is_active(&scene, &scene.fresh_chain(), &chain, 0);
}

#[test]
fn blocks_out_of_order_and_parents_in_later_files_are_linked() {
    for seed in 0..8 {
        let scene = Scene::new();
        let mut chain = chain_of(200);
        chain.xor([3; 8]).shuffle_window(seed, 150).file_bytes_max(2000).write(&scene.blocks_dir()).unwrap();
        assert_is_active(&scene, &scene.fresh_chain(), &chain, 0);
    }
}

#[test]
fn stale_branches_are_left_out_whichever_came_first() {
    let scene = Scene::new();
    let mut chain = chain_of(20);
    chain.reorg(3).mine(5).reorg(1).mine(2);
    chain.side_branch(6, 2);
    chain.mine(3);
    chain.file_bytes_max(3000).shuffle_window(5, 30).write(&scene.blocks_dir()).unwrap();
    assert_is_active(&scene, &scene.fresh_chain(), &chain, 0);
}

#[test]
fn of_two_branches_with_equal_work_the_earlier_record_stays() {
    let scene = Scene::new();
    let mut chain = chain_of(20);
    chain.side_branch(3, 3);
    chain.write(&scene.blocks_dir()).unwrap();
    assert_is_active(&scene, &scene.fresh_chain(), &chain, 0);

    let scene = Scene::new();
    let mut records = chain.records();
    let side = records.split_off(records.len() - 3);
    records.splice(records.len() - 3..records.len() - 3, side.clone());
    chain.write_records(&scene.blocks_dir(), &records).unwrap();
    let Some(Record::Block(side_tip)) = side.last() else { panic!("a block was split off") };
    assert_eq!(tip_of(&scene.fresh_chain()), (20, *side_tip));
}

#[test]
fn the_same_block_twice_is_kept_twice() {
    let scene = Scene::new();
    let mut chain = chain_of(10);
    let twice = chain.hash_at(4);
    let written = chain.append(Record::File(FileNumber(1))).append(Record::Block(twice)).write(&scene.blocks_dir());
    let placed: Vec<_> =
        written.unwrap().placed().iter().filter(|placed| placed.block == twice).map(|p| p.span).collect();
    let snapshot = scene.fresh_chain();
    assert_is_active(&scene, &snapshot, &chain, 0);
    assert_eq!(placed.len(), 2);
    assert_eq!(snapshot.copies(Height(4)), placed);
    assert_eq!(snapshot.copies(Height(5)).len(), 1);
    assert_eq!(snapshot.copies(Height(99)), []);
}

#[test]
fn a_hole_and_garbage_between_records_are_skipped() {
    for key in [[0; 8], [0x5a; 8]] {
        let scene = Scene::new();
        let mut chain = chain_of(30);
        let (a, b, c) = (chain.hash_at(3), chain.hash_at(9), chain.hash_at(15));
        let magic_and_more = [&Network::Regtest.magic().0[..], &[0xff; 40]].concat();
        let magic_and_size = [&Network::Regtest.magic().0[..], &500u32.to_le_bytes(), &[1; 200]].concat();
        chain.xor(key).insert_after(a, Record::Hole(100_001)).insert_after(b, Record::Bytes(magic_and_more));
        let d = chain.hash_at(20);
        chain.insert_after(c, Record::Bytes(magic_and_size)).insert_after(d, Record::Bytes(vec![9; 3]));
        chain.write(&scene.blocks_dir()).unwrap();
        assert_is_active(&scene, &scene.fresh_chain(), &chain, 0);
    }
}

#[test]
fn a_torn_last_record_counts_once_its_body_is_written() {
    let block_bytes = |chain: &ChainBuilder| bitcoin::consensus::serialize(chain.block_at(chain.tip_height()));
    let len = block_bytes(&chain_of(12)).len();
    for written in [0, 1, 79, 80, 81, 100, len - 1] {
        let scene = Scene::new();
        let mut chain = chain_of(11);
        chain.xor([0xa5; 8]).preallocate(1 << 16);
        let mut files = chain.write(&scene.blocks_dir()).unwrap();
        let before = (chain.tip_height(), chain.tip_hash());
        let opened = scene.open();
        assert_eq!(tip_of(&refreshed(&opened)), before);

        let torn = chain.mine_block();
        let at = files.files().data_end() + 8;
        files.write(&chain, &[Record::Torn { block: torn, written }]).unwrap();
        assert_eq!(tip_of(&refreshed(&opened)), before, "{written} of {len} bytes are written");
        assert_eq!(tip_of(&scene.fresh_chain()), before);

        files.files().overwrite(FileNumber(0), at.into(), &block_bytes(&chain)).unwrap();
        assert_is_active(&scene, &refreshed(&opened), &chain, 0);
    }
}

#[test]
fn a_torn_record_hides_none_that_follow_it() {
    let scene = Scene::new();
    let mut chain = chain_of(20);
    let torn = chain.hash_at(7);
    let mut records = chain.records();
    // The node crashed while it wrote block 7, overwrote its tail, and fetched block 7 again later.
    records[7] = Record::Torn { block: torn, written: 120 };
    records.push(Record::Block(torn));
    let files = chain.xor([7; 8]).write_records(&scene.blocks_dir(), &records).unwrap();
    let snapshot = scene.fresh_chain();
    assert_eq!(tip_of(&snapshot), (20, chain.tip_hash()));
    let whole = files.placed().iter().rfind(|placed| placed.block == torn).unwrap().span;
    assert!(snapshot.copies(Height(7)).contains(&whole), "a second copy replaces the torn one");
}

#[test]
fn missing_file_numbers_are_normal() {
    let scene = Scene::new();
    let mut chain = chain_of(20);
    let after = chain.hash_at(9);
    chain.insert_after(after, Record::File(FileNumber(17))).write(&scene.blocks_dir()).unwrap();
    assert_is_active(&scene, &scene.fresh_chain(), &chain, 0);
}

#[test]
fn a_pruned_chain_is_placed_by_the_heights_in_its_coinbases() {
    // Heights up to 16 are written with OP_1 to OP_16.
    for (blocks, pruned_below) in [(60, 12), (60, 17), (300, 200)] {
        let scene = Scene::new();
        let mut chain = chain_of(blocks);
        chain.xor([1; 8]).file_bytes_max(1200).prune_below(pruned_below).write(&scene.blocks_dir()).unwrap();
        let snapshot = scene.fresh_chain();
        let lowest = snapshot.rootless_from().expect("genesis is pruned").0;
        assert!((1..=pruned_below).contains(&lowest), "{lowest}");
        assert_is_active(&scene, &snapshot, &chain, lowest);
        assert_eq!(snapshot.id(Height(lowest - 1)), None);
        assert_eq!(snapshot.first_height_since(0), Some(Height(lowest - 1)), "the birthday may lie in the pruned part");
    }
}

#[test]
fn a_pruned_chain_without_ancestors_follows_its_branch_of_most_work() {
    let scene = Scene::new();
    let mut chain = chain_of(100);
    chain.reorg(4).mine(2);
    chain.side_branch(5, 3);
    chain.file_bytes_max(1200).prune_below(80).write(&scene.blocks_dir()).unwrap();
    let snapshot = scene.fresh_chain();
    assert_is_active(&scene, &snapshot, &chain, snapshot.rootless_from().unwrap().0);
}

#[test]
fn an_assumeutxo_node_has_a_gap_until_its_background_sync_fills_it() {
    let scene = Scene::new();
    let mut chain = chain_of(100);
    let mut files = chain.xor([4; 8]).omit(31..=60).file_bytes_max(4000).write(&scene.blocks_dir()).unwrap();
    let opened = scene.open();
    let snapshot = refreshed(&opened);
    assert_eq!(tip_of(&snapshot), (100, chain.tip_hash()));
    assert_eq!(snapshot.rootless_from(), Some(Height(61)));
    assert_eq!(snapshot.lowest_complete_to(Height(100)), Some(Height(61)));
    assert_eq!(snapshot.lowest_complete_to(Height(30)), Some(Height(0)));
    assert_eq!(snapshot.lowest_complete_to(Height(45)), None);
    assert_eq!(snapshot.block(Height(45)), None);

    let blocks = |heights: std::ops::RangeInclusive<u32>| -> Vec<Record> {
        heights.map(|height| Record::Block(chain.hash_at(height))).collect()
    };
    files.write(&chain, &blocks(31..=50)).unwrap();
    assert_eq!(refreshed(&opened).lowest_complete_to(Height(50)), Some(Height(0)));
    files.write(&chain, &blocks(51..=60)).unwrap();
    let filled = refreshed(&opened);
    assert_is_active(&scene, &filled, &chain, 0);
    assert_eq!(filled.rootless_from(), None);
    assert_eq!(snapshot.fork_height(&filled), None, "no known block was lost");
}

#[test]
fn a_run_without_a_root_that_contradicts_the_rooted_chain_loses_to_more_work() {
    // A branch without its first block: 15 unlinked blocks against 20 that descend from genesis.
    let mut chain = chain_of(30);
    let branch = chain.side_branch(20, 15);
    for (omitted_from, wins) in [(1, false), (12, true)] {
        let scene = Scene::new();
        let mut records = chain.records();
        records.retain(|record| *record != Record::Block(branch[0]));
        // With the rooted chain cut to height 12, the branch has more.
        if omitted_from > 1 {
            let gone: Vec<Record> = (13..=30).map(|height| Record::Block(chain.hash_at(height))).collect();
            records.retain(|record| !gone.contains(record));
        }
        chain.write_records(&scene.blocks_dir(), &records).unwrap();
        let snapshot = scene.fresh_chain();
        match wins {
            false => assert_is_active(&scene, &snapshot, &chain, 0),
            true => {
                assert_eq!(tip_of(&snapshot), (25, branch[14]));
                assert_eq!(snapshot.rootless_from(), Some(Height(12)));
                assert_eq!(
                    snapshot.lowest_complete_to(Height(25)),
                    Some(Height(12)),
                    "the block at height 11 is missing"
                );
            }
        }
    }
}

#[test]
fn a_run_without_a_root_is_placed_though_genesis_comes_after_it() {
    let scene = Scene::new();
    let chain = chain_of(5);
    let records = [3, 4, 5, 0].map(|height| Record::Block(chain.hash_at(height)));
    chain.write_records(&scene.blocks_dir(), &records).unwrap();
    let snapshot = scene.fresh_chain();
    assert_is_active(&scene, &snapshot, &chain, 3);
    assert_eq!(snapshot.rootless_from(), Some(Height(3)));
    assert!(snapshot.block(Height(0)).is_some());
}

#[test]
fn an_early_part_of_mainnet_is_read_if_available() {
    let Some(file) = std::env::var_os("RESCAN_MAINNET_EARLY") else {
        tracing::info!("skipped: RESCAN_MAINNET_EARLY names no block file of main's first blocks");
        return;
    };
    let scene = Scene::new();
    fs::create_dir_all(scene.blocks_dir()).unwrap();
    fs::copy(Path::new(&file), scene.blocks_dir().join("blk00000.dat")).unwrap();
    let chain = Chain::open(ChainConfig { network: None, ..scene.config() }).unwrap();
    let snapshot = refreshed(&chain);
    assert_eq!(chain.network(), Network::Main);
    assert_eq!(snapshot.tip().unwrap().height, Height(4521));
    assert_eq!(snapshot.lowest_complete_to(Height(4521)), Some(Height(0)));
}

/// Blocks on signet's genesis. The nonces are constants, since one in five million is valid.
fn signet_blocks() -> Vec<bitcoin::Block> {
    let mut blocks = vec![bitcoin::constants::genesis_block(bitcoin::Network::Signet)];
    for (height, nonce) in [(1, 3_320_199), (2, 2_920_293)] {
        let before = blocks[blocks.len() - 1].header;
        let coinbase = assemble::coinbase(height, 0, vec![assemble::op_return(b"")]);
        let mut block = assemble::block(before.block_hash(), before.time + 600, coinbase, Vec::new());
        (block.header.bits, block.header.nonce) = (before.bits, nonce);
        block.header.validate_pow(before.target()).expect("a changed block needs a new nonce");
        blocks.push(block);
    }
    blocks
}

#[test]
fn a_custom_signet_is_read_and_has_its_own_state_file() {
    let custom = Network::custom_signet(&ScriptBuf::from_bytes(vec![0x51]));
    let blocks = signet_blocks();
    let scene = Scene::new();
    let layout = BlockFileLayout { magic: custom.magic().0, xor_key: Some([4; 8]), ..BlockFileLayout::default() };
    let mut writer = BlockFileWriter::create(&scene.blocks_dir(), layout).unwrap();
    for block in &blocks {
        writer.write_block(&bitcoin::consensus::serialize(block)).unwrap();
    }
    scene.age();
    let open = |signet_challenge: Option<ScriptBuf>| {
        Chain::open(ChainConfig { network: Some(Network::SIGNET), signet_challenge, ..scene.config() })
    };
    let challenges = [None, Some(ScriptBuf::from_bytes(vec![0x51]))];
    for (challenge, headers_read) in challenges.into_iter().zip([3, 1]) {
        let chain = open(challenge).unwrap();
        assert_eq!(chain.network(), custom);
        assert_eq!(tip_of(&refreshed(&chain)), (2, blocks[2].block_hash()));
        assert_eq!(chain.progress().headers_read, headers_read, "the state file belongs to this signet");
    }
    let mistyped = open(Some(ScriptBuf::from_bytes(vec![0x52]))).unwrap_err();
    assert!(matches!(mistyped, ChainError::Network(NetworkDirError::OtherNetwork { .. })), "{mistyped}");
}
