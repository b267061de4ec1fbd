//! Requests that the server refuses, over the socket, on a connection that continues.

use rescan_client::ScanRequest;
use rescan_client::position::Height;
use rescan_client::report::{Outcome, RefusalReason};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, patiently, scan};

const XPRV: &str =
    "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK";

fn served() -> Scene {
    let mut chain = ChainBuilder::new();
    chain.mine(5);
    Scene::serve(chain, Manner::default())
}

#[test]
fn every_mistake_is_told_apart_and_the_next_request_is_served() {
    let scene = served();
    let key = TestWallet::new("dave").descriptor(ScriptKind::P2wpkh);
    let private = format!("wpkh({XPRV}/0/*)");
    let watch = || ScanRequest::new().keychain(key.as_str());
    let mistakes: [(&str, ScanRequest, RefusalReason); 7] = [
        ("a descriptor that is none", ScanRequest::new().keychain("wpkh(nonsense)"), RefusalReason::BadDescriptor),
        ("a wrong checksum", ScanRequest::new().keychain(format!("{key}#qqqqqqqq")), RefusalReason::BadDescriptor),
        ("a private key", ScanRequest::new().keychain(private.as_str()), RefusalReason::BadDescriptor),
        (
            "an address of main",
            ScanRequest::new().keychain("addr(bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4)"),
            RefusalReason::WrongNetwork,
        ),
        ("an end above the tip", watch().to_height(Height(6)), RefusalReason::BadRange),
        ("a start above the tip", watch().from_height(Height(6)), RefusalReason::BadRange),
        ("a range upside down", watch().from_height(Height(4)).to_height(Height(3)), RefusalReason::BadRange),
    ];
    patiently(async {
        let client = scene.server.client().await;
        for (mistake, request, reason) in mistakes {
            let found = scan(&client, request).await;
            let refusal = found.refusal();
            assert_eq!(refusal.reason, reason, "{mistake}: {refusal}");
            assert!(!refusal.detail.is_empty() && !format!("{refusal:?}").contains("tprv8"), "{mistake}: {refusal}");
            assert_eq!(scan(&client, watch()).await.summary().outcome, Outcome::Complete, "after {mistake}");
        }
    });
}
