//! Payments that Core's lists hide: between own addresses, spent by the mempool, immature.

use serde_json::json;

use crate::scene::FillScene;
use crate::wallet_state::WalletState;

#[test]
fn own_payments_and_immature_coinbases_are_equal_and_coins_that_the_mempool_spends_are_named_as_the_wallets_own() {
    let Some(scene) = FillScene::start(&["-fallbackfee=0.0001"]) else { return };
    scene.create("original", true);
    scene.mine_to_address(&scene.address("original"));
    scene.node.mine(101);
    // To an address that is not in the address book, and again.
    for _ in 0..2 {
        let change = scene.wallet("original", "getrawchangeaddress", &json!([]));
        let everything = json!({"recipients": [change], "options": {"fee_rate": 2}});
        scene.wallet("original", "sendall", &everything);
        scene.node.mine(1);
    }
    for _ in 0..2 {
        scene.mine_to_address(&scene.address("original"));
    }
    scene.pass_a_day();
    // Unconfirmed, without change.
    let nobody = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let spend = scene.wallet("original", "sendall", &json!({"recipients": [nobody], "options": {"fee_rate": 2}}));
    let spend = spend["txid"].as_str().unwrap();
    scene.restore("original", "restored", None);

    let ended = scene.fill("restored", &["--from-height", "0"]);
    ended.assert_equal();
    assert_eq!(ended.summary()["transactions"], 5);
    let differences: Vec<_> = ended.of_type("difference").collect();
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(differences[0]["item"], "coin");
    assert!(differences[0]["reason"].as_str().unwrap().contains(spend), "{differences:?}");

    let listed = &scene.wallet("original", "listdescriptors", &json!([]))["descriptors"];
    let txids = scene.scanned(listed);
    let [restored, original] = ["restored", "original"].map(|wallet| WalletState::among(&scene, wallet, &txids));
    assert_eq!(restored, original);
    assert_eq!(restored.transactions.len(), 5);
    assert_eq!(restored.coins.len(), 2, "the immature ones alone");
    assert!(scene.try_wallet("restored", "gettransaction", &json!([spend])).is_some());
}
