//! A wallet ends with all of its history, and Core looks at matching blocks alone.

use rescan_fill::{CoreWallet, Item, MergeGap, Reason, dry_run};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::TestWallet;
use rescan_tests::patiently;

use crate::bed::{Bed, KIND, options};

#[test]
fn a_wallet_is_filled_by_its_matching_blocks_alone() {
    let bed = Bed::paying(&[0, 1, 5]);
    let filled = bed.fill();
    let report = filled.result.unwrap();
    assert!(report.is_equal(), "{:?}", report.differences);
    let wallet = bed.wallet.lock();
    assert_eq!(wallet.confirmed, bed.truth());
    let heights: Vec<(u32, u32)> = bed.truth().values().map(|(height, _)| (*height, *height)).collect();
    let tip = bed.scene.chain.tip_height();
    let mut expected = heights;
    expected.sort_unstable();
    // The last call looks at the mempool.
    expected.push((tip, tip));
    assert_eq!(wallet.rescanned, expected);
    assert_eq!((report.calls, report.blocks, report.found.transactions), (4, 4, 3));
}

#[test]
fn a_second_fill_makes_no_call() {
    let bed = Bed::paying(&[0, 1]);
    bed.fill().result.unwrap();
    let calls = bed.wallet.lock().rescanned.len();
    let again = bed.fill();
    assert!(again.result.unwrap().is_equal());
    assert_eq!(again.events, ["scanned"]);
    assert_eq!(bed.wallet.lock().rescanned.len(), calls);
}

#[test]
fn an_interrupted_fill_goes_on_with_the_blocks_that_are_left() {
    let bed = Bed::paying(&[0, 1, 2, 3]);
    let mut left = 2;
    bed.wallet.before_each_call(move |_, method, _| {
        left -= i32::from(method == "rescanblockchain");
        (left < 0).then_some(rescan_fixtures::fake_wallet::refusal::NOT_LOADED)
    });
    bed.fill().result.unwrap_err();
    assert_eq!(bed.wallet.lock().rescanned.len(), 2);
    bed.wallet.before_each_call(|_, _, _| None);
    let filled = bed.fill();
    assert!(filled.result.unwrap().is_equal());
    assert_eq!(
        filled.events.iter().filter(|event| event.starts_with("rescanned")).count(),
        3,
        "two blocks, the mempool"
    );
    assert_eq!(bed.wallet.lock().confirmed, bed.truth());
}

#[test]
fn an_address_used_out_of_order_is_watched_before_the_first_call() {
    // Index 30 lies beyond the 20 that the wallet watches, until 15 was found, two blocks later.
    let bed = Bed::paying(&[30, 0, 15]);
    let filled = bed.fill();
    assert!(filled.result.unwrap().is_equal());
    assert_eq!(filled.events[..3], ["scanned", "widening [50] None", "planned 3"]);
    assert_eq!(bed.wallet.lock().confirmed, bed.truth());
    let descriptor = &bed.wallet.lock().descriptors[0];
    assert!(descriptor.is_active, "an import that does not say so would deactivate it");
}

#[test]
fn without_the_widening_such_an_address_is_lost_to_a_rescan_of_the_whole_chain() {
    let bed = Bed::paying(&[30, 0, 15]);
    let wallet = bed.core_wallet().unwrap();
    wallet.rescan(0, None).unwrap();
    assert_eq!(bed.wallet.lock().confirmed.len(), bed.truth().len() - 1);
    assert!(bed.fill().result.unwrap().is_equal());
    assert_eq!(bed.wallet.lock().confirmed, bed.truth());
}

#[test]
fn with_private_keys_the_keypool_is_topped_up_and_nothing_imported() {
    let bed = Bed::paying(&[30, 0, 15]);
    bed.wallet.lock().has_private_keys = true;
    let filled = bed.fill();
    assert!(filled.result.unwrap().is_equal());
    assert_eq!(filled.events[1], "widening [] Some(51)");
    assert!(!bed.node.was_called("importdescriptors"));
    assert_eq!(bed.wallet.lock().confirmed, bed.truth());
}

