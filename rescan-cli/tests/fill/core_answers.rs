//! Real chains of Core's, whose wallets' answers are stored with them.

use std::collections::BTreeSet;

use rescan_fixtures::core_datadir::{ExpectedWallet, Which};
use serde_json::{Value, json};

use crate::scene::FillScene;
use crate::wallet_state::WalletState;

/// The wallet's answers as Core gave them.
fn expected_state(wallet: &ExpectedWallet) -> WalletState {
    let transactions = wallet.transactions.iter();
    let coins = wallet.coins.iter();
    WalletState {
        transactions: transactions
            .map(|found| (found.txid.to_string(), (u64::from(found.height), found.block_hash.to_string())))
            .collect(),
        coins: coins.map(|coin| ((coin.txid.to_string(), u64::from(coin.vout)), coin.value.to_sat())).collect(),
        balance: wallet.coins_total.to_sat(),
    }
}

fn descriptors(wallet: &ExpectedWallet) -> Value {
    let listed = wallet.descriptors.iter().map(|descriptor| {
        json!({
            "desc": descriptor.descriptor, "timestamp": 1, "active": false, "internal": descriptor.internal,
            "range": [descriptor.range.0, descriptor.range.1], "next_index": descriptor.next_index,
        })
    });
    listed.collect()
}

fn every_wallet_ends_equal(which: Which, arguments: &[&str]) {
    let Some((scene, expected)) = FillScene::of_core(which, arguments) else { return };
    assert_eq!(expected.wallets.len(), 6);
    for (name, wallet) in &expected.wallets {
        let ended = scene.create_and_fill(name, &descriptors(wallet), &[]);
        ended.assert_equal();
        assert!(ended.calls() > 0, "{name}: an import alone had filled it");
        let txids: BTreeSet<String> = wallet.transactions.iter().map(|found| found.txid.to_string()).collect();
        assert_eq!(WalletState::of(&scene, name, &txids), expected_state(wallet), "{name}");
        let summary = ended.summary();
        assert_eq!(summary["transactions"], wallet.transactions.len(), "{name}");
        assert_eq!(summary["coins"], wallet.coins.len(), "{name}");
        assert_eq!(summary["total_sat"], wallet.coins_total.to_sat(), "{name}");
    }
}

#[test]
fn every_wallet_of_the_first_chain_ends_equal_to_cores_own_answers() {
    every_wallet_ends_equal(Which::A, &["-fastprune"]);
}

#[test]
fn every_wallet_of_the_second_chain_ends_equal_to_cores_own_answers_with_block_filters() {
    every_wallet_ends_equal(Which::C, &["-fastprune", "-blockfilterindex"]);
}
