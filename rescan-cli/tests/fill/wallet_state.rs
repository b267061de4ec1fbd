//! A wallet of Core's as its RPC answers.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::Amount;
use serde_json::{Value, json};

use crate::scene::FillScene;

/// The confirmed transactions and coins of a wallet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WalletState {
    /// Txid to height and hash of the block.
    pub(crate) transactions: BTreeMap<String, (u64, String)>,
    /// Outpoint to value in satoshi; immature ones too.
    pub(crate) coins: BTreeMap<(String, u64), u64>,
    /// Trusted and immature balance, in satoshi.
    pub(crate) balance: u64,
}

impl WalletState {
    /// The wallet's answers for these transactions. It may have no other.
    ///
    /// `listtransactions` hides payments between a wallet's own addresses, so each transaction is
    /// asked for, and their number compared with the wallet's.
    pub(crate) fn of(scene: &FillScene, wallet: &str, txids: &BTreeSet<String>) -> Self {
        let state = Self::among(scene, wallet, txids);
        let count = scene.wallet(wallet, "getwalletinfo", &json!([]))["txcount"].as_u64().unwrap();
        assert_eq!(count, state.transactions.len() as u64, "{wallet} has transactions that nobody named");
        state
    }

    /// The same of a wallet that may have others, or lack some.
    pub(crate) fn among(scene: &FillScene, wallet: &str, txids: &BTreeSet<String>) -> Self {
        let mut transactions = BTreeMap::new();
        for txid in txids {
            let Some(found) = scene.try_wallet(wallet, "gettransaction", &json!([txid])) else { continue };
            if let Some(height) = found["blockheight"].as_u64() {
                transactions.insert(txid.clone(), (height, found["blockhash"].as_str().unwrap().to_owned()));
            }
        }
        let options = json!({"include_immature_coinbase": true});
        let unspent = scene.wallet(wallet, "listunspent", &json!([1, 9_999_999, [], true, options]));
        let outpoint = |coin: &Value| (coin["txid"].as_str().unwrap().to_owned(), coin["vout"].as_u64().unwrap());
        let coins = unspent.as_array().unwrap().iter().map(|coin| (outpoint(coin), satoshi(&coin["amount"]))).collect();
        let balances = &scene.wallet(wallet, "getbalances", &json!([]))["mine"];
        let balance = satoshi(&balances["trusted"]) + satoshi(&balances["immature"]);
        Self { transactions, coins, balance }
    }
}

/// An amount of Core's, which prints bitcoins.
pub(crate) fn satoshi(amount: &Value) -> u64 {
    Amount::from_btc(amount.as_f64().unwrap()).unwrap().to_sat()
}