#[test]
fn spends_are_found_and_neighbours_share_a_call() {
    let owner = TestWallet::new("owner");
    let mut chain = ChainBuilder::new();
    chain.mine(110);
    let coin = chain.fund(&owner.script(KIND, 0), bitcoin::Amount::from_sat(50_000));
    chain.mine(4);
    chain.spend([&owner], &[coin], Vec::new());
    chain.mine(30);
    let bed = Bed::of(chain, owner);
    let report = bed.fill().result.unwrap();
    assert!(report.is_equal(), "{:?}", report.differences);
    assert_eq!((report.calls, report.blocks, report.found.coins), (2, 6, 0));
    assert_eq!(bed.wallet.lock().confirmed, bed.truth());
}

#[test]
fn a_coin_spent_by_an_unconfirmed_transaction_is_the_wallets_own_affair() {
    let bed = Bed::paying(&[0]);
    let coin = bed.scene.chain.coins_of(&bed.owner.script(KIND, 0))[0].clone();
    let spend = bitcoin::Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![bitcoin::TxIn { previous_output: coin.outpoint, ..bitcoin::TxIn::default() }],
        output: Vec::new(),
    };
    bed.wallet.lock().unconfirmed.push(spend.clone());
    let report = bed.fill().result.unwrap();
    assert!(report.is_equal());
    assert_eq!(report.differences.len(), 1);
    assert_eq!(report.differences[0].item, Item::Coin(coin.outpoint));
    assert_eq!(report.differences[0].reason, Reason::SpentUnconfirmed(spend.compute_txid()));
}

#[test]
fn a_transaction_that_only_the_wallet_has_is_named() {
    let bed = Bed::paying(&[0]);
    let (height, stranger) = {
        let block = bed.scene.chain.block_at(7);
        (7, block.txdata[0].compute_txid())
    };
    let hash = bed.scene.chain.hash_at(height);
    bed.wallet.lock().confirmed.insert(stranger, (height, hash));
    let report = bed.fill().result.unwrap();
    assert!(!report.is_equal());
    assert_eq!(report.differences.len(), 1);
    assert_eq!(report.differences[0].item, Item::Transaction(stranger));
    assert_eq!(report.differences[0].reason, Reason::NotInScan);
}

#[test]
fn a_transaction_that_the_wallet_never_takes_is_named_once_and_the_fill_ends() {
    let bed = Bed::paying(&[0, 1]);
    bed.wallet.before_each_call(|wallet, method, params| {
        let is_first = method == "rescanblockchain" && wallet.rescanned.is_empty();
        is_first.then(|| {
            wallet.rescanned.push((0, 0));
            rescan_fixtures::fake_node::Reply::json(
                &serde_json::json!({"start_height": params[0], "stop_height": params[1]}),
            )
        })
    });
    let report = bed.fill().result.unwrap();
    let reasons: Vec<&Reason> = report.differences.iter().map(|difference| &difference.reason).collect();
    assert_eq!(reasons, [&Reason::NotInWallet, &Reason::OfTransaction]);
}

#[test]
fn a_dry_run_has_the_calls_of_the_fill_and_makes_none() {
    let bed = Bed::paying(&[30, 0, 15]);
    let wallet: CoreWallet = bed.core_wallet().unwrap();
    let dry = patiently(async {
        let client = bed.scene.server.client().await;
        let descriptors = wallet.descriptors().unwrap();
        dry_run(&client, Some(&wallet), &descriptors, &options(), MergeGap(4), &mut |_| {}).await.unwrap()
    });
    assert!(!bed.node.was_called("rescanblockchain") && !bed.node.was_called("importdescriptors"));
    bed.fill().result.unwrap();
    let mut planned: Vec<(u32, u32)> = dry.plan.runs.iter().map(|run| (run.first, run.last)).collect();
    let tip = dry.found.tip.height.0;
    planned.push((tip, tip));
    assert_eq!(planned, bed.wallet.lock().rescanned);
    assert_eq!(dry.widening.imports.len(), 1);
}
