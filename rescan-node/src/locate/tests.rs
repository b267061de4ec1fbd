//! Each rule of the search, on temporary datadirs.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{ChainSource, ChainType, Datadir, FoundNode, LocateError, NodeSearch, network_dir};
use crate::credentials::Credentials;

/// A datadir with these files; a folder is made for each.
fn datadir(files: &[(&str, &str)]) -> TempDir {
    let datadir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = datadir.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        fs::write(path, text).expect("written");
    }
    datadir
}

fn search(datadir: &Path, chain: Option<ChainType>) -> Result<FoundNode, LocateError> {
    NodeSearch { datadir: Datadir::Given(datadir.to_owned()), chain, credentials: None }.find()
}

fn found(files: &[(&str, &str)]) -> FoundNode {
    search(datadir(files).path(), None).expect("there is a node")
}

fn refused(files: &[(&str, &str)]) -> LocateError {
    search(datadir(files).path(), None).expect_err("there is no node")
}

/// The address in a datadir of main with this configuration.
fn address(conf: &str) -> String {
    found(&[(".cookie", "c:p"), ("regtest/.cookie", "c:p"), ("bitcoin.conf", conf)]).address.to_string()
}

fn cookie(node: &FoundNode) -> &Path {
    let Credentials::Cookie(path) = &node.credentials else { panic!("expected a cookie: {node:?}") };
    path
}

#[test]
fn without_a_configuration_the_node_is_that_of_main() {
    let datadir = datadir(&[(".cookie", "c:p"), ("regtest/.cookie", "c:p")]);
    let node = search(datadir.path(), None).expect("there is a node");
    assert_eq!((node.chain, node.chain_source.clone()), (ChainType::Main, ChainSource::Default));
    assert_eq!(node.address.to_string(), "http://127.0.0.1:8332");
    assert_eq!(cookie(&node), datadir.path().join(".cookie"));
}

#[test]
fn every_chain_has_its_folder_and_port() {
    for (chain, folder, port) in [
        (ChainType::Main, "", 8_332),
        (ChainType::Test, "testnet3", 18_332),
        (ChainType::Testnet4, "testnet4", 48_332),
        (ChainType::Signet, "signet", 38_332),
        (ChainType::Regtest, "regtest", 18_443),
    ] {
        let datadir = datadir(&[(format!("{folder}/.cookie").trim_start_matches('/'), "c:p")]);
        let node = search(datadir.path(), Some(chain)).expect("there is a node");
        assert_eq!((node.chain, node.chain_source.clone()), (chain, ChainSource::Given));
        assert_eq!(node.address.to_string(), format!("http://127.0.0.1:{port}"));
        assert_eq!(node.network_dir, datadir.path().join(folder));
        assert_eq!(cookie(&node), datadir.path().join(folder).join(".cookie"));
    }
}

#[test]
fn the_configuration_selects_the_chain_by_name_or_by_switch() {
    for (conf, chain) in [
        ("chain=regtest", ChainType::Regtest),
        ("chain = main", ChainType::Main),
        ("regtest=1", ChainType::Regtest),
        (" testnet=1 # deprecated", ChainType::Test),
        ("testnet4=", ChainType::Testnet4),
        ("signet=1\nsignet=0\nsignet=2", ChainType::Signet),
        // `true` is no number, and so off; the last line of a switch counts, the first of another
        // option.
        ("regtest=true", ChainType::Main),
        ("regtest=1\nregtest=0", ChainType::Main),
        ("regtest=1\nnoregtest=1", ChainType::Main),
        ("chain=signet\nchain=regtest", ChainType::Signet),
        // A section is no selection.
        ("[regtest]\nchain=regtest\nregtest=1", ChainType::Main),
    ] {
        let cookies = [".cookie", "testnet3/.cookie", "testnet4/.cookie", "signet/.cookie", "regtest/.cookie"];
        let mut files: Vec<(&str, &str)> = cookies.map(|cookie| (cookie, "c:p")).into();
        files.push(("bitcoin.conf", conf));
        assert_eq!(found(&files).chain, chain, "{conf}");
    }
}

