//! Coins instead of history: the unspent coins at the end of the range, without their history.

use bitcoin::{Amount, OutPoint, ScriptBuf, TxOut};
use rescan_client::coins::{Coin, CoinLedger};
use rescan_client::position::Height;
use rescan_client::report::{Origin, Outcome};
use rescan_client::{Client, GivenKeychain, ScanRequest};
use rescan_fixtures::chain_builder::{ChainBuilder, Coin as BuiltCoin};
use rescan_fixtures::core_datadir::{ExpectedWallet, Which};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, TestServer, patiently, scan};

fn request(wallet: &ExpectedWallet) -> ScanRequest {
    wallet.descriptors.iter().fold(ScanRequest::new(), |request, entry| request.keychain(entry.descriptor.as_str()))
}

fn plainly(coins: &[Coin]) -> Vec<(OutPoint, Amount, u32, ScriptBuf)> {
    coins.iter().map(|coin| (coin.outpoint, coin.value, coin.height.0, coin.script_pubkey.clone())).collect()
}

fn assert_totals(found: &ScanRecord, context: &str) {
    let summary = found.summary();
    assert_eq!(summary.outcome, Outcome::Complete, "{context}");
    assert!(found.reports.is_empty(), "history was reported for {context}");
    let total: Amount = found.coin_events.iter().map(|coin| coin.value).sum();
    assert_eq!((summary.unspent_count, summary.unspent), (found.coin_events.len() as u64, total), "{context}");
}

#[test]
fn the_coins_of_every_wallet_are_those_of_cores_own_utxo_set() {
    for which in Which::ALL {
        let (server, datadir) = TestServer::of_core(which, Manner::default());
        patiently(async {
            let client = server.client().await;
            for (name, wallet) in &datadir.expected().wallets {
                let context = format!("{name} in {which:?}");
                let found = scan(&client, request(wallet).coins()).await;
                assert_totals(&found, &context);
                let cores = wallet.coins.iter();
                let cores = cores.map(|coin| (coin.outpoint(), coin.value, coin.height, coin.script_pubkey.clone()));
                assert_eq!(plainly(&found.coin_events), cores.collect::<Vec<_>>(), "{context}");
                // Beyond Core: block, index in it, keychain and index.
                let history = scan(&client, request(wallet)).await;
                let mut ledger = CoinLedger::new();
                history.history().reports().for_each(|report| ledger.apply(report));
                let left: Vec<Coin> = ledger.sorted().into_iter().cloned().collect();
                assert_eq!(found.coin_events, left, "{context}");
                assert_eq!(found.summary().keychains, history.summary().keychains, "{context}");
            }
        });
    }
}

/// Three coins that stay, and `pairs` that are spent a block after they came.
fn bustling(wallet: &TestWallet, pairs: u32) -> ChainBuilder {
    let script = |index| wallet.script(ScriptKind::P2wpkh, index);
    let mut chain = ChainBuilder::new();
    for index in 0..3 {
        chain.fund(&script(index), Amount::from_sat(7_000));
    }
    chain.mine(1);
    for batch in 0..pairs / 10 {
        let outputs: Vec<TxOut> = (0..10)
            .map(|number| TxOut { value: Amount::from_sat(6_000), script_pubkey: script(3 + (batch + number) % 20) })
            .collect();
        let made = chain.fund_outputs(outputs);
        chain.mine(1);
        for vout in 0..10 {
            let coin = BuiltCoin::of(&made, vout);
            chain.spend([wallet], &[coin], vec![]);
        }
    }
    chain.mine(1);
    chain
}

async fn received_for(client: &Client, request: ScanRequest) -> (ScanRecord, u64) {
    let before = client.bytes_received();
    let found = scan(client, request).await;
    (found, client.bytes_received() - before)
}

