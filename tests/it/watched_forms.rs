//! Everything that can be watched, each compared with a slow and plain reading of the chain.

use bitcoin::{Amount, OutPoint, ScriptBuf, TxOut};
use rescan_client::report::{KeychainUse, Origin};
use rescan_client::{GivenOutpoint, ScanRequest};
use rescan_fixtures::chain_builder::{ChainBuilder, Coin};
use rescan_fixtures::oracle::{self, Watched};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, patiently, scan};

/// Pays each kind of script twice and spends one of the two, in a separate block or in the same.
fn busy_chain(wallet: &TestWallet) -> ChainBuilder {
    let mut chain = ChainBuilder::new();
    chain.mine(100);
    for (index, kind) in (0..).zip(ScriptKind::ALL) {
        let script = wallet.script(kind, index);
        let coin = chain.fund(&script, Amount::from_sat(20_000));
        if index % 2 == 0 {
            chain.mine(1);
        }
        chain.fund(&script, Amount::from_sat(3_000 + u64::from(index)));
        chain.spend([wallet], &[coin], vec![TxOut { value: Amount::from_sat(19_000), script_pubkey: stranger() }]);
        chain.mine(1);
    }
    chain
}

fn stranger() -> ScriptBuf {
    TestWallet::new("a stranger").script(ScriptKind::P2wpkh, 0)
}

/// Txid, height, matched outputs and spent prevouts of each transaction, and the coins left.
fn assert_equals_oracle(found: &ScanRecord, chain: &ChainBuilder, watched: &Watched) {
    let expected = oracle::scan(chain.active(), watched);
    let told: Vec<_> = found
        .transactions()
        .map(|(report, transaction)| {
            let received: Vec<_> = transaction.received.iter().map(|received| received.vout).collect();
            let spent: Vec<_> = transaction.spent.iter().map(|spent| (spent.prevout, spent.value)).collect();
            (transaction.txid, report.height.0, transaction.tx_index, received, spent)
        })
        .collect();
    let expected_transactions: Vec<_> = expected
        .transactions
        .iter()
        .map(|transaction| {
            let received: Vec<_> = transaction.received.iter().map(|received| received.vout).collect();
            let value = |output: &Option<TxOut>| output.as_ref().map(|output| output.value);
            let spent: Vec<_> = transaction.spent.iter().map(|spent| (spent.prevout, value(&spent.output))).collect();
            (transaction.txid, transaction.height, transaction.tx_index, received, spent)
        })
        .collect();
    assert!(!told.is_empty());
    assert_eq!(told, expected_transactions);
    let coins: Vec<_> = found.coins().into_iter().map(|(outpoint, ..)| outpoint).collect();
    assert_eq!(coins, expected.coins.iter().map(|coin| coin.outpoint).collect::<Vec<_>>());
}

#[test]
fn every_kind_of_ranged_descriptor_is_found_with_its_index() {
    let wallet = TestWallet::new("frank");
    let scene = Scene::serve(busy_chain(&wallet), Manner::default());
    patiently(async {
        let client = scene.server.client().await;
        for (index, kind) in (0..).zip(ScriptKind::ALL) {
            let found = scan(&client, ScanRequest::new().keychain(wallet.descriptor(kind))).await;
            let watched = Watched { scripts: vec![wallet.script(kind, index)], ..Watched::default() };
            assert_equals_oracle(&found, &scene.chain, &watched);
            assert_eq!(found.summary().keychains, [KeychainUse::LastUsed(index)], "{kind:?}");
            let origins = [Origin::Keychain { keychain: 0, index: Some(index) }];
            assert!(found.transactions().all(|(_, transaction)| {
                transaction.received.iter().all(|received| received.origins == origins)
                    && transaction.spent.iter().all(|spent| spent.origins == origins)
            }));
        }
    });
}

/// A chain that pays `scripts` in order, one a block from height 101 on, and the result for
/// `descriptor`.
fn found_of(descriptor: &str, scripts: &[ScriptBuf]) -> (Vec<u32>, Vec<KeychainUse>) {
    let mut chain = ChainBuilder::new();
    chain.mine(100);
    for script in scripts {
        chain.fund(script, Amount::from_sat(10_000));
        chain.mine(1);
    }
    let scene = Scene::serve(chain, Manner::default());
    patiently(async {
        let found = scan(&scene.server.client().await, ScanRequest::new().keychain(descriptor)).await;
        (found.heights(), found.summary().keychains.clone())
    })
}

