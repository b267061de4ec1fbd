//! A thousand wallets in one pass get the same reports as from a thousand scans.

use bitcoin::{Amount, TxOut};
use rescan_client::history::History;
use rescan_client::wallets::{Wallet, Wallets};
use rescan_client::{GivenKeychain, ScanRequest};
use rescan_fixtures::chain_builder::{ChainBuilder, Coin};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, patiently, scan};

const WALLETS: usize = 1_000;

/// The last ones have the descriptors of the first, and a gap limit of their own.
const TWINS: usize = 10;

const GAP_LIMIT: u32 = 3;

/// Which indexes a wallet uses, in chain order: none, one, from the gap's end backwards, so that
/// the first is found only once the second has revealed it, and beyond the gap.
const USES: [&[u32]; 5] = [&[0], &[2, 0], &[7, 5, 2], &[], &[1, 5]];

fn owner(number: usize) -> usize {
    if number < WALLETS - TWINS { number } else { number - (WALLETS - TWINS) }
}

/// All first uses in the first block, and so on; every fourth wallet then spends its latest
/// receipt, two wallets in each transaction.
fn build(owners: &[TestWallet]) -> ChainBuilder {
    let mut chain = ChainBuilder::new();
    let mut last_paid: Vec<Option<Coin>> = vec![None; owners.len()];
    for step in 0..3 {
        let mut paid: Vec<(usize, TxOut)> = Vec::new();
        for (number, wallet) in owners.iter().enumerate() {
            if let Some(&index) = USES[number % USES.len()].get(step) {
                let script_pubkey = wallet.script(ScriptKind::P2wpkh, index);
                paid.push((number, TxOut { value: Amount::from_sat(5_000 + u64::from(index)), script_pubkey }));
            }
        }
        for together in paid.chunks(100) {
            let made = chain.fund_outputs(together.iter().map(|(_, output)| output.clone()).collect());
            for (vout, (number, _)) in (0..).zip(together) {
                last_paid[*number] = Some(Coin::of(&made, vout));
            }
        }
        chain.mine(1);
    }
    let spenders: Vec<usize> = (0..owners.len()).step_by(4).filter(|number| last_paid[*number].is_some()).collect();
    for pair in spenders.chunks(2) {
        let coins: Vec<Coin> = pair.iter().filter_map(|number| last_paid[*number].take()).collect();
        chain.spend(pair.iter().map(|number| &owners[*number]), &coins, vec![]);
    }
    chain.mine(1);
    chain
}

#[test]
fn a_thousand_wallets_in_one_pass_hear_what_each_hears_alone() {
    let owners: Vec<TestWallet> =
        (0..WALLETS - TWINS).map(|number| TestWallet::new(&format!("wallet {number}"))).collect();
    let scene = Scene::serve(build(&owners), Manner::default());
    let keychains: Vec<GivenKeychain> = (0..WALLETS)
        .map(|number| {
            let gap_limit = if owner(number) == number { GAP_LIMIT } else { 2 * GAP_LIMIT };
            GivenKeychain::new(owners[owner(number)].descriptor(ScriptKind::P2wpkh)).gap_limit(gap_limit)
        })
        .collect();
    let mut wallets = Wallets::new();
    for (number, keychain) in keychains.iter().enumerate() {
        assert_eq!(wallets.add(format!("wallet {number}"), Wallet::new().keychain(keychain.clone())), Ok(number));
    }
    let together =
        patiently(async { scan(&scene.server.client().await, wallets.watched_by(ScanRequest::new())).await });
    let mut histories = vec![History::new(); WALLETS];
    for (number, report) in together.reports.iter().flat_map(|report| wallets.split_report(report)) {
        histories[number].add(report);
    }
    let mut told = 0;
    let numbered: Vec<(usize, GivenKeychain)> = keychains.into_iter().enumerate().collect();
    for some in numbered.chunks(100) {
        patiently(async {
            let client = scene.server.client().await;
            for (number, keychain) in some {
                let alone = scan(&client, ScanRequest::new().keychain(keychain.clone())).await;
                told += alone.summary().transactions;
                assert_eq!(histories[*number], alone.history(), "wallet {number}");
                let keychains = wallets.keychains_of(*number, &together.summary().keychains);
                assert_eq!(keychains, alone.summary().keychains, "wallet {number}");
            }
        });
    }
    // 200 wallets have one receipt, 200 two, 200 three, and 200 one of two within the gap.
    assert!(told > 1_400, "only {told} transactions were reported");
    assert!(together.reports.iter().any(|report| report.is_late), "no use is below the use that revealed it");
}

#[test]
fn coins_of_many_wallets_go_to_each_that_has_them() {
    let owners: Vec<TestWallet> = (0..20).map(|number| TestWallet::new(&format!("wallet {number}"))).collect();
    let scene = Scene::serve(build(&owners), Manner::default());
    let mut wallets = Wallets::new();
    // Each descriptor twice.
    for (number, owner) in owners.iter().chain(&owners).enumerate() {
        let keychain = GivenKeychain::new(owner.descriptor(ScriptKind::P2wpkh)).gap_limit(GAP_LIMIT);
        wallets.add(format!("wallet {number}"), Wallet::new().keychain(keychain)).unwrap();
    }
    patiently(async {
        let client = scene.server.client().await;
        let together = scan(&client, wallets.watched_by(ScanRequest::new()).coins()).await;
        let mut coins = vec![Vec::new(); wallets.len()];
        for (number, coin) in together.coin_events.iter().flat_map(|coin| wallets.split_coin(coin)) {
            coins[number].push(coin);
        }
        for (number, owner) in owners.iter().chain(&owners).enumerate() {
            let keychain = GivenKeychain::new(owner.descriptor(ScriptKind::P2wpkh)).gap_limit(GAP_LIMIT);
            let alone = scan(&client, ScanRequest::new().keychain(keychain).coins()).await;
            assert_eq!(coins[number], alone.coin_events, "wallet {number}");
        }
        assert!(coins.iter().any(|coins| coins.len() > 1));
    });
}
