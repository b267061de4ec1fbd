//! One block a call over Bitcoin Core's own chains: a wallet that keeps its coins itself finds the
//! same as a scan.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bitcoin::{Block, OutPoint, ScriptBuf, Txid, consensus};
use rescan_client::position::Height;
use rescan_client::report::FailureKind;
use rescan_client::{Client, MatchContent, MatchEntries, ScanError, ScanRequest};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::core_datadir::Which;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, ScanRecord, Scene, TestServer, patiently, scan};

/// The matches by height: the transactions of each block, each with its matching outputs and
/// inputs.
type Found = BTreeMap<u32, Vec<(Txid, Vec<u32>, Vec<u32>)>>;

fn reported_by(scanned: &ScanRecord) -> Found {
    let mut found = Found::new();
    for report in scanned.history().reports() {
        let transactions = report.transactions.iter().map(|transaction| {
            let received = transaction.received.iter().map(|received| received.vout).collect();
            (transaction.txid, received, transaction.spent.iter().map(|spent| spent.vin).collect())
        });
        found.insert(report.height.0, transactions.collect());
    }
    found
}

/// The part of a block that concerns the wallet. Adds the coins that it makes.
fn matches_in(
    block: &Block,
    height: u32,
    scripts: &HashSet<ScriptBuf>,
    coins: &mut Vec<OutPoint>,
) -> Vec<(Txid, Vec<u32>, Vec<u32>)> {
    let mut matches = Vec::new();
    for transaction in &block.txdata {
        let spends = (0..).zip(&transaction.input).filter(|(_, input)| coins.contains(&input.previous_output));
        let spent: Vec<u32> = spends.map(|(vin, _)| vin).collect();
        let pays = (0..).zip(&transaction.output).filter(|(_, output)| scripts.contains(&output.script_pubkey));
        let received: Vec<u32> = pays.map(|(vout, _)| vout).collect();
        let txid = transaction.compute_txid();
        if height > 0 {
            coins.extend(received.iter().map(|&vout| OutPoint { txid, vout }));
        }
        if !received.is_empty() || !spent.is_empty() {
            matches.push((txid, received, spent));
        }
    }
    matches
}

/// A rescan of the whole chain, one request a block. The scripts are those that the wallet has
/// used.
async fn walk(client: &Client, scripts: HashSet<ScriptBuf>) -> Found {
    let mut found = Found::new();
    let mut coins = Vec::new();
    let mut asked = (Height::GENESIS, None);
    loop {
        let listed = MatchEntries { scripts: scripts.iter().cloned().collect(), outpoints: coins.clone() };
        let matched = client.match_block(asked.0, asked.1, Arc::new(listed)).await.unwrap();
        let height = matched.block.height.0;
        if let MatchContent::Block(data) = &matched.content {
            let block: Block = consensus::deserialize(data).unwrap();
            let matches = matches_in(&block, height, &scripts, &mut coins);
            assert!(!matches.is_empty(), "block {height} was returned, but nothing in it matches");
            found.insert(height, matches);
        }
        let Some(next) = matched.next else { return found };
        asked = (next.height, Some(next.hash));
    }
}

#[test]
fn a_wallet_that_asks_block_by_block_finds_what_a_scan_reports() {
    for which in Which::ALL {
        let (server, datadir) = TestServer::of_core(which, Manner::default());
        patiently(async {
            let client = server.client().await;
            for (name, wallet) in &datadir.expected().wallets {
                let descriptors = wallet.descriptors.iter().map(|entry| entry.descriptor.as_str());
                let request = descriptors.fold(ScanRequest::new(), ScanRequest::keychain);
                let scanned = scan(&client, request).await;
                let used = scanned.transactions().flat_map(|(_, transaction)| &transaction.received);
                let scripts: HashSet<ScriptBuf> = used.map(|received| received.script_pubkey.clone()).collect();
                let found = walk(&client, scripts).await;
                assert_eq!(found, reported_by(&scanned), "{name} in {which:?}");
            }
        });
    }
}

/// A coin is made and spent within one block: the call knows no outpoint, and the spend alone would
/// not be found.
#[test]
fn a_coin_that_its_own_block_spends_is_found_by_its_script() {
    let alice = TestWallet::new("alice");
    let mut chain = ChainBuilder::new();
    let coin = chain.fund(&alice.script(ScriptKind::P2wpkh, 0), bitcoin::Amount::from_sat(10_000));
    chain.spend([&alice], &[coin], vec![]);
    chain.mine(1);
    let height = chain.tip_height();
    let scene = Scene::serve(chain, Manner::default());
    patiently(async {
        let client = scene.server.client().await;
        let scripts = vec![alice.script(ScriptKind::P2wpkh, 0)];
        let entries = MatchEntries { scripts, outpoints: vec![] };
        let matched = client.match_block(Height(height), None, Arc::new(entries)).await.unwrap();
        assert_eq!(matched.content, MatchContent::Block(consensus::serialize(scene.chain.block_at(height))));
    });
}

#[test]
fn a_block_that_is_not_what_its_header_says_is_a_failure_only_where_it_matches() {
    let alice = TestWallet::new("alice").script(ScriptKind::P2wpkh, 0);
    let mut chain = ChainBuilder::new();
    chain.fund(&alice, bitcoin::Amount::from_sat(10_000));
    chain.mine(1);
    let height = chain.tip_height();
    // The last block of all would be taken for one that is still being written.
    chain.mine(1);
    let mut scene = Scene::write(chain, Manner::default());
    scene.flip_a_bit_at(height);
    scene.server.start();
    patiently(async {
        let client = scene.server.client().await;
        let ask = async |script: ScriptBuf| {
            let entries = MatchEntries { scripts: vec![script], outpoints: vec![] };
            client.match_block(Height(height), None, Arc::new(entries)).await
        };
        let error = ask(alice).await.unwrap_err();
        assert!(matches!(&error, ScanError::Failed(failure) if failure.kind == FailureKind::CorruptBlock), "{error:?}");
        let quiet = ask(ScriptBuf::from(vec![0x51])).await.unwrap();
        assert_eq!(quiet.content, MatchContent::Nothing);
    });
}
