//! Wallets that sync while the chain goes on, and takes blocks back.

use bdk_wallet::Wallet;
use bdk_wallet::bitcoin::{Amount, Network, ScriptBuf, TxOut};
use rescan_client::RangeStart;
use rescan_client::bdk::{BdkError, WalletRequest};
use rescan_client::position::Height;
use rescan_fixtures::chain_builder::{ChainBuilder, Coin};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene};

use super::{full_scan, source, state, sync, wallet};

const RECEIVING: ScriptKind = ScriptKind::P2wpkh;
const CHANGE: ScriptKind = ScriptKind::P2tr;
/// The scenarios use the first few indexes.
const LOOKAHEAD: u32 = 25;
const STRANGER: [u8; 2] = [0x51, 0x51];

fn wallet_of(owner: &TestWallet) -> Wallet {
    wallet(&owner.descriptor(RECEIVING), Some(&owner.descriptor(CHANGE)), LOOKAHEAD)
}

/// A wallet of the same owner that BDK itself filled from all blocks, in the order in which a node saw them: it keeps what
/// was in a block that was left as unconfirmed, unless something in the chain conflicts with it.
fn by_blocks(owner: &TestWallet, chain: &ChainBuilder) -> Wallet {
    let mut wallet = wallet_of(owner);
    for (height, block) in chain.made().skip(1) {
        wallet.apply_block(block, height).unwrap();
    }
    wallet
}

fn sat(value: u64) -> Amount {
    Amount::from_sat(value)
}

fn pays(script: ScriptBuf, value: u64) -> TxOut {
    TxOut { value: sat(value), script_pubkey: script }
}

/// Spends the coin to `script`, less a fee.
fn spend(chain: &mut ChainBuilder, owner: &TestWallet, coin: &Coin, script: ScriptBuf) {
    let value = coin.output.value.to_sat() - 500;
    chain.spend([owner], std::slice::from_ref(coin), vec![pays(script, value)]);
}

#[tokio::test]
async fn a_sync_after_a_reorganisation_leaves_what_the_new_branch_has() {
    let owner = TestWallet::new("owner");
    let mut chain = ChainBuilder::new();
    let [first, second] = [0, 1].map(|index| chain.fund(&owner.script(RECEIVING, index), sat(50_000)));
    chain.mine(3);
    // To be left: a payment, one coin moved to change, the other paid away.
    chain.fund(&owner.script(RECEIVING, 2), sat(70_000));
    spend(&mut chain, &owner, &first, owner.script(CHANGE, 0));
    spend(&mut chain, &owner, &second, ScriptBuf::from_bytes(STRANGER.to_vec()));
    chain.mine(3);
    let mut scene = Scene::serve(chain, Manner::default());
    let client = scene.server.client().await;
    let mut wallet = wallet_of(&owner);
    full_scan(&client, &mut wallet).await;
    assert_eq!(state(&wallet), state(&by_blocks(&owner, &scene.chain)));
    assert_eq!(wallet.balance().total(), sat(70_000 + 49_500));

    // The other branch pays the first coin away, without a word to this wallet, and leaves the second alone.
    scene.chain.rewind(3);
    spend(&mut scene.chain, &owner, &first, ScriptBuf::from_bytes(STRANGER.to_vec()));
    scene.chain.fund(&owner.script(RECEIVING, 3), sat(20_000));
    scene.chain.fund(&owner.script(CHANGE, 1), sat(1_000));
    scene.chain.mine(4);
    scene.append();
    sync(&client, &mut wallet).await;
    assert_eq!(state(&wallet), state(&by_blocks(&owner, &scene.chain)));
    // The second coin's spend could be mined again, so that BDK has it pending. The first one's cannot.
    assert_eq!(wallet.balance().confirmed, sat(20_000 + 1_000));

    // Its coin spent in another way, it is gone for good.
    spend(&mut scene.chain, &owner, &second, owner.script(CHANGE, 2));
    scene.chain.mine(1);
    scene.append();
    sync(&client, &mut wallet).await;
    assert_eq!(wallet.balance().total(), sat(20_000 + 1_000 + 49_500));
    assert_eq!(state(&wallet), state(&by_blocks(&owner, &scene.chain)));
    let mut fresh = wallet_of(&owner);
    full_scan(&client, &mut fresh).await;
    assert_eq!(state(&wallet), state(&fresh));
    // Nothing of the branch that was left stands in its chain.
    for checkpoint in wallet.checkpoints() {
        assert_eq!(checkpoint.hash(), scene.chain.hash_at(checkpoint.height()));
    }
}

