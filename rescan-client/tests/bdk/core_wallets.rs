//! Core's wallets, one BDK wallet for each address type of theirs.

use std::collections::{BTreeMap, BTreeSet};

use bdk_wallet::bitcoin::constants::genesis_block;
use bdk_wallet::bitcoin::hashes::Hash;
use bdk_wallet::bitcoin::{Amount, Block, BlockHash, Network, OutPoint};
use bdk_wallet::chain::indexer::keychain_txout::KeychainTxOutIndex;
use bdk_wallet::chain::local_chain::LocalChain;
use bdk_wallet::chain::{ConfirmationBlockTime, TxGraph};
use bdk_wallet::{KeychainKind, Wallet};
use rescan_client::bdk::{BdkRescanClient, WalletRequest};
use rescan_client::position::Height;
use rescan_client::report::Progress;
use rescan_client::{Client, RangeStart};
use rescan_fixtures::core_datadir::{CoreDatadir, ExpectedWallet, Which};
use rescan_fixtures::plain_reader::read_blocks;
use rescan_tests::{Manner, TestServer};

use super::{full_scan, state, sync, wallet};

const REGTEST_MAGIC: [u8; 4] = [0xfa, 0xbf, 0xb5, 0xda];

/// For a wallet that is given blocks in order: no index was used more than that beyond the last.
const LOOKAHEAD: u32 = 1_000;

/// The BDK wallets of a Core wallet: its descriptors come in pairs of one type, receiving and change.
fn bdk_wallets(core: &ExpectedWallet) -> Vec<Wallet> {
    let mut by_type: BTreeMap<&str, [Option<&str>; 2]> = BTreeMap::new();
    for it in &core.descriptors {
        // Up to the first key: pkh(, sh(wpkh(, tr(, wpkh(, wsh(sortedmulti(2,
        let kind = it.descriptor.split('[').next().unwrap();
        by_type.entry(kind).or_default()[usize::from(it.internal)] = Some(&it.descriptor);
    }
    by_type.values().map(|pair| wallet(pair[0].unwrap(), pair[1], LOOKAHEAD)).collect()
}

async fn scanned(client: &Client, core: &ExpectedWallet) -> Vec<Wallet> {
    let mut wallets = bdk_wallets(core);
    for wallet in &mut wallets {
        full_scan(client, wallet).await;
    }
    wallets
}

/// The active chain without genesis, which the wallets have.
fn blocks(core: &CoreDatadir) -> Vec<Block> {
    let records = read_blocks(&core.blocks_dir(), REGTEST_MAGIC).unwrap();
    let mut by_hash: BTreeMap<BlockHash, Block> = records.into_iter().map(|(_, it)| (it.block_hash(), it)).collect();
    let mut chain = Vec::new();
    let mut next = core.expected().tip_hash;
    while let Some(block) = by_hash.remove(&next) {
        next = block.header.prev_blockhash;
        chain.push(block);
    }
    assert_eq!(next, BlockHash::all_zeros());
    chain.pop();
    chain.reverse();
    chain
}

#[tokio::test]
async fn the_wallets_of_every_address_type_together_have_the_coins_that_core_found() {
    for which in Which::ALL {
        let (server, core) = TestServer::of_core(which, Manner::default());
        let client = server.client().await;
        for (name, expected) in &core.expected().wallets {
            let wallets = scanned(&client, expected).await;
            assert_eq!(wallets.len(), if ["vault", "leafy"].contains(&name.as_str()) { 1 } else { 4 }, "{name}");
            let coins: BTreeMap<OutPoint, Amount> =
                wallets.iter().flat_map(|it| it.list_unspent().map(|coin| (coin.outpoint, coin.txout.value))).collect();
            let of_core: BTreeMap<OutPoint, Amount> =
                expected.coins.iter().map(|coin| (coin.outpoint(), coin.value)).collect();
            assert_eq!(coins, of_core, "{name}");
            let total: Amount = wallets.iter().map(|it| it.balance().total()).sum();
            assert_eq!(total, expected.coins_total, "{name}");
            let transactions: BTreeSet<_> =
                wallets.iter().flat_map(|it| it.transactions().map(|tx| tx.tx_node.txid).collect::<Vec<_>>()).collect();
            let of_core: BTreeSet<_> = expected.transactions.iter().map(|it| it.txid).collect();
            assert_eq!(transactions, of_core, "{name}");
        }
    }
}

#[tokio::test]
async fn a_wallet_that_was_given_every_block_is_in_the_same_state() {
    let (server, core) = TestServer::of_core(Which::A, Manner::default());
    let client = server.client().await;
    let blocks = blocks(&core);
    for name in ["alice", "vault", "leafy"] {
        let expected = &core.expected().wallets[name];
        let by_scan = scanned(&client, expected).await;
        for (by_blocks, by_scan) in bdk_wallets(expected).iter_mut().zip(&by_scan) {
            for (height, block) in (1..).zip(&blocks) {
                by_blocks.apply_block(block, height).unwrap();
            }
            assert_eq!(state(by_scan), state(by_blocks), "{name}");
        }
    }
}

#[tokio::test]
async fn a_scan_and_a_sync_of_a_wallet_that_is_up_to_date_change_nothing() {
    let (server, core) = TestServer::of_core(Which::C, Manner::default());
    let client = server.client().await;
    for wallet in &mut scanned(&client, &core.expected().wallets["bob"]).await {
        let before = state(wallet);
        sync(&client, wallet).await;
        assert_eq!(state(wallet), before);
        full_scan(&client, wallet).await;
        assert_eq!(state(wallet), before);
    }
}

/// A wallet on the structures of `bdk_chain`, whose keychains have names of its own.
#[tokio::test]
async fn keychains_of_any_type_are_scanned_without_a_wallet() {
    let (server, core) = TestServer::of_core(Which::A, Manner::default());
    let client = server.client().await;
    let expected = &core.expected().wallets["vault"];
    let (mut chain, _) = LocalChain::from_genesis_hash(genesis_block(Network::Regtest).block_hash());
    let mut graph = TxGraph::<ConfirmationBlockTime>::default();
    let mut index = KeychainTxOutIndex::new(LOOKAHEAD, false);
    for (keychain, it) in ["deposits", "change"].into_iter().zip(&expected.descriptors) {
        index.insert_descriptor(keychain, it.descriptor.parse().unwrap()).unwrap();
    }
    let request = WalletRequest::from_chain(&chain, &graph, &index);
    let mut done = Vec::new();
    let client = BdkRescanClient::new(client);
    let progress = |progress: &Progress| done.push(progress.blocks_done);
    let scan = client.full_scan_with_progress(&request, RangeStart::Height(Height::GENESIS), progress);
    let update = scan.await.unwrap();
    assert!(done.is_sorted(), "{done:?}");
    let [wallet] = &scanned(client.client(), expected).await[..] else { panic!("one address type") };
    for (keychain, kind) in [("deposits", KeychainKind::External), ("change", KeychainKind::Internal)] {
        let last_used = update.last_active_indices.get(keychain).copied();
        assert_eq!(last_used, wallet.derivation_index(kind), "{keychain}");
    }
    let _changes = graph.apply_update(update.tx_update);
    chain.apply_update(update.chain_update.unwrap()).unwrap();
    assert_eq!(chain.tip().hash(), core.expected().tip_hash);
    let transactions: BTreeSet<_> = graph.full_txs().map(|it| it.txid).collect();
    let of_core: BTreeSet<_> = expected.transactions.iter().map(|it| it.txid).collect();
    assert_eq!(transactions, of_core);
}
