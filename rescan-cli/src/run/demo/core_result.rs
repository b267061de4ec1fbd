//! Bitcoin Core's own result for the demo's wallets, and the differences of a scan from it.

use std::collections::BTreeMap;

use rescan_client::coins::{Coin, CoinLedger};
use rescan_client::report::{BlockReport, Outcome, Summary};
use serde::Deserialize;

use crate::wallets::WalletResult;

/// `expected.json`.
#[derive(Debug, Deserialize)]
pub(super) struct CoreResult {
    pub(super) core_version: u32,
    pub(super) tip_height: u32,
    pub(super) tip_hash: String,
    pub(super) wallets: BTreeMap<String, ExpectedWallet>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExpectedWallet {
    pub(super) descriptors: Vec<WalletDescriptor>,
    /// In chain order.
    pub(super) transactions: Vec<ExpectedTransaction>,
    /// From `scantxoutset`, with immature coinbases, in chain order.
    pub(super) coins: Vec<ExpectedCoin>,
    pub(super) coins_sat: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct WalletDescriptor {
    pub(super) descriptor: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct ExpectedTransaction {
    txid: String,
    height: u32,
    block_hash: String,
    tx_index: u32,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct ExpectedCoin {
    txid: String,
    vout: u32,
    pub(super) value_sat: u64,
    height: u32,
    script_pubkey: String,
}

impl CoreResult {
    /// Bitcoin Core's version as it prints it: 319900 is v31.99.
    pub(super) fn version(&self) -> String {
        format!("v{}.{}", self.core_version / 10_000, self.core_version / 100 % 100)
    }
}

/// The result of a scan of one wallet.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) result: WalletResult,
    pub(super) coins: CoinLedger,
    pub(super) summary: Summary,
}

impl Found {
    /// The differences from Bitcoin Core's result, for people; none if it is the same to the last satoshi.
    pub(super) fn differences(&self, core: &CoreResult, wallet: &ExpectedWallet) -> Vec<String> {
        let mut differences = Vec::new();
        let mut check = |name: &str, same: bool| {
            if !same {
                differences.push(name.to_owned());
            }
        };
        let transactions = self.transactions();
        let coins: Vec<ExpectedCoin> = self.coins.sorted().into_iter().map(as_expected).collect();
        let summary = &self.summary;
        check("the scan is not complete", summary.outcome == Outcome::Complete);
        check("tip", (summary.tip.height.0, summary.tip.hash.to_string()) == (core.tip_height, core.tip_hash.clone()));
        check("transactions", transactions == wallet.transactions);
        check("coins", coins == wallet.coins);
        check("total", self.coins.total_sat() == u128::from(wallet.coins_sat));
        let counts = (summary.transactions, summary.unspent_count, summary.unspent.to_sat());
        let expected = (as_count(wallet.transactions.len()), as_count(wallet.coins.len()), wallet.coins_sat);
        check("summary", counts == expected);
        differences
    }

    fn transactions(&self) -> Vec<ExpectedTransaction> {
        let of_block = |report: &BlockReport| {
            let (height, block_hash) = (report.height.0, report.hash.to_string());
            let as_expected = move |transaction: &rescan_client::report::TransactionReport| ExpectedTransaction {
                txid: transaction.txid.to_string(),
                height,
                block_hash: block_hash.clone(),
                tx_index: transaction.tx_index,
            };
            report.transactions.iter().map(as_expected).collect::<Vec<_>>()
        };
        self.result.reports.iter().flat_map(of_block).collect()
    }
}

fn as_expected(coin: &Coin) -> ExpectedCoin {
    ExpectedCoin {
        txid: coin.outpoint.txid.to_string(),
        vout: coin.outpoint.vout,
        value_sat: coin.value.to_sat(),
        height: coin.height.0,
        script_pubkey: coin.script_pubkey.to_hex_string(),
    }
}

fn as_count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
