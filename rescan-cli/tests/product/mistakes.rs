//! Mistakes at the command line that a real server has a part in. After each, it serves the next command.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, TestServer};
use serde_json::json;

use crate::{Ended, rescan, scan};

fn served() -> Scene {
    let mut chain = ChainBuilder::new();
    chain.mine(9);
    Scene::serve(chain, Manner::default())
}

fn descriptor() -> String {
    TestWallet::new("niaj").descriptor(ScriptKind::P2wpkh)
}

fn assert_serves(server: &TestServer) {
    let (_, summary) = Ended::of(scan(server, &["--descriptor", "raw(51)", "--json"]).arg("--stream")).answer(0);
    assert_eq!((&summary["outcome"], &summary["to_height"]), (&json!("complete"), &json!(9)));
}

#[test]
fn each_mistake_has_the_exit_code_of_the_contract_and_a_hint() {
    let scene = served();
    let good = descriptor();
    // BIP84's test vector, a key of main.
    let main = "wpkh(xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V/0/*)";
    let private = "wpkh(tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK/0/*)";
    let hardened = good.replace("/*", "/*h");
    let mistakes: [(&[&str], &str); 12] = [
        (&["--descriptor", "wpkh(nonsense)"], "--descriptor number 0"),
        (&["--descriptor", &good, "--descriptor", "tr()"], "--descriptor number 1"),
        (&["--descriptor", &format!("{good}#qqqqqqqq")], "checksum"),
        (&["--descriptor", private], "private"),
        (&["--descriptor", main], "the server is one of regtest"),
        (&["--descriptor", "addr(bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4)"], "the server is one of regtest"),
        (&["--descriptor", &hardened], "hardened"),
        (&["--descriptor", "sp(nonsense)"], "--descriptor number 0"),
        (&["--descriptor", &good, "--from-height", "3", "--to-height", "2"], "--from-height 3"),
        (&["--descriptor", &good, "--to-height", "10"], "the tip is at height 9"),
        (&["--descriptor", &good, "--from-height", "10"], "the tip is at height 9"),
        (&["--descriptor", &good, "--from-height", "ten"], "--from-height"),
    ];
    for (words, says) in mistakes {
        let ended = Ended::of(scan(&scene.server, words).arg("--json"));
        ended.assert_trouble(2, says);
        assert!(!ended.stderr.contains("tprv8"), "{}", ended.stderr);
    }
    assert_serves(&scene.server);
}

#[test]
fn a_server_that_has_stopped_has_no_socket_and_one_that_was_killed_has_no_listener() {
    let mut scene = served();
    scene.server.stop();
    let words = ["--descriptor", "raw(51)"];
    Ended::of(&mut scan(&scene.server, &words)).assert_trouble(1, "no socket at");
    drop(std::os::unix::net::UnixListener::bind(scene.server.socket()).unwrap());
    Ended::of(&mut scan(&scene.server, &words)).assert_trouble(1, "no server listens");
    // A server that starts takes the place of the one that was killed.
    scene.server.start();
    assert_serves(&scene.server);
}

#[test]
fn peers_that_speak_something_else_are_hung_up_on_and_the_command_is_served_beside_them() {
    let scene = served();
    let mut silent = UnixStream::connect(scene.server.socket()).unwrap();
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 256]] {
        let mut peer = UnixStream::connect(scene.server.socket()).unwrap();
        // How much the server takes before it hangs up is its own affair.
        drop(peer.write_all(noise));
        drop(peer.shutdown(std::net::Shutdown::Write));
        drop(peer.read_to_end(&mut Vec::new()));
        assert_serves(&scene.server);
    }
    // One segment of a million words is announced and never comes.
    silent.write_all(&[0, 0, 0, 0, 0, 0, 0x0f, 0]).unwrap();
    assert_serves(&scene.server);
}

#[test]
fn info_tells_what_a_real_server_sees() {
    let scene = served();
    assert_serves(&scene.server);
    let socket = scene.server.socket_text();
    let ended = Ended::of(&mut rescan(&["info", "--json", "--socket", &socket]));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let info = &ended.lines()[0];
    let told = json!([
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
    assert_eq!(told, json!(["info", "regtest", "ready", "files", 9, tip, 0, genesis]));
}
