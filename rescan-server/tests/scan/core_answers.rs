//! Every wallet of both real datadirs: the same history and the same coins as Bitcoin Core reports.

use rescan_core::coins::CoinLedger;
use rescan_core::report::Outcome;
use rescan_core::request::Verify;
use rescan_fixtures::core_datadir::{CoreDatadir, ExpectedTransaction, ExpectedWallet, Which};
use rescan_fixtures::private_access::mapped_access;
use rescan_server::blocks::block_file::Access;
use rescan_server::scan::{LookaheadConfig, SegmentSize};

use crate::{Answer, ReadChain, RunConfig, WatchInput, scan, watch_descriptors};

struct Wallet<'a> {
    name: &'a str,
    expected: &'a ExpectedWallet,
    input: WatchInput,
}

fn wallets(datadir: &CoreDatadir) -> Vec<Wallet<'_>> {
    let wallets = datadir.expected().wallets.iter();
    let compiled = wallets.map(|(name, expected)| {
        let input = watch_descriptors(expected.descriptors.iter().map(|entry| entry.descriptor.as_str()));
        Wallet { name, expected, input }
    });
    compiled.collect()
}

fn assert_is_cores(answer: &Answer, wallet: &Wallet<'_>, context: &str) {
    let history: Vec<ExpectedTransaction> = answer
        .reports
        .iter()
        .flat_map(|report| {
            report.transactions.iter().map(|transaction| ExpectedTransaction {
                txid: transaction.txid,
                height: report.height.0,
                block_hash: report.hash,
                tx_index: transaction.tx_index,
            })
        })
        .collect();
    assert_eq!(history, wallet.expected.transactions, "history of {} {context}", wallet.name);
    let mut ledger = CoinLedger::new();
    answer.reports.iter().for_each(|report| ledger.apply(report));
    let coins: Vec<_> = ledger
        .sorted()
        .into_iter()
        .map(|coin| (coin.outpoint, coin.value, coin.height.0, coin.script_pubkey.clone()))
        .collect();
    let expected: Vec<_> = wallet
        .expected
        .coins
        .iter()
        .map(|coin| (coin.outpoint(), coin.value, coin.height, coin.script_pubkey.clone()))
        .collect();
    assert_eq!(coins, expected, "coins of {} {context}", wallet.name);
    assert_eq!(answer.totals.coins.count, wallet.expected.coins.len() as u64, "{} {context}", wallet.name);
    assert_eq!(answer.totals.coins.total_sat, wallet.expected.coins_total.to_sat(), "{} {context}", wallet.name);
    assert_eq!(answer.outcome, Outcome::Complete);
}

#[test]
fn every_wallet_has_cores_history_and_coins_in_any_configuration() {
    let mapped = [RunConfig::with_workers(1), config(8, Verify::None, 1)];
    let read = [config(2, Verify::All, 7), config(8, Verify::Reported, 10_000)];
    for which in Which::ALL {
        let dir = tempfile::tempdir().unwrap();
        let datadir = CoreDatadir::unpack(which, dir.path()).unwrap();
        let wallets = wallets(&datadir);
        for (arm, access, configs) in [("mapped", mapped_access(), mapped), ("read", Access::read(), read)] {
            let chain = ReadChain::open(&datadir.blocks_dir(), access);
            let tip = chain.chain.newest().unwrap().tip().unwrap();
            assert_eq!((tip.height.0, tip.hash), (datadir.expected().tip_height, datadir.expected().tip_hash));
            for config in configs {
                for wallet in &wallets {
                    let answer = scan(&chain, &wallet.input, config).unwrap();
                    assert_is_cores(&answer, wallet, &format!("in {which:?}, {arm}, {config:?}"));
                }
            }
        }
    }
}

/// Segments of at most `blocks_max` blocks, whatever their bytes, and a look-ahead as small as
/// allowed: that of the default derives 1,000 scripts a keychain and scan.
fn config(workers: usize, verify: Verify, blocks_max: u32) -> RunConfig {
    let size = SegmentSize { first_bytes: 1 << 30, bytes_max: 1 << 30, blocks_max };
    let lookahead = LookaheadConfig { each: 20, ..LookaheadConfig::default() };
    RunConfig { verify, size, lookahead, ..RunConfig::with_workers(workers) }
}