#[test]
fn a_named_chain_overrides_that_of_the_configuration() {
    let datadir = datadir(&[("signet/.cookie", "c:p"), ("bitcoin.conf", "regtest=1\n[signet]\nrpcport=7")]);
    let node = search(datadir.path(), Some(ChainType::Signet)).expect("there is a node");
    assert_eq!((node.chain, node.address.to_string()), (ChainType::Signet, "http://127.0.0.1:7".to_owned()));
}

#[test]
fn the_port_is_that_of_rpcport_then_of_rpcconnect_then_of_the_chain() {
    assert_eq!(address("rpcport=7\nrpcport=8"), "http://127.0.0.1:7");
    assert_eq!(address("rpcconnect=node.lan"), "http://node.lan:8332");
    assert_eq!(address("rpcconnect=10.0.0.1:9"), "http://10.0.0.1:9");
    assert_eq!(address("rpcconnect=10.0.0.1:9\nrpcport=7"), "http://10.0.0.1:7");
    assert_eq!(address("rpcconnect=[::1]:9"), "http://[::1]:9");
    assert_eq!(address("rpcconnect=::1"), "http://[::1]:8332");
    assert_eq!(address("rpcconnect=[::1]"), "http://[::1]:8332");
}

#[test]
fn a_section_is_for_its_chain_and_comes_first() {
    assert_eq!(address("rpcport=7\n[main]\nrpcport=8\n[regtest]\nrpcport=9"), "http://127.0.0.1:8");
    assert_eq!(address("main.rpcport=8"), "http://127.0.0.1:8");
    // Outside of sections, rpcport is for main alone; rpcconnect is for all.
    assert_eq!(address("regtest=1\nrpcport=7\nrpcconnect=node.lan"), "http://node.lan:18443");
    assert_eq!(address("regtest=1\n[regtest]\nrpcport=9"), "http://127.0.0.1:9");
}

#[test]
fn a_user_and_password_of_the_configuration_come_before_the_cookie_and_are_never_shown() {
    let node = found(&[("bitcoin.conf", "rpcuser=alice\nrpcpassword=correct=horse")]);
    let Credentials::Password { user, password } = &node.credentials else { panic!("expected a password") };
    assert_eq!((user.as_str(), password.as_str()), ("alice", "correct=horse"));
    let shown = format!("{node:?} {:?} {}", node.credentials, node.credentials);
    assert!(shown.contains("alice") && !shown.contains("horse"), "{shown}");
}

#[test]
fn an_empty_or_negated_password_means_the_cookie() {
    for conf in ["rpcuser=alice", "rpcpassword=", "rpcpassword=p\nnorpcpassword=1"] {
        let node = found(&[(".cookie", "c:p"), ("bitcoin.conf", conf)]);
        assert!(matches!(node.credentials, Credentials::Cookie(_)), "{conf}");
    }
}

#[test]
fn a_cookie_file_of_the_configuration_is_relative_to_the_chains_folder() {
    let files = [("regtest/there/c", "c:p"), ("bitcoin.conf", "regtest=1\nrpccookiefile=there/c")];
    let node = found(&files);
    assert!(cookie(&node).ends_with("regtest/there/c"), "{node:?}");
    let elsewhere = datadir(&[("c", "c:p")]);
    let path = elsewhere.path().join("c");
    let node = found(&[("bitcoin.conf", &format!("rpccookiefile={}", path.display()))]);
    assert_eq!(cookie(&node), path);
}