#[test]
fn what_crosses_grows_with_the_coins_and_not_with_the_history() {
    let wallet = TestWallet::new("kim");
    let watch = || ScanRequest::new().keychain(wallet.descriptor(ScriptKind::P2wpkh));
    let mut crossed = Vec::new();
    for pairs in [20, 400] {
        let scene = Scene::serve(bustling(&wallet, pairs), Manner::default());
        patiently(async {
            let client = scene.server.client().await;
            let (coins, coin_bytes) = received_for(&client, watch().coins()).await;
            assert_totals(&coins, "the three that stay");
            assert_eq!(coins.coin_events.iter().map(|coin| coin.value.to_sat()).collect::<Vec<_>>(), [7_000; 3]);
            let (history, history_bytes) = received_for(&client, watch()).await;
            assert_eq!(history.summary().transactions, 3 + u64::from(pairs) * 11 / 10);
            crossed.push((coin_bytes, history_bytes));
        });
    }
    let [(few, few_history), (many, many_history)] = crossed[..] else { panic!("two chains were scanned") };
    // The locator of a longer chain has a few more hashes.
    assert!(many <= few + 512, "{few} bytes grew to {many}");
    assert!(many_history > few_history + 380 * 100, "{few_history} bytes of history grew to {many_history} only");
}

#[test]
fn coins_are_those_at_the_end_of_the_range_and_only_of_coins_that_it_made() {
    let wallet = TestWallet::new("liam");
    let script = |index| wallet.script(ScriptKind::P2tr, index);
    let mut chain = ChainBuilder::new();
    let before = chain.fund(&script(0), Amount::from_sat(1_000));
    chain.mine(1);
    let first = chain.tip_height() + 1;
    let spent_later = chain.fund(&script(1), Amount::from_sat(2_000));
    chain.mine(1);
    let stays = chain.fund(&script(2), Amount::from_sat(3_000));
    chain.mine(1);
    let last = chain.tip_height();
    chain.spend([&wallet], std::slice::from_ref(&spent_later), vec![]);
    chain.mine(1);
    let scene = Scene::serve(chain, Manner::default());
    let watch = || ScanRequest::new().keychain(wallet.descriptor(ScriptKind::P2tr)).coins();
    let outpoints = |found: &ScanRecord| found.coin_events.iter().map(|coin| coin.outpoint).collect::<Vec<_>>();
    patiently(async {
        let client = scene.server.client().await;
        let whole = scan(&client, watch()).await;
        assert_eq!(outpoints(&whole), [before.outpoint, stays.outpoint]);
        let part = scan(&client, watch().from_height(Height(first)).to_height(Height(last))).await;
        assert_totals(&part, "a part");
        assert_eq!(outpoints(&part), [spent_later.outpoint, stays.outpoint]);
    });
}

#[test]
fn a_coin_beyond_the_gap_is_told_once_the_rule_reaches_it_and_not_before() {
    let wallet = TestWallet::new("mallory");
    let script = |index| wallet.script(ScriptKind::P2wpkh, index);
    let mut chain = ChainBuilder::new();
    // The gap is 3: 7 is out of reach until 5 is used, that until 2 is; 20 stays so.
    for index in [20, 7, 5] {
        chain.fund(&script(index), Amount::from_sat(u64::from(index) * 1_000));
        chain.mine(1);
    }
    let keychain = || GivenKeychain::new(wallet.descriptor(ScriptKind::P2wpkh)).gap_limit(3);
    let watch = || ScanRequest::new().keychain(keychain()).coins();
    let mut scene = Scene::serve(chain, Manner::default());
    patiently(async {
        let client = scene.server.client().await;
        let found = scan(&client, watch()).await;
        assert_totals(&found, "nothing within reach");
        assert_eq!(found.coin_events, []);
        scene.chain.fund(&script(2), Amount::from_sat(2_000));
        scene.chain.mine(1);
        scene.append();
        let found = scan(&client, watch()).await;
        assert_totals(&found, "three within reach");
        let origins: Vec<Origin> = found.coin_events.iter().flat_map(|coin| coin.origins.clone()).collect();
        assert_eq!(origins, [7, 5, 2].map(|index| Origin::Keychain { keychain: 0, index: Some(index) }));
    });
}
