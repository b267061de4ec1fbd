//! Mistakes of a wallet's, over the socket: each is told apart, and the connection serves on.

use rescan_client::position::Height;
use rescan_client::report::{FailureKind, Outcome, RefusalReason};
use rescan_client::{ScanError, ScanRequest};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::session::guard::limits::SessionLimits;
use rescan_tests::{Manner, ScanRecord, Scene, patiently, scan};

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

#[test]
fn the_mistaken_entry_is_named_by_its_position() {
    let scene = served();
    let good = TestWallet::new("dave").descriptor(ScriptKind::P2tr);
    patiently(async {
        let request = ScanRequest::new().keychain(good.as_str()).keychain(good.as_str()).keychain("tr(nonsense)");
        let found = scan(&scene.server.client().await, request).await;
        assert_eq!((found.refusal().reason, found.refusal().position), (RefusalReason::BadDescriptor, 2));
    });
}

#[test]
fn a_message_above_the_limit_costs_its_own_connection_and_no_other() {
    let limits = SessionLimits { message_bytes_max: 1 << 20, ..SessionLimits::default() };
    let mut chain = ChainBuilder::new();
    chain.mine(5);
    let scene = Scene::serve(chain, Manner { limits, ..Manner::default() });
    patiently(async {
        let (one, other) = (scene.server.client().await, scene.server.client().await);
        // One script cannot be cut into chunks.
        let huge = bitcoin::ScriptBuf::from(vec![0x51; 2 << 20]);
        let found = scan(&one, ScanRequest::new().script(huge)).await;
        // The reason arrives, unless the connection is gone before.
        assert!(matches!(&found.end, Err(ScanError::Call(_))), "{:?}", found.end);
        assert!(one.info().await.is_err());
        let watch = || ScanRequest::new().script(bitcoin::ScriptBuf::from(vec![0x51]));
        assert_eq!(scan(&other, watch()).await.summary().outcome, Outcome::Complete);
        assert_eq!(scan(&scene.server.client().await, watch()).await.summary().outcome, Outcome::Complete);
    });
}

#[test]
fn block_files_that_cannot_be_read_are_a_failure_until_they_can() {
    let scene = served();
    let blocks = scene.server.blocks_dir();
    let away = scene.server.beside("away");
    patiently(async {
        let client = scene.server.client().await;
        let watch = || ScanRequest::new().script(bitcoin::ScriptBuf::from(vec![0x51]));
        assert_eq!(scan(&client, watch()).await.summary().outcome, Outcome::Complete);
        std::fs::rename(&blocks, &away).unwrap();
        let found: ScanRecord = scan(&client, watch()).await;
        assert_eq!(found.failure().kind, FailureKind::Unreadable);
        assert!(found.failure().detail.contains(blocks.to_str().unwrap()), "{}", found.failure());
        std::fs::rename(&away, &blocks).unwrap();
        assert_eq!(scan(&client, watch()).await.summary().outcome, Outcome::Complete);
    });
}
