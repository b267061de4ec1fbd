//! Segments that workers walked before they knew of coins which the segments spend, in such numbers that what is told anew
//! has to be taken in parts.

use bitcoin::{Amount, ScriptBuf, TxOut};
use rescan_core::report::Outcome;
use rescan_fixtures::chain_builder::{ChainBuilder, Coin};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::blocks::block_file::Access;
use rescan_server::scan::SegmentSize;

use crate::{Manner, ReadChain, scan, watch_scripts};

/// How often the script is given: each match tells of every one, so that a few take as much memory as a scan may.
const GIVEN: usize = 2_000;

const BLOCKS: usize = 30;

/// Coins made by each of the first blocks, and spent by each of as many later ones.
const COINS_A_BLOCK: usize = 4;

fn chain(wallet: &TestWallet, script: &ScriptBuf) -> ChainBuilder {
    let mut chain = ChainBuilder::new();
    chain.mine(101);
    let mut coins: Vec<Vec<Coin>> = Vec::new();
    for _ in 0..BLOCKS {
        let output = TxOut { value: Amount::from_sat(5_000), script_pubkey: script.clone() };
        let funding = chain.fund_outputs(vec![output; COINS_A_BLOCK]);
        coins.push((0..).take(COINS_A_BLOCK).map(|vout| Coin::of(&funding, vout)).collect());
        chain.mine(1);
    }
    // The first coin of each is kept.
    for coins in &coins {
        let output = TxOut { value: Amount::from_sat(4_000), script_pubkey: ScriptBuf::new_op_return([]) };
        chain.spend([wallet], &coins[1..], vec![output]);
        chain.mine(1);
    }
    chain
}

#[test]
fn spends_that_are_found_late_are_all_told_whatever_memory_they_take() {
    let wallet = TestWallet::new("rachel");
    let script = wallet.script(ScriptKind::P2wpkh, 0);
    let dir = tempfile::tempdir().unwrap();
    chain(&wallet, &script).write(dir.path()).unwrap();
    let read = ReadChain::open(dir.path(), Access::read());
    let watch = watch_scripts(&vec![script; GIVEN]);
    // One block after another knows all coins.
    let one_by_one = SegmentSize { blocks_max: 1, ..SegmentSize::default() };
    let expected = scan(&read, &watch, Manner { size: one_by_one, ..Manner::with_workers(1) }).unwrap().timeless();
    assert_eq!(expected.outcome, Outcome::Complete);
    assert_eq!((expected.reports.len(), expected.totals.coins.count), (2 * BLOCKS, BLOCKS as u64));
    for (workers, blocks_max) in [(1, 16), (2, 16), (4, 16), (4, 30), (2, 1_000)] {
        let size = SegmentSize { first_bytes: 1 << 20, blocks_max, ..SegmentSize::default() };
        let answer = scan(&read, &watch, Manner { size, ..Manner::with_workers(workers) }).unwrap();
        // Not shown where they differ: they name thousands of scripts a match.
        assert!(answer.timeless() == expected, "{workers} workers, {blocks_max} blocks a segment");
    }
}
