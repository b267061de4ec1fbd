//! Raw transactions and merkle branches, held against the block files as a plain reading has them.

use std::collections::HashMap;

use bitcoin::{Amount, Block, BlockHash, consensus};
use rescan_client::report::BlockReport;
use rescan_client::{GivenKeychain, ScanRequest, merkle};
use rescan_fixtures::block_file_writer::REGTEST_MAGIC;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::core_datadir::Which;
use rescan_fixtures::plain_reader::read_blocks;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, TestServer, patiently, scan};

fn blocks_in(server: &TestServer) -> HashMap<BlockHash, Block> {
    let records = read_blocks(&server.blocks_dir(), REGTEST_MAGIC).unwrap();
    records.into_iter().map(|(_, block)| (block.block_hash(), block)).collect()
}

/// Holds a report's proofs against the block: the header, each transaction's bytes, each branch.
fn assert_is_proven(report: &BlockReport, blocks: &HashMap<BlockHash, Block>) {
    let block = &blocks[&report.hash];
    let header = report.header.unwrap();
    assert_eq!((header, header.block_hash(), header.time), (block.header, report.hash, report.time));
    for transaction in &report.transactions {
        let there = &block.txdata[transaction.tx_index as usize];
        assert_eq!(there.compute_txid(), transaction.txid);
        assert_eq!(transaction.raw, Some(consensus::serialize(there)), "witnesses and all");
        let branch = transaction.merkle_branch.as_deref().unwrap();
        assert_eq!(merkle::verify_branch(&block.header, transaction.txid, transaction.tx_index, branch), Ok(()));
        let depth = block.txdata.len().next_power_of_two().ilog2();
        assert_eq!(branch.len(), depth as usize);
    }
}

#[test]
fn every_transaction_of_cores_wallets_comes_with_its_bytes_and_its_place_in_the_tree() {
    for which in Which::ALL {
        let (server, datadir) = TestServer::of_core(which, Manner::default());
        let blocks = blocks_in(&server);
        patiently(async {
            let client = server.client().await;
            for (name, wallet) in &datadir.expected().wallets {
                let request = wallet
                    .descriptors
                    .iter()
                    .fold(ScanRequest::new(), |request, entry| request.keychain(entry.descriptor.as_str()));
                let found = scan(&client, request.raw_transactions().merkle_branches()).await;
                assert_eq!(found.summary().transactions, wallet.transactions.len() as u64, "{name} in {which:?}");
                found.reports.iter().for_each(|report| assert_is_proven(report, &blocks));
                for (_, transaction) in found.transactions() {
                    let cores = datadir.expected().transaction(&transaction.txid).unwrap();
                    assert_eq!(transaction.raw, Some(consensus::serialize(cores)), "{name} in {which:?}");
                }
            }
        });
    }
}

/// Index 5 is used before the index that brings it into the gap, so that it is found late.
fn used_upside_down(wallet: &TestWallet) -> ChainBuilder {
    let mut chain = ChainBuilder::new();
    for index in [5, 3, 1] {
        chain.fund(&wallet.script(ScriptKind::P2wpkh, 9_999), Amount::from_sat(4_000));
        chain.fund(&wallet.script(ScriptKind::P2wpkh, index), Amount::from_sat(5_000));
        chain.mine(1);
    }
    chain
}

#[test]
fn late_reports_are_proven_too() {
    let wallet = TestWallet::new("judy");
    let scene = Scene::serve(used_upside_down(&wallet), Manner::default());
    let blocks = blocks_in(&scene.server);
    patiently(async {
        let keychain = GivenKeychain::new(wallet.descriptor(ScriptKind::P2wpkh)).gap_limit(2);
        let request = ScanRequest::new().keychain(keychain).raw_transactions().merkle_branches();
        let found = scan(&scene.server.client().await, request).await;
        assert!(found.reports.iter().any(|report| report.is_late));
        assert_eq!(found.history().transaction_count(), 3);
        found.reports.iter().for_each(|report| assert_is_proven(report, &blocks));
    });
}

#[test]
fn what_was_not_asked_for_does_not_come() {
    let wallet = TestWallet::new("judy");
    let scene = Scene::serve(used_upside_down(&wallet), Manner::default());
    let watch = || ScanRequest::new().keychain(wallet.descriptor(ScriptKind::P2wpkh));
    patiently(async {
        let client = scene.server.client().await;
        let asked = [
            (watch(), false, false),
            (watch().raw_transactions(), true, false),
            (watch().merkle_branches(), false, true),
        ];
        for (request, wants_raw, wants_branches) in asked {
            let found = scan(&client, request).await;
            assert_eq!(found.reports.len(), 3);
            for (report, transaction) in found.transactions() {
                assert_eq!(transaction.raw.is_some(), wants_raw);
                assert_eq!(
                    (report.header.is_some(), transaction.merkle_branch.is_some()),
                    (wants_branches, wants_branches)
                );
            }
        }
    });
}
