//! The derivation of a watch set: counted beforehand, refused at once, shown while it runs.

use rescan_core::report::{Phase, Progress, Refusal, RefusalReason};
use rescan_core::rescan_capnp::watch_set;
use rescan_server::session::guard::limits::SessionLimits;

use crate::client::{Client, Sink, add_keychain, add_keychain_within, derivation, progress, run, seal, whole};
use crate::server::TestServer;

const RANGED: &str = "wpkh(tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B/0/*)";
/// Four scripts, with the generator as its key.
const COMBO: &str = "combo(0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798)";

fn serving(scripts_per_watch_set_max: u64) -> TestServer {
    let mut server = TestServer::new();
    server.start(SessionLimits { scripts_per_watch_set_max, ..SessionLimits::default() });
    server
}

fn of(derived: u64, total: u64, phase: Phase) -> Progress {
    Progress { scripts_derived: derived, scripts_total: total, ..Progress::at_start_of(phase) }
}

async fn too_many(watch_set: &watch_set::Client) -> Refusal {
    let refusal = seal(watch_set).await.unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::TooManyEntries, "{}", refusal.detail);
    assert_eq!(derivation(watch_set).await.scripts_derived, 0, "nothing was derived");
    refusal
}

#[test]
fn a_count_beyond_the_limit_is_refused_before_any_descriptor_is_parsed() {
    let server = serving(1_500);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watch_set().await.unwrap();
        // If it were parsed, it would be the reason.
        add_keychain(&watch_set, "wpkh(no key/*)").await;
        for _ in 0..3 {
            add_keychain(&watch_set, RANGED).await;
        }
        let refusal = too_many(&watch_set).await;
        assert_eq!(refusal.position, 1, "the first keychain beyond the limit");
        assert!(refusal.detail.contains("at most 1500 scripts, found at least 4000,"), "{}", refusal.detail);
        assert_eq!(derivation(&watch_set).await, of(0, 1_000, Phase::Deriving));
    });
}

#[test]
fn a_count_that_only_the_parsed_descriptors_show_is_refused_before_any_script_is_derived() {
    let server = serving(1_002);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watch_set().await.unwrap();
        add_keychain(&watch_set, RANGED).await;
        add_keychain(&watch_set, COMBO).await;
        let refusal = too_many(&watch_set).await;
        assert_eq!(refusal.position, 1);
        assert!(refusal.detail.contains("found at least 1004,"), "{}", refusal.detail);
    });
}

#[test]
fn a_bad_descriptor_is_refused_before_a_later_entry_that_is_bad_in_itself() {
    let server = serving(1_500);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watch_set().await.unwrap();
        add_keychain(&watch_set, "wpkh(no key/*)").await;
        // Its count alone would be beyond the limit, and is not looked at.
        add_keychain_within(&watch_set, RANGED, 2_000_000).await;
        let refusal = seal(&watch_set).await.unwrap_err();
        assert_eq!((refusal.reason, refusal.position), (RefusalReason::BadDescriptor, 0), "{}", refusal.detail);
    });
}

#[test]
fn a_watch_set_shows_how_many_scripts_it_has_derived() {
    let server = serving(10_000);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watch_set().await.unwrap();
        assert_eq!(derivation(&watch_set).await, of(0, 0, Phase::Deriving));
        add_keychain(&watch_set, RANGED).await;
        assert_eq!(derivation(&watch_set).await, of(0, 1_000, Phase::Deriving));
        add_keychain(&watch_set, COMBO).await;
        assert_eq!(derivation(&watch_set).await, of(0, 1_001, Phase::Deriving));
        seal(&watch_set).await.unwrap();
        assert_eq!(derivation(&watch_set).await, of(1_004, 1_004, Phase::Done));
    });
}

#[test]
fn a_scan_that_waits_for_its_scripts_shows_how_many_are_derived() {
    let server = serving(100_000);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watch_set().await.unwrap();
        // Half a second of work: the scan is there long before the end.
        add_keychain_within(&watch_set, RANGED, 30_000).await;
        let _sealing = watch_set.seal_request().send();
        let scan = client.scan(&watch_set, whole(), &Sink::new());
        let mut shown = progress(&scan).await;
        while shown.scripts_derived == 0 {
            assert_eq!((shown.phase, shown.blocks_total), (Phase::Deriving, 0));
            shown = progress(&scan).await;
        }
        assert_eq!((shown.phase, shown.scripts_total), (Phase::Deriving, 30_000));
        let of_set = derivation(&watch_set).await;
        assert!(of_set.scripts_derived >= shown.scripts_derived, "{of_set:?} after {shown:?}");
    });
}
