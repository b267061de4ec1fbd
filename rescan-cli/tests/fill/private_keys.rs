//! Wallets with private keys, encrypted ones too.

use serde_json::{Value, json};

use crate::scene::FillScene;

/// A wallet with a history that is a day old, restored from its descriptors with a passphrase.
fn encrypted() -> Option<FillScene> {
    let scene = FillScene::start(&[])?;
    scene.create("original", true);
    for _ in 0..3 {
        scene.mine_to_address(&scene.address("original"));
        scene.node.mine(5);
    }
    scene.pass_a_day();
    scene.restore("original", "restored", Some("a phrase"));
    scene.assert_empty("restored");
    Some(scene)
}

/// The fields of its descriptors that no use of an address changes.
fn lasting(scene: &FillScene) -> Vec<[Value; 4]> {
    let listed = scene.wallet("restored", "listdescriptors", &json!([]));
    let descriptors = listed["descriptors"].as_array().unwrap();
    let fields = |listed: &Value| ["desc", "timestamp", "active", "internal"].map(|field| listed[field].clone());
    descriptors.iter().map(fields).collect()
}

#[test]
fn a_locked_wallet_is_refused_with_the_way_to_unlock_it() {
    let Some(scene) = encrypted() else { return };
    let ended = scene.fill("restored", &["--from-height", "0"]);
    ended.assert_failed(1, "locked", "walletpassphrase");
    assert!(!ended.stderr.contains("a phrase"));
    scene.assert_empty("restored");
}

#[test]
fn an_unlocked_wallet_is_filled_and_its_descriptors_stay_as_they_are() {
    let Some(scene) = encrypted() else { return };
    scene.wallet("restored", "walletpassphrase", &json!(["a phrase", 3_600]));
    let before = lasting(&scene);
    scene.fill("restored", &["--from-height", "0"]).assert_equal();
    assert_eq!(lasting(&scene), before);
    scene.assert_as_rescanned("restored");
}

#[test]
fn a_wallet_that_does_not_exist_is_named_with_the_way_to_make_one() {
    let Some(scene) = FillScene::start(&[]) else { return };
    scene.fill("savings", &[]).assert_failed(2, "\"savings\"", "--create");
    scene.create("savings", false);
    scene.node.rpc(&["unloadwallet", "savings"]);
    scene.fill("savings", &[]).assert_failed(2, "\"savings\"", "loadwallet");
}