#[test]
fn an_address_and_a_raw_script_are_watched_as_they_are() {
    let script = TestWallet::new("grace").script(ScriptKind::P2tr, 5);
    let address = bitcoin::Address::from_script(&script, bitcoin::Network::Regtest).unwrap();
    let bare = ScriptBuf::from(vec![0x51]);
    for (descriptor, watched) in [
        (format!("addr({address})"), script),
        (format!("raw({})", stranger().to_hex_string()), stranger()),
        ("raw(51)".to_owned(), bare),
    ] {
        let paid = [ScriptBuf::from(vec![0x52]), watched, ScriptBuf::from(vec![0x53])];
        assert_eq!(found_of(&descriptor, &paid), (vec![102], vec![KeychainUse::UsedSingle]), "{descriptor}");
    }
}

const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

#[test]
fn combo_watches_the_four_scripts_that_core_gives_a_key() {
    let key: bitcoin::PublicKey = KEY.parse().unwrap();
    let wpkh = ScriptBuf::new_p2wpkh(&key.wpubkey_hash().unwrap());
    let nested = ScriptBuf::new_p2sh(&wpkh.script_hash());
    let paid = [ScriptBuf::new_p2pk(&key), ScriptBuf::new_p2pkh(&key.pubkey_hash()), stranger(), wpkh, nested];
    let found = found_of(&format!("combo({KEY})"), &paid);
    assert_eq!(found, (vec![101, 102, 104, 105], vec![KeychainUse::UsedSingle]));
}

#[test]
fn rawtr_watches_the_output_key_without_a_tweak() {
    let output_key = &KEY[2..];
    let script = ScriptBuf::from_hex(&format!("5120{output_key}")).unwrap();
    assert_eq!(found_of(&format!("rawtr({KEY})"), &[stranger(), script]), (vec![102], vec![KeychainUse::UsedSingle]));
}

#[test]
fn a_given_outpoint_is_reported_where_it_is_spent_with_its_value_where_that_was_given() {
    let wallet = TestWallet::new("heidi");
    let mut chain = ChainBuilder::new();
    let coins: Vec<Coin> =
        (0..3).map(|index| chain.fund(&wallet.script(ScriptKind::P2wpkh, index), Amount::from_sat(9_000))).collect();
    chain.mine(1);
    let output = TxOut { value: Amount::from_sat(16_000), script_pubkey: stranger() };
    chain.spend([&wallet], &coins[..2], vec![output]);
    chain.mine(1);
    let scene = Scene::serve(chain, Manner::default());
    let known = Some(coins[1].output.clone());
    let given = |coin: &Coin, output| GivenOutpoint { outpoint: coin.outpoint, output };
    let request = [given(&coins[0], None), given(&coins[1], known.clone()), given(&coins[2], None)]
        .into_iter()
        .fold(ScanRequest::new(), ScanRequest::outpoint);
    patiently(async {
        let found = scan(&scene.server.client().await, request).await;
        let outpoints: Vec<(OutPoint, Option<TxOut>)> =
            vec![(coins[0].outpoint, None), (coins[1].outpoint, known), (coins[2].outpoint, None)];
        assert_equals_oracle(&found, &scene.chain, &Watched { outpoints, ..Watched::default() });
        let spent = &found.reports[0].transactions[0].spent;
        let told: Vec<_> = spent.iter().map(|spent| (spent.value.map(Amount::to_sat), &spent.origins[..])).collect();
        assert_eq!(told, [(None, &[Origin::Outpoint(0)][..]), (Some(9_000), &[Origin::Outpoint(1)][..])]);
    });
}

#[test]
fn a_birthday_begins_two_hours_before() {
    let script = stranger();
    let mut chain = ChainBuilder::new();
    for _ in 0..40 {
        chain.coinbase_to(&script).mine(1);
    }
    let scene = Scene::serve(chain, Manner::default());
    patiently(async {
        let client = scene.server.client().await;
        // Blocks are ten minutes apart: two hours are twelve of them.
        let birthday = scene.chain.block_at(30).header.time;
        let found = scan(&client, ScanRequest::new().script(script.clone()).birthday(birthday)).await;
        assert_eq!(found.heights(), (18..=40).collect::<Vec<_>>());
        let found = scan(&client, ScanRequest::new().script(script).birthday(birthday + 1)).await;
        assert_eq!(found.heights(), (19..=40).collect::<Vec<_>>());
    });
}
