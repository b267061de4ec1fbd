//! BDK wallets that are filled through a server, against what Bitcoin Core and BDK itself make of the same blocks.
#![expect(clippy::unwrap_used, reason = "tests")]

mod core_wallets;
mod reorganisations;

use bdk_wallet::Wallet;
use bdk_wallet::bitcoin::Network;
use rescan_client::bdk::{self, WalletRequest};
use rescan_client::position::Height;
use rescan_client::{Client, RangeStart};

/// Above every index that the fixtures' wallets used without using one in the thousand before.
const GAP_LIMIT: u32 = 1_000;

fn wallet(external: &str, internal: &str) -> Wallet {
    let params =
        Wallet::create(external.to_owned(), internal.to_owned()).network(Network::Regtest).lookahead(GAP_LIMIT);
    params.create_wallet_no_persist().unwrap()
}

async fn full_scan(client: &Client, wallet: &mut Wallet) {
    let request = WalletRequest::of(wallet).gap_limit(GAP_LIMIT);
    let update = bdk::full_scan(client, &request, RangeStart::Height(Height::GENESIS)).await.unwrap();
    wallet.apply_update(update).unwrap();
}

async fn sync(client: &Client, wallet: &mut Wallet) {
    let update = bdk::sync(client, &WalletRequest::of(wallet)).await.unwrap();
    wallet.apply_update(update).unwrap();
}

/// All that two wallets must have in common to be in one state: transactions with their places, coins, what was revealed,
/// and the tip. Which further blocks they remember is theirs.
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
    fn check(client: &Client, request: &WalletRequest) {
        assert_send(&bdk::full_scan(client, request, RangeStart::Birthday(0)));
        assert_send(&bdk::sync(client, request));
    }
    let _: fn(&Client, &WalletRequest) = check;
}
