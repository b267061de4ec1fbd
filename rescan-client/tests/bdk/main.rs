//! BDK wallets that are filled through a server, against the answers of Bitcoin Core and BDK itself for the same blocks.
#![expect(clippy::unwrap_used, reason = "tests")]

mod core_wallets;
mod following;
mod reorganisations;

use bdk_wallet::bitcoin::Network;
use bdk_wallet::{KeychainKind, Wallet};
use rescan_client::bdk::{BdkRescanClient, WalletRequest};
use rescan_client::position::Height;
use rescan_client::{Client, RangeStart};

/// An empty wallet that knows its own scripts so far beyond the last revealed; of one keychain, where there is no change.
fn wallet(external: &str, internal: Option<&str>, lookahead: u32) -> Wallet {
    let external = external.to_owned();
    let params = match internal {
        Some(internal) => Wallet::create(external, internal.to_owned()),
        None => Wallet::create_single(external),
    };
    params.network(Network::Regtest).lookahead(lookahead).create_wallet_no_persist().unwrap()
}

fn source(client: &Client) -> BdkRescanClient {
    BdkRescanClient::new(client.clone())
}

async fn full_scan(client: &Client, wallet: &mut Wallet) {
    let request = WalletRequest::of(wallet);
    let update = source(client).full_scan(&request, RangeStart::Height(Height::GENESIS)).await.unwrap();
    wallet.apply_update(update).unwrap();
}

async fn sync(client: &Client, wallet: &mut Wallet) {
    let update = source(client).sync(&WalletRequest::of(wallet)).await.unwrap();
    wallet.apply_update(update).unwrap();
}

/// The state that two equal wallets share: transactions with their positions, coins, last revealed indexes, and the tip.
/// They may remember different blocks below it.
fn state(wallet: &Wallet) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut transactions: Vec<String> = wallet
        .transactions()
        .map(|it| {
            let place = it.chain_position.confirmation_height_upper_bound();
            let raw = bdk_wallet::bitcoin::consensus::encode::serialize_hex(it.tx_node.tx.as_ref());
            format!("{} {place:?} {raw}", it.tx_node.txid)
        })
        .collect();
    transactions.sort();
    let mut coins: Vec<_> =
        wallet.list_unspent().map(|it| (it.outpoint, it.txout, it.keychain, it.derivation_index)).collect();
    coins.sort();
    let revealed: Vec<_> = wallet.keychains().map(|(kind, _)| wallet.derivation_index(kind)).collect();
    let tip = wallet.latest_checkpoint().block_id();
    (transactions, coins, revealed, (tip.height, tip.hash), wallet.balance())
}

#[test]
fn what_a_scan_awaits_can_move_between_threads() {
    fn assert_send<T: Send>(_: &T) {}
    fn check(client: &BdkRescanClient, request: &WalletRequest<KeychainKind>) {
        assert_send(&client.full_scan_with_progress(request, RangeStart::Birthday(0), |_progress| {}));
        assert_send(&client.sync(request));
        assert_send(&client.follow(request));
    }
    let _: fn(&BdkRescanClient, &WalletRequest<KeychainKind>) = check;
}