#[test]
fn included_files_are_read_from_the_datadir_and_include_none() {
    let node = found(&[
        (".cookie", "c:p"),
        ("bitcoin.conf", "includeconf=more.conf\n[main]\nincludeconf=main.conf\n[regtest]\nincludeconf=absent"),
        // The section's file is read first, and the first line counts.
        ("main.conf", "rpcport=7\nincludeconf=absent"),
        ("more.conf", "rpcport=8\nrpcconnect=node.lan"),
    ]);
    assert_eq!(node.address.to_string(), "http://node.lan:7");
    let error = refused(&[("bitcoin.conf", "\nincludeconf=absent")]);
    assert!(matches!(&error, LocateError::NotIncluded { path, .. } if path.ends_with("absent")), "{error}");
    assert!(error.to_string().contains("bitcoin.conf line 2: "), "{error}");
}

#[test]
fn an_included_file_can_select_the_chain() {
    let node = found(&[
        ("regtest/.cookie", "c:p"),
        ("bitcoin.conf", "includeconf=more.conf"),
        ("more.conf", "# lab\nregtest=1"),
    ]);
    let ChainSource::Conf(place) = &node.chain_source else { panic!("expected a line: {node:?}") };
    assert!(place.to_string().ends_with("more.conf line 2"), "{place}");
}

#[test]
fn datadir_counts_in_the_default_datadir_alone() {
    let other = datadir(&[("regtest/.cookie", "c:p")]);
    let conf = format!("regtest=1\ndatadir={}", other.path().display());
    let home = datadir(&[("bitcoin.conf", &conf), ("regtest/.cookie", "c:p")]);
    let given = search(home.path(), None).expect("there is a node");
    assert_eq!(given.network_dir, home.path().join("regtest"));
    let default = Datadir::Default(home.path().to_owned());
    let node = NodeSearch { datadir: default, chain: None, credentials: None }.find().expect("there is a node");
    assert_eq!(cookie(&node), other.path().join("regtest/.cookie"));
}

#[test]
fn if_main_has_no_cookie_the_only_chain_with_one_is_taken_and_of_several_none() {
    let node = found(&[("signet/.cookie", "c:p"), ("regtest/blocks/blk00000.dat", "")]);
    assert_eq!((node.chain, node.chain_source), (ChainType::Signet, ChainSource::OnlyCookie));
    let error = refused(&[("signet/.cookie", "c:p"), ("regtest/.cookie", "c:p")]);
    assert!(error.to_string().contains("signet, regtest") && error.next_step().contains("--network"), "{error}");
    let error = refused(&[("regtest/blocks/blk00000.dat", "")]);
    assert!(matches!(error, LocateError::NoCookie { chain: ChainType::Main, .. }), "{error}");
}

#[test]
fn a_chain_of_the_configuration_is_not_replaced_for_want_of_a_cookie() {
    let error = refused(&[("signet/.cookie", "c:p"), ("bitcoin.conf", "chain=main")]);
    assert!(matches!(error, LocateError::NoCookie { chain: ChainType::Main, .. }), "{error}");
}

#[test]
fn the_folder_of_a_chain_is_understood_as_its_datadir() {
    let datadir = datadir(&[("regtest/.cookie", "c:p"), ("bitcoin.conf", "[regtest]\nrpcport=7")]);
    let folder = datadir.path().join("regtest");
    for chain in [None, Some(ChainType::Regtest)] {
        let node = search(&folder, chain).expect("there is a node");
        assert_eq!((node.chain, node.address.to_string()), (ChainType::Regtest, "http://127.0.0.1:7".to_owned()));
        assert_eq!(cookie(&node).file_name(), Some(".cookie".as_ref()));
    }
    let error = search(&folder, Some(ChainType::Signet)).expect_err("it is another chain's");
    assert!(matches!(error, LocateError::OtherChain { found: ChainType::Regtest, .. }), "{error}");
    assert_eq!(network_dir(&folder, ChainType::Regtest), folder);
    assert_eq!(network_dir(datadir.path(), ChainType::Regtest), folder);
}

