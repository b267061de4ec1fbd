//! Wallets that follow the chain through updates.

use bdk_wallet::Wallet;
use bdk_wallet::bitcoin::Amount;
use rescan_client::Client;
use rescan_client::bdk::WalletRequest;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene};

use super::{full_scan, source, state, wallet};

const RECEIVING: ScriptKind = ScriptKind::P2wpkh;

fn wallet_of(owner: &TestWallet) -> Wallet {
    wallet(&owner.descriptor(RECEIVING), None, 25)
}

async fn follow(client: &Client, wallet: &mut Wallet) {
    let update = source(client).follow(&WalletRequest::of(wallet)).await.unwrap();
    wallet.apply_update(update).unwrap();
}

/// A chain that pays index 0, and its server.
fn scene(owner: &TestWallet) -> Scene {
    let mut chain = ChainBuilder::new();
    chain.fund(&owner.script(RECEIVING, 0), Amount::from_sat(10_000));
    chain.mine(12);
    Scene::serve(chain, Manner::default())
}

fn pay(scene: &mut Scene, owner: &TestWallet, index: u32) {
    scene.chain.fund(&owner.script(RECEIVING, index), Amount::from_sat(1_000));
}

#[tokio::test]
async fn a_wallet_that_follows_is_at_every_tip_where_one_is_that_scans_anew() {
    let owner = TestWallet::new("owner");
    let mut scene = scene(&owner);
    let client = scene.server.client().await;
    let mut wallet = wallet_of(&owner);
    // From nothing: all there is comes with the first update.
    follow(&client, &mut wallet).await;
    for round in 1..6 {
        // Blocks are connected and disconnected. Payments of the disconnected ones are lost: only this chain pays.
        pay(&mut scene, &owner, round);
        scene.chain.mine(2);
        scene.append();
        follow(&client, &mut wallet).await;
        scene.chain.reorg(1);
        scene.append();
        follow(&client, &mut wallet).await;
        let mut fresh = wallet_of(&owner);
        full_scan(&client, &mut fresh).await;
        assert_eq!(state(&wallet), state(&fresh), "round {round}");
        for checkpoint in wallet.checkpoints() {
            assert_eq!(checkpoint.hash(), scene.chain.hash_at(checkpoint.height()));
        }
    }
}

#[tokio::test]
async fn a_disconnected_block_takes_its_confirmations_along() {
    let owner = TestWallet::new("owner");
    let mut scene = scene(&owner);
    let client = scene.server.client().await;
    let mut wallet = wallet_of(&owner);
    follow(&client, &mut wallet).await;
    pay(&mut scene, &owner, 1);
    scene.chain.mine(1);
    scene.append();
    follow(&client, &mut wallet).await;
    assert_eq!(wallet.balance().confirmed, Amount::from_sat(11_000));
    scene.chain.reorg(1);
    scene.append();
    follow(&client, &mut wallet).await;
    assert_eq!(wallet.balance().confirmed, Amount::from_sat(10_000));
    assert_eq!(wallet.latest_checkpoint().hash(), scene.chain.tip_hash());
}

#[tokio::test]
async fn a_wallet_that_waits_hears_of_the_block_that_comes() {
    let owner = TestWallet::new("owner");
    let mut scene = scene(&owner);
    let (client, other) = (scene.server.client().await, scene.server.client().await);
    let mut wallet = wallet_of(&owner);
    full_scan(&client, &mut wallet).await;
    let request = WalletRequest::of(&wallet);
    let source = source(&client);
    let waiting = source.follow(&request);
    let coming = async {
        pay(&mut scene, &owner, 1);
        scene.chain.mine(1);
        scene.append();
        other.locate(vec![scene.chain.tip_hash()]).await
    };
    let (update, _found) = tokio::join!(waiting, coming);
    wallet.apply_update(update.unwrap()).unwrap();
    assert_eq!(wallet.balance().confirmed, Amount::from_sat(11_000));
}
