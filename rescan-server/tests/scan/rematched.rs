//! Segments that workers walked before they knew the coins which the segments spend: so many that
//! the new reports exceed the memory limit and are settled in parts.

use bitcoin::{Amount, ScriptBuf, TxOut};
use rescan_core::report::Outcome;
use rescan_fixtures::chain_builder::{ChainBuilder, Coin};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::blocks::block_file::Access;
use rescan_server::scan::SegmentSize;

use crate::{ReadChain, RunConfig, scan, watch_scripts};

/// The number of times the script is given: each match names every one, so that a few matches fill
/// a scan's memory.
const GIVEN: usize = 2_000;

const BLOCKS: usize = 30;

/// Coins that each of the first blocks makes and each of as many later ones spends.
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
    // The first coin of each stays unspent.
    for coins in &coins {
        let output = TxOut { value: Amount::from_sat(4_000), script_pubkey: ScriptBuf::new_op_return([]) };
        chain.spend([wallet], &coins[1..], vec![output]);
        chain.mine(1);
    }
    chain
}

#[test]
fn spends_that_are_found_late_are_all_reported_whatever_memory_they_take() {
    let wallet = TestWallet::new("rachel");
    let script = wallet.script(ScriptKind::P2wpkh, 0);
    let dir = tempfile::tempdir().unwrap();
    chain(&wallet, &script).write(dir.path()).unwrap();
    let read = ReadChain::open(dir.path(), Access::read());
    let watch = watch_scripts(&vec![script; GIVEN]);
    // A single worker with one block a segment knows all earlier coins.
    let one_by_one = SegmentSize { blocks_max: 1, ..SegmentSize::default() };
    let expected =
        scan(&read, &watch, RunConfig { size: one_by_one, ..RunConfig::with_workers(1) }).unwrap().without_timing();
    assert_eq!(expected.outcome, Outcome::Complete);
    assert_eq!((expected.reports.len(), expected.totals.coins.count), (2 * BLOCKS, BLOCKS as u64));
    for (workers, blocks_max) in [(1, 16), (2, 16), (4, 16), (4, 30), (2, 1_000)] {
        let size = SegmentSize { first_bytes: 1 << 20, blocks_max, ..SegmentSize::default() };
        let answer = scan(&read, &watch, RunConfig { size, ..RunConfig::with_workers(workers) }).unwrap();
        // Without the values: each match names thousands of scripts.
        assert!(answer.without_timing() == expected, "{workers} workers, {blocks_max} blocks a segment");
    }
}
