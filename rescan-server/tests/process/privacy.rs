//! The log contains no secrets: its readers do not own the wallets.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use bitcoin::hex::DisplayHex;
use bitcoin::{Address, Network, OutPoint};
use capnp_rpc::rpc_capnp;
use rescan_client::position::Height;
use rescan_client::report::RefusalReason;
use rescan_client::{GivenOutpoint, ScanRequest};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, patiently, scan};
use rustix::process::Signal;

use crate::start;

const XPRV: &str =
    "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK";

/// All kinds of valid and invalid requests, with `RUST_LOG=debug`.
#[test]
fn the_log_has_no_key_descriptor_script_address_or_transaction_even_at_level_debug() {
    let wallet = TestWallet::new("peggy");
    let script = wallet.script(ScriptKind::P2wpkh, 0);
    let mut chain = ChainBuilder::new();
    chain.coinbase_to(&script).mine(2);
    let scene = Scene::write(chain, Manner::default());
    let server = start(&scene.server, &[]);
    let descriptor = wallet.descriptor(ScriptKind::P2wpkh);
    let address = Address::from_script(&script, Network::Regtest).unwrap().to_string();
    let elsewhere = Address::from_script(&script, Network::Bitcoin).unwrap().to_string();
    let txid = patiently(async {
        let client = server.client().await;
        for (given, reason) in [
            (format!("wpkh({XPRV}/0/*)"), RefusalReason::BadDescriptor),
            (format!("addr({elsewhere})"), RefusalReason::WrongNetwork),
            (format!("{descriptor}#00000000"), RefusalReason::BadDescriptor),
        ] {
            let refused = scan(&client, ScanRequest::new().keychain(given)).await;
            assert_eq!(refused.refusal().reason, reason);
        }
        let watch = || ScanRequest::new().keychain(&descriptor).script(script.clone());
        let found = scan(&client, watch().keychain(format!("addr({address})")).raw_transactions()).await;
        assert_eq!(found.heights(), [1]);
        assert_eq!(scan(&client, watch().to_height(Height(9))).await.refusal().reason, RefusalReason::BadRange);
        let txid = found.reports[0].transactions[0].txid;
        let given = GivenOutpoint { outpoint: OutPoint { txid, vout: 0 }, output: None };
        assert!(scan(&client, watch().outpoint(given)).await.summary().transactions > 0);
        // Also a client that leaves during a scan.
        drop(client.scan(watch()).await.unwrap());
        txid
    });
    server.signal(Signal::TERM);
    let (status, log) = server.wait();
    assert!(status.success() && log.contains("a scan ended") && log.contains("a watch set is sealed"), "{log}");
    let (script_hex, raw) = (script.to_hex_string(), script.as_bytes()[2..].to_lower_hex_string());
    for secret in
        [XPRV, "tprv", "tpub", "wpkh(", &script_hex, &raw, &descriptor, &address, &elsewhere, &txid.to_string()]
    {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}

#[test]
fn a_peer_cannot_write_lines_of_its_own_into_the_log() {
    let mut chain = ChainBuilder::new();
    chain.mine(1);
    let scene = Scene::write(chain, Manner::default());
    let server = start(&scene.server, &[]);
    let mut message = capnp::message::Builder::new_default();
    let mut abort = message.init_root::<rpc_capnp::message::Builder<'_>>().init_abort();
    abort.set_reason("bye\nERROR the disk is on fire");
    let mut peer = UnixStream::connect(scene.server.socket()).unwrap();
    peer.write_all(&capnp::serialize::write_message_to_words(&message)).unwrap();
    // The server logs the abort and hangs up.
    let _rest = peer.read_to_end(&mut Vec::new());
    server.signal(Signal::TERM);
    let (_, log) = server.wait();
    assert!(log.contains("its peer broke the protocol") && log.contains("on fire"), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("ERROR")), "{log}");
}
