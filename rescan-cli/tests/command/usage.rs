//! Requests refused before connecting, or once the server's network is known.

use std::path::Path;

use rescan_client::bitcoin::Network;

use super::{OUTPOINT, TPUB, assert_error, dir, rescan, run, text};
use rescan_tests::fake::{self, Script, serve_at};

#[test]
fn a_descriptor_that_cannot_be_watched_is_refused_before_connecting() {
    let good = format!("wpkh({TPUB}/0/*)");
    let private = "wpkh(tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK/0/*)";
    for (descriptor, message) in [
        ("wpkh(nonsense)".to_owned(), "--descriptor number 1"),
        ("tr()".to_owned(), "--descriptor number 1"),
        ("sp(nonsense)".to_owned(), "--descriptor number 1"),
        (format!("{good}#qqqqqqqq"), "checksum"),
        (good.replace("/*", "/*h"), "hardened"),
        (private.to_owned(), "private"),
    ] {
        let arguments = ["scan", "--socket", "/nonexistent", "--descriptor", &good, "--descriptor", &descriptor];
        let output = run(&arguments);
        assert_error(&output, 2, message);
        assert!(!text(&output.stderr).contains("tprv8"), "{}", text(&output.stderr));
    }
}

#[test]
fn a_public_key_alone_is_refused_with_the_whole_descriptor_in_the_hint() {
    let arguments = |key: &str| run(&["scan", "--socket", "/nonexistent", "--descriptor", key]);
    let output = arguments(TPUB);
    assert_error(&output, 2, "a key alone does not name its addresses");
    let stderr = text(&output.stderr);
    assert!(stderr.contains(&format!("'wpkh({TPUB}/<0;1>/*)'")) && stderr.contains("tr(..)"), "{stderr}");
    // This could be a private key.
    let hex = "a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd";
    let output = arguments(hex);
    assert_error(&output, 2, "a key alone does not name its addresses");
    assert!(!text(&output.stderr).contains(&hex[..8]), "{}", text(&output.stderr));
}

#[test]
fn a_private_key_is_never_repeated() {
    let key = "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK";
    let descriptor = format!("wpkh({key}/0/*)");
    let flagged = format!("--descriptor={descriptor}");
    let misspelt = format!("--descripter={descriptor}");
    for arguments in [
        vec!["scan", "--socket", "/nonexistent", &flagged],
        vec!["scan", "--socket", "/nonexistent", &descriptor],
        vec!["scan", "--socket", "/nonexistent", &misspelt],
        vec!["scan", "--socket", "/nonexistent", "--outpoint", &descriptor],
        vec![descriptor.as_str()],
    ] {
        let output = run(&arguments);
        assert_error(&output, 2, "error");
        assert!(!text(&output.stderr).contains("tprv8"), "{}", text(&output.stderr));
    }
}

#[test]
fn no_part_of_a_private_key_behind_the_wrong_option_is_repeated() {
    // From BIP38's test vectors.
    let key = "L44B5gGEqEDRS9vVPz7QT35jcBG2r3CZwSwQ4fCewXAhAhqGVpP";
    let pieces: Vec<&str> = (0..=key.len() - 6).map(|at| &key[at..at + 6]).collect();
    let options = [
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
    for (command, option, message) in options {
        for value in &values {
            let mut arguments = vec![command.to_owned(), format!("{option}={value}")];
            if command == "scan" && !["--descriptor", "--outpoint"].contains(&option) {
                arguments.extend(["--outpoint".to_owned(), OUTPOINT.to_owned()]);
            }
            let output = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
            assert_error(&output, 2, message);
            let stderr = text(&output.stderr);
            assert!(!pieces.iter().any(|piece| stderr.contains(piece)), "{option}: {stderr}");
        }
    }
}

#[test]
fn no_part_of_a_private_key_behind_any_option_is_repeated() {
    let key = "L44B5gGEqEDRS9vVPz7QT35jcBG2r3CZwSwQ4fCewXAhAhqGVpP";
    let pieces: Vec<&str> = (0..=key.len() - 6).map(|at| &key[at..at + 6]).collect();
    let folder = tempfile::tempdir().unwrap();
    for subcommand in rescan_cli::command().get_subcommands() {
        for option in subcommand.get_arguments().filter_map(|argument| argument.get_long()) {
            let flagged = format!("--{option}={key}");
            for more in [&[][..], &["--descriptor", "raw(51)"], &["--outpoint", OUTPOINT, "--json"]] {
                let line = [&[subcommand.get_name()], more, &[&flagged]].concat();
                let mut command = rescan(&line);
                let output = command.env("HOME", "/nonexistent").current_dir(folder.path()).output().unwrap();
                let stderr = text(&output.stderr);
                assert!(!output.status.success() && stderr.contains("hint: "), "{line:?}: {stderr}");
                assert!(!pieces.iter().any(|piece| stderr.contains(piece)), "{line:?}: {stderr}");
            }
        }
    }
    assert!(folder.path().read_dir().unwrap().next().is_none(), "a key became the name of a file");
}

#[test]
fn the_help_names_the_networks_as_the_server_does() {
    let help = text(&run(&["info", "--help"]).stdout);
    assert!(help.contains("testnet3") && help.contains("Also called test"), "{help}");
    for name in ["testnet3", "testnet", "test"] {
        let output = rescan(&["info", "--network", name]).env("HOME", "/nonexistent").output().unwrap();
        assert_error(&output, 1, "/nonexistent/.bitcoin/testnet3/rescan.sock");
    }
    for name in ["main", "mainnet", "bitcoin"] {
        let output = rescan(&["info", "--network", name]).env("HOME", "/nonexistent").output().unwrap();
        assert_error(&output, 1, "/nonexistent/.bitcoin/rescan.sock");
    }
}

#[test]
fn a_first_height_above_the_last_is_refused_before_connecting() {
    let output =
        run(&["scan", "--socket", "/nonexistent", "--outpoint", OUTPOINT, "--from-height", "5", "--to-height", "4"]);
    assert_error(&output, 2, "--from-height 5 is above --to-height 4");
}

#[test]
fn a_malformed_height_is_a_usage_error() {
    for height in ["abc", "-1", "4294967296", ""] {
        let flag = format!("--from-height={height}");
        assert_error(&run(&["scan", "--socket", "/nonexistent", "--outpoint", OUTPOINT, &flag]), 2, "--from-height");
    }
}

#[test]
fn descriptors_of_another_network_than_the_servers_are_refused() {
    let mut info = fake::info();
    info.network = Network::Bitcoin;
    for descriptor in [&format!("wpkh({TPUB}/0/*)"), "addr(tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx)"] {
        // The scripted server serves one connection.
        let (_dir, socket) = dir();
        let _fake = serve_at(Path::new(&socket), Script { info: fake::flat_info(&info), ..Script::new(vec![]) });
        let output = run(&["scan", "--socket", &socket, "--descriptor", descriptor]);
        assert_error(&output, 2, "the server is one of bitcoin");
    }
}
