//! The lines for each way to name the watched scripts and the range.

use rescan_client::bitcoin::{Amount, Network, ScriptBuf, TxOut};
use rescan_fixtures::chain_builder::{ChainBuilder, Coin};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene};
use serde_json::{Value, json};

use crate::{Ended, heights, scan};

fn wallet() -> TestWallet {
    TestWallet::new("ivan")
}

/// Pays one script per block, from height 101 on.
fn paying(scripts: &[ScriptBuf]) -> Scene {
    let mut chain = ChainBuilder::new();
    chain.mine(100);
    for script in scripts {
        chain.fund(script, Amount::from_sat(7_000));
        chain.mine(1);
    }
    Scene::serve(chain, Manner::default())
}

fn json_of(scene: &Scene, arguments: &[&str]) -> (Vec<Value>, Value) {
    Ended::of(scan(&scene.server, arguments).arg("--json")).answer(0)
}

#[test]
fn a_stream_prints_the_same_lines_as_a_settled_answer() {
    let scripts: Vec<_> = (0..30).map(|index| wallet().script(ScriptKind::P2wpkh, index)).collect();
    let scene = paying(&scripts);
    let descriptor = wallet().descriptor(ScriptKind::P2wpkh);
    let (settled, summary) = json_of(&scene, &["--descriptor", &descriptor]);
    let (streamed, streamed_summary) = json_of(&scene, &["--descriptor", &descriptor, "--stream"]);
    assert_eq!(settled.len(), 30);
    assert_eq!(streamed, settled, "no line is late: the range was walked once");
    assert_eq!(summary["keychains"], json!([{"descriptor": 0, "last_used_index": 29}]));
    assert_eq!(streamed_summary["keychains"], summary["keychains"]);
}

#[test]
fn the_paths_of_a_multipath_descriptor_are_told_apart_by_branch() {
    let key = "tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B";
    let script_at = |branch: u32, index: u32| {
        let text = format!("wpkh({key}/{branch}/{index})");
        let parsed = rescan_client::descriptor::Keychain::parse(&text, Network::Regtest.into()).unwrap();
        let mut scripts = Vec::new();
        parsed.scripts(0, &mut scripts).unwrap();
        scripts.remove(0)
    };
    let single = wallet();
    let scene = paying(&[script_at(1, 4), script_at(0, 9), single.script(ScriptKind::P2tr, 2)]);
    let multipath = format!("wpkh({key}/<0;1>/*)");
    let arguments = ["--descriptor", &multipath, "--descriptor", &single.descriptor(ScriptKind::P2tr)];
    let (lines, summary) = json_of(&scene, &arguments);
    let owner = |line: &Value| {
        let received = &line["received"][0];
        (received["descriptor"].clone(), received.get("branch").cloned(), received["index"].clone())
    };
    assert_eq!(owner(&lines[0]), (json!(0), Some(json!(1)), json!(4)));
    assert_eq!(owner(&lines[1]), (json!(0), Some(json!(0)), json!(9)));
    assert_eq!(owner(&lines[2]), (json!(1), None, json!(2)));
    let keychains = json!([
        {"descriptor": 0, "branch": 0, "last_used_index": 9},
        {"descriptor": 0, "branch": 1, "last_used_index": 4},
        {"descriptor": 1, "last_used_index": 2}
    ]);
    assert_eq!(summary["keychains"], keychains);
}

#[test]
fn the_spend_of_a_given_outpoint_has_a_value_only_if_that_was_given() {
    let (wallet, mut chain) = (wallet(), ChainBuilder::new());
    let coins: Vec<Coin> =
        (0..2).map(|index| chain.fund(&wallet.script(ScriptKind::P2wpkh, index), Amount::from_sat(9_000))).collect();
    chain.mine(1);
    let script_pubkey = TestWallet::new("judy").script(ScriptKind::P2pkh, 0);
    chain.spend([&wallet], &coins, vec![TxOut { value: Amount::from_sat(17_000), script_pubkey }]);
    chain.mine(1);
    let scene = Scene::serve(chain, Manner::default());
    let unknown = coins[0].outpoint.to_string();
    let known = format!("{}:9000:{}", coins[1].outpoint, coins[1].output.script_pubkey.to_hex_string());
    let (lines, summary) = json_of(&scene, &["--outpoint", &unknown, "--outpoint", &known]);
    assert_eq!(heights(&lines), [u64::from(scene.chain.tip_height())]);
    let spent = |vin: usize, value_sat: Value| {
        let outpoint = coins[vin].outpoint;
        json!({"vin": vin, "prevout": {"txid": outpoint.txid.to_string(), "vout": outpoint.vout},
               "value_sat": value_sat, "descriptor": null, "index": null})
    };
    assert_eq!(lines[0]["spent"], json!([spent(0, Value::Null), spent(1, json!(9_000))]));
    assert_eq!((&lines[0]["received"], &summary["unspent_count"]), (&json!([]), &json!(0)));
}

#[test]
fn a_range_by_heights_or_by_birthday_is_in_the_summary() {
    let scripts = vec![wallet().script(ScriptKind::P2tr, 0); 20];
    let scene = paying(&scripts);
    let descriptor = wallet().descriptor(ScriptKind::P2tr);
    let of = |range: &[&str]| {
        let (lines, summary) = json_of(&scene, &[&["--descriptor", &descriptor], range].concat());
        let (from, to) = (summary["from_height"].as_u64().unwrap(), summary["to_height"].as_u64().unwrap());
        assert_eq!(heights(&lines), (from.max(101)..=to).collect::<Vec<_>>());
        (from, to)
    };
    assert_eq!(of(&[]), (0, 120));
    assert_eq!(of(&["--from-height", "110", "--to-height", "112"]), (110, 112));
    let birthday = scene.chain.block_at(117).header.time;
    assert_eq!(of(&["--birthday", &birthday.to_string()]), (105, 120), "blocks are ten minutes apart");
}