#[tokio::test]
async fn a_wallet_that_syncs_at_every_turn_of_the_chain_is_where_one_is_that_saw_only_the_last() {
    let owner = TestWallet::new("owner");
    let mut chain = ChainBuilder::new();
    chain.fund(&owner.script(RECEIVING, 0), sat(10_000));
    chain.mine(12);
    let mut scene = Scene::serve(chain, Manner::default());
    let client = scene.server.client().await;
    let mut wallet = wallet_of(&owner);
    full_scan(&client, &mut wallet).await;
    for turn in 1..=6 {
        scene.chain.rewind(turn * 2 - 1);
        // The newest coin of those that this branch has goes to change; a new one comes.
        let coins = (0..turn).rev().flat_map(|index| scene.chain.coins_of(&owner.script(RECEIVING, index)));
        let newest = coins.collect::<Vec<_>>().into_iter().next();
        if let Some(coin) = newest {
            spend(&mut scene.chain, &owner, &coin, owner.script(CHANGE, turn));
        }
        scene.chain.fund(&owner.script(RECEIVING, turn), sat(10_000 + u64::from(turn)));
        scene.chain.fund(&owner.script(CHANGE, turn + 1), sat(2_000));
        scene.chain.mine(turn * 2);
        scene.append();
        sync(&client, &mut wallet).await;
        assert_eq!(state(&wallet), state(&by_blocks(&owner, &scene.chain)), "turn {turn}");
    }
}

#[tokio::test]
async fn a_spend_after_the_first_scan_is_found_though_it_pays_the_wallet_nothing() {
    let owner = TestWallet::new("owner");
    let mut chain = ChainBuilder::new();
    let coin = chain.fund(&owner.script(RECEIVING, 0), sat(10_000));
    chain.mine(2);
    let mut scene = Scene::serve(chain, Manner::default());
    let client = scene.server.client().await;
    let mut wallet = wallet_of(&owner);
    full_scan(&client, &mut wallet).await;
    spend(&mut scene.chain, &owner, &coin, ScriptBuf::from_bytes(STRANGER.to_vec()));
    scene.chain.mine(1);
    scene.append();
    sync(&client, &mut wallet).await;
    assert_eq!((wallet.balance().total(), wallet.transactions().count()), (Amount::ZERO, 2));
}

#[tokio::test]
async fn a_chain_that_ends_below_the_blocks_to_drop_is_said_to_be_too_short() {
    let owner = TestWallet::new("owner");
    let mut long = ChainBuilder::new();
    long.mine(10);
    let mut wallet = wallet_of(&owner);
    full_scan(&Scene::serve(long, Manner::default()).server.client().await, &mut wallet).await;
    let mut short = ChainBuilder::new();
    short.mine(5);
    let scene = Scene::serve(short, Manner::default());
    let client = scene.server.client().await;
    let error = source(&client).sync(&WalletRequest::of(&wallet)).await.unwrap_err();
    let expected = (Height(5), Height(10));
    assert!(matches!(error, BdkError::ChainTooShort { tip, stale } if (tip, stale) == expected), "{error}");
}

#[tokio::test]
async fn a_wallet_of_another_network_is_refused() {
    let owner = TestWallet::new("owner");
    let params = Wallet::create(owner.descriptor(RECEIVING), owner.descriptor(CHANGE)).network(Network::Signet);
    let wallet = params.create_wallet_no_persist().unwrap();
    let scene = Scene::serve(ChainBuilder::new(), Manner::default());
    let client = scene.server.client().await;
    let start = RangeStart::Height(Height::GENESIS);
    let error = source(&client).full_scan(&WalletRequest::of(&wallet), start).await.unwrap_err();
    assert!(matches!(error, BdkError::OtherChain { .. }), "{error}");
}
