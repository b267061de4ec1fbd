//! Addresses used out of order, beyond the keypool: Core's own rescan misses them.

use std::collections::BTreeSet;

use bitcoin::ScriptBuf;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use serde_json::json;

use crate::scene::{FillScene, ranged};
use crate::wallet_state::WalletState;

const KEYPOOL: u32 = 5;

/// The first payment is to an index far beyond the keypool, the second to one within it.
fn pay_out_of_order(scene: &FillScene, script: impl Fn(u32) -> ScriptBuf) {
    for index in [40, 1, 44, 3] {
        scene.node.mine_to(1, &script(index));
        scene.node.mine(7);
    }
    scene.pass_a_day();
}

#[test]
fn a_wallet_used_beyond_its_keypool_gets_more_than_cores_own_rescan_finds() {
    let Some(scene) = FillScene::start(&["-keypool=5"]) else { return };
    let nadia = TestWallet::new("nadia");
    let descriptors = json!([ranged(&scene.node, &nadia.descriptor(ScriptKind::P2wpkh), KEYPOOL - 1)]);
    pay_out_of_order(&scene, |index| nadia.script(ScriptKind::P2wpkh, index));

    let ended = scene.create_and_fill("filled", &descriptors, &[]);
    ended.assert_equal();
    let txids = scene.scanned(&descriptors);
    assert_eq!(txids.len(), 4);
    let filled = WalletState::of(&scene, "filled", &txids);
    assert_eq!(filled.transactions.keys().cloned().collect::<BTreeSet<_>>(), txids);
    assert_eq!(filled.coins.len(), 4);

    scene.create("rescanned", false);
    scene.import("rescanned", &descriptors);
    scene.wallet("rescanned", "rescanblockchain", &json!([0]));
    let rescanned = WalletState::among(&scene, "rescanned", &txids);
    assert!(rescanned.transactions.len() < 4, "Core's own rescan found all: the test shows nothing");
    assert!(rescanned.transactions.iter().all(|(txid, at)| filled.transactions[txid] == *at));
    assert!(rescanned.coins.iter().all(|(outpoint, value)| filled.coins[outpoint] == *value));
}

#[test]
fn a_wallet_with_private_keys_used_beyond_its_keypool_is_filled_by_a_larger_keypool() {
    let Some(scene) = FillScene::start(&["-keypool=5"]) else { return };
    scene.create("original", true);
    let mut addresses = Vec::new();
    for _ in 0..45 {
        addresses.push(scene.address("original"));
    }
    for index in [40, 1, 44, 3] {
        scene.mine_to_address(&addresses[index]);
        scene.node.mine(7);
    }
    scene.pass_a_day();
    scene.restore("original", "restored", None);
    scene.assert_empty("restored");

    scene.fill("restored", &["--from-height", "0"]).assert_equal();
    let listed = &scene.wallet("original", "listdescriptors", &json!([]))["descriptors"];
    let txids = scene.scanned(listed);
    assert_eq!(txids.len(), 4);
    assert_eq!(WalletState::of(&scene, "restored", &txids), WalletState::of(&scene, "original", &txids));
}