#[test]
fn a_datadir_that_only_has_the_name_of_a_folder_stays_a_datadir() {
    let above = datadir(&[("signet/signet/.cookie", "c:p"), ("signet/regtest/.cookie", "c:p")]);
    for chain in [ChainType::Signet, ChainType::Regtest] {
        let node = search(&above.path().join("signet"), Some(chain)).expect("there is a node");
        assert_eq!(node.network_dir, above.path().join("signet").join(chain.folder()));
    }
    let bare = datadir(&[("signet/regtest/.cookie", "c:p")]);
    let node = search(&bare.path().join("signet"), Some(ChainType::Regtest)).expect("there is a node");
    assert_eq!(node.network_dir, bare.path().join("signet/regtest"));
}

#[test]
fn named_credentials_need_no_cookie() {
    let datadir = datadir(&[("bitcoin.conf", "rpcport=7\nnorpccookiefile=1")]);
    let named = Credentials::Password { user: "alice".to_owned(), password: "p".to_owned() };
    let given = Datadir::Given(datadir.path().to_owned());
    let node = NodeSearch { datadir: given, chain: None, credentials: Some(named) }.find().expect("there is a node");
    assert_eq!(node.address.to_string(), "http://127.0.0.1:7");
    assert!(matches!(node.credentials, Credentials::Password { user, .. } if user == "alice"));
}

#[test]
fn without_a_cookie_the_error_names_the_line_that_explains_it() {
    let error = refused(&[("bitcoin.conf", "\nrpcauth=alice:00$11")]);
    assert!(matches!(error, LocateError::UserNeeded { .. }), "{error}");
    assert!(error.to_string().contains("bitcoin.conf line 2 has rpcauth") && error.next_step().contains("--rpc-user"));
    assert!(!error.to_string().contains("00$11"), "{error}");
    let error = refused(&[(".cookie", "c:p"), ("bitcoin.conf", "norpccookiefile=1")]);
    assert!(matches!(error, LocateError::CookieDisabled { .. }) && error.to_string().contains("line 1"), "{error}");
}

#[test]
fn a_line_that_bitcoin_core_refuses_is_named_by_its_number_and_not_repeated() {
    for (conf, expected) in [
        ("\n\n-rpcpassword=hunter2", "line 3: expected an option without a dash"),
        ("rpcpassword hunter2", "line 1: expected option=value"),
        ("rpcpassword=hunter2#3", "line 1: found # behind rpcpassword"),
        ("conf=hunter2", "line 1: conf= is for the command line alone"),
        ("chain=hunter2", "line 1: unknown chain; expected main"),
        ("nochain=1", "line 1: unknown chain"),
        ("regtest=1\nsignet=1", "both select a chain"),
        ("chain=main\nregtest=1", "both select a chain"),
        ("rpcport=hunter2", "line 1: bad rpcport; expected a number"),
        ("rpcport=+7", "line 1: bad rpcport"),
        ("rpcport=0", "line 1: bad rpcport"),
        ("rpcport=65536", "line 1: bad rpcport"),
        ("rpcconnect=hunter2:0", "line 1: bad rpcconnect; expected a host"),
        ("rpcconnect=", "line 1: bad rpcconnect"),
        ("rpcconnect=u:hunter2@node", "line 1: bad rpcconnect"),
    ] {
        let error = refused(&[(".cookie", "c:p"), ("bitcoin.conf", conf)]);
        let text = error.to_string();
        assert!(text.contains("bitcoin.conf") && text.contains(expected), "{conf}: {text}");
        assert!(!format!("{text}{error:?}{}", error.next_step()).contains("hunter2"), "{conf}: {error:?}");
    }
}

#[test]
fn a_file_that_is_no_configuration_is_refused() {
    let folder = datadir(&[("bitcoin.conf/file", "")]);
    assert!(matches!(search(folder.path(), None), Err(LocateError::Unreadable { .. })));
    let endless = "#".repeat((1 << 20) + 1);
    assert!(matches!(refused(&[("bitcoin.conf", &endless)]), LocateError::Unreadable { .. }));
    let error = search(Path::new("/nonexistent"), None).expect_err("there is no datadir");
    assert!(error.to_string().starts_with("/nonexistent is no directory") && error.is_usage(), "{error}");
}
