//! What is in the log: whoever reads it is not the wallet's owner.

use rescan_client::ScanRequest;
use rescan_client::report::RefusalReason;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, patiently, scan};
use rustix::process::Signal;

use crate::start;

const XPRV: &str =
    "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK";

#[test]
fn no_key_no_descriptor_and_no_script_is_in_the_log_even_where_it_is_asked_for_in_detail() {
    let wallet = TestWallet::new("peggy");
    let script = wallet.script(ScriptKind::P2wpkh, 0);
    let mut chain = ChainBuilder::new();
    chain.coinbase_to(&script).mine(2);
    let scene = Scene::write(chain, Manner::default());
    // Its RUST_LOG is `debug`.
    let server = start(&scene.server, &[]);
    let descriptor = wallet.descriptor(ScriptKind::P2wpkh);
    patiently(async {
        let client = server.client().await;
        let private = scan(&client, ScanRequest::new().keychain(format!("wpkh({XPRV}/0/*)"))).await;
        assert_eq!(private.refusal().reason, RefusalReason::BadDescriptor);
        let found = scan(&client, ScanRequest::new().keychain(&descriptor).script(script.clone())).await;
        assert_eq!(found.heights(), [1]);
    });
    server.signal(Signal::TERM);
    let (status, log) = server.wait();
    assert!(status.success() && log.contains("serving"), "{log}");
    for secret in [XPRV, "tprv", "tpub", &script.to_hex_string(), &descriptor] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}
