//! What is refused before anything is connected to, or on hearing whose network it is.

use std::path::Path;

use rescan_client::bitcoin::Network;

use super::{OUTPOINT, TPUB, assert_trouble, dir, rescan, run, text};
use rescan_tests::fake::{self, Script, serve_at};

#[test]
fn a_bad_descriptor_is_refused_before_connecting() {
    let output = run(&["scan", "--socket", "/nonexistent", "--descriptor", "wpkh(nonsense)"]);
    assert_trouble(&output, 2, "--descriptor number 0");
}

#[test]
fn a_private_key_is_never_repeated() {
    let key = "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK";
    let descriptor = format!("wpkh({key}/0/*)");
    let flagged = format!("--descriptor={descriptor}");
    let misspelt = format!("--descripter={descriptor}");
    for words in [
        vec!["scan", "--socket", "/nonexistent", &flagged],
        vec!["scan", "--socket", "/nonexistent", &descriptor],
        vec!["scan", "--socket", "/nonexistent", &misspelt],
        vec!["scan", "--socket", "/nonexistent", "--outpoint", &descriptor],
        vec![descriptor.as_str()],
    ] {
        let output = run(&words);
        assert_trouble(&output, 2, "error");
        assert!(!text(&output.stderr).contains("tprv8"), "{}", text(&output.stderr));
    }
}

#[test]
fn no_piece_of_a_private_key_behind_the_wrong_flag_is_repeated() {
    // From BIP38's test vectors.
    let key = "L44B5gGEqEDRS9vVPz7QT35jcBG2r3CZwSwQ4fCewXAhAhqGVpP";
    let pieces: Vec<&str> = (0..=key.len() - 6).map(|at| &key[at..at + 6]).collect();
    let flags = [
        ("scan", "--birthday", "YYYY-MM-DD"),
        ("scan", "--outpoint", "TXID:VOUT"),
        ("scan", "--from-height", "a number"),
        ("scan", "--to-height", "a number"),
        ("scan", "--verify", "one of reported, all, none"),
        ("scan", "--network", "testnet3"),
        ("scan", "--socket", "--socket takes"),
        ("scan", "--json", "--json takes no value"),
        ("scan", "--descriptor", "--descriptor number"),
        ("info", "--socket", "--socket takes"),
        ("demo", "--wallet", "--wallet takes"),
        ("demo", "--server", "--server takes"),
        ("scan", "--birthdya", "unexpected argument"),
    ];
    let values = [key.to_owned(), format!("wpkh({key})"), format!("wpkh([d34db33f/84h]{key})"), format!("{key}:0")];
    for (command, flag, says) in flags {
        for value in &values {
            let mut words = vec![command.to_owned(), format!("{flag}={value}")];
            if command == "scan" && !["--descriptor", "--outpoint"].contains(&flag) {
                words.extend(["--outpoint".to_owned(), OUTPOINT.to_owned()]);
            }
            let output = run(&words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_trouble(&output, 2, says);
            let stderr = text(&output.stderr);
            assert!(!pieces.iter().any(|piece| stderr.contains(piece)), "{flag}: {stderr}");
        }
    }
}

#[test]
fn the_help_names_the_networks_as_the_server_does() {
    let help = text(&run(&["info", "--help"]).stdout);
    assert!(help.contains("testnet3") && help.contains("Also called test"), "{help}");
    for name in ["testnet3", "test"] {
        let output = rescan(&["info", "--network", name]).env("HOME", "/nonexistent").output().unwrap();
        assert_trouble(&output, 1, "/nonexistent/.bitcoin/testnet3/rescan.sock");
    }
}

#[test]
fn a_range_upside_down_is_refused_before_connecting() {
    let output =
        run(&["scan", "--socket", "/nonexistent", "--outpoint", OUTPOINT, "--from-height", "5", "--to-height", "4"]);
    assert_trouble(&output, 2, "--from-height 5 is above --to-height 4");
}

#[test]
fn a_malformed_height_is_a_usage_error() {
    for height in ["abc", "-1", "4294967296", ""] {
        let flag = format!("--from-height={height}");
        assert_trouble(&run(&["scan", "--socket", "/nonexistent", "--outpoint", OUTPOINT, &flag]), 2, "--from-height");
    }
}

#[test]
fn descriptors_of_another_network_than_the_servers_are_refused() {
    let (_dir, socket) = dir();
    let mut info = fake::info();
    info.network = Network::Bitcoin;
    let _fake = serve_at(Path::new(&socket), Script { info: fake::flat_info(&info), ..Script::new(vec![]) });
    let output = run(&["scan", "--socket", &socket, "--descriptor", &format!("wpkh({TPUB}/0/*)")]);
    assert_trouble(&output, 2, "the server is one of");
}
