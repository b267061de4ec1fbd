//! Mistakes that only a real server notices, and its answer to `rescan info`.

use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene};
use serde_json::json;

use crate::{Ended, rescan, scan};

fn served() -> Scene {
    let mut chain = ChainBuilder::new();
    chain.mine(9);
    Scene::serve(chain, Manner::default())
}

#[test]
fn a_range_above_the_tip_is_refused_and_the_next_scan_is_served() {
    let scene = served();
    let descriptor = TestWallet::new("niaj").descriptor(ScriptKind::P2wpkh);
    for end in ["--from-height", "--to-height"] {
        let ended = Ended::of(&mut scan(&scene.server, &["--descriptor", &descriptor, end, "10", "--json"]));
        ended.assert_error(2, "the tip is at height 9");
    }
    let (_, summary) = Ended::of(&mut scan(&scene.server, &["--descriptor", "raw(51)", "--json"])).answer(0);
    assert_eq!((&summary["outcome"], &summary["to_height"]), (&json!("complete"), &json!(9)));
}

#[test]
fn a_birthday_after_the_tip_is_refused_with_the_date_of_the_tip_by_scan_and_follow() {
    let scene = served();
    let descriptor = TestWallet::new("niaj").descriptor(ScriptKind::P2wpkh);
    let time = scene.chain.block_at(9).header.time;
    // The first time, the server has not read its files.
    for birthday in ["2100-01-01".to_owned(), (time + 7_201).to_string()] {
        let arguments = ["--descriptor", &descriptor, "--birthday", &birthday, "--json"];
        let ended = Ended::of(&mut scan(&scene.server, &arguments));
        ended.assert_error(2, "UTC is after the tip, at height 9 of ");
        assert!(ended.stderr.contains("--from-height 9"), "{}", ended.stderr);
        let socket = scene.server.socket_text();
        let follow = [&["follow", "--socket", &socket], &arguments[..]].concat();
        Ended::of(&mut rescan(&follow)).assert_error(2, "is after the tip");
    }
    let latest = (time + 7_200).to_string();
    let arguments = ["--descriptor", &descriptor, "--birthday", &latest, "--json"];
    let (_, summary) = Ended::of(&mut scan(&scene.server, &arguments)).answer(0);
    assert_eq!((&summary["from_height"], &summary["to_height"]), (&json!(9), &json!(9)));
}

#[test]
fn info_has_the_network_chain_and_tip_of_a_real_server() {
    let scene = served();
    // A scan makes the server read its files.
    Ended::of(&mut scan(&scene.server, &["--descriptor", "raw(51)", "--json"])).answer(0);
    let socket = scene.server.socket_text();
    let ended = Ended::of(&mut rescan(&["info", "--json", "--socket", &socket]));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let info = &ended.lines()[0];
    let found = json!([
        info["type"],
        info["network"],
        info["chain_state"],
        info["chain_source"],
        info["tip_height"],
        info["tip_hash"],
        info["lowest_height"],
        info["genesis_hash"]
    ]);
    let (tip, genesis) = (scene.chain.tip_hash().to_string(), scene.chain.hash_at(0).to_string());
    assert_eq!(found, json!(["info", "regtest", "ready", "files", 9, tip, 0, genesis]));
}
