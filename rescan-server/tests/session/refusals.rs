//! Mistakes of the caller: each is a value with the reason, and the connection continues.

use rescan_core::report::RefusalReason;
use rescan_core::request::RangeRequest;
use rescan_core::rescan_capnp::watch_set;
use rescan_server::session::guard::limits::SessionLimits;

use crate::client::{Client, Sink, add_keychain, add_outpoint, add_scripts, from_to, run, seal, whole};
use crate::server::{TestServer, script};

#[test]
fn a_range_inverted_or_above_the_tip_is_refused_with_the_heights() {
    let server = TestServer::with_blocks(5);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watching(&[script().as_bytes()]).await;
        let refused = async |range: RangeRequest| {
            let sink = Sink::new();
            let _scan = client.scan(&watch_set, RangeRequest::clone(&range), &sink);
            let refusal = sink.refusal().await;
            assert_eq!(refusal.reason, RefusalReason::BadRange);
            let blocks = Sink::new();
            let _scan = client.blocks(&range, &blocks);
            assert_eq!(blocks.refusal().await, refusal);
            refusal.detail
        };
        assert_eq!(refused(from_to(4, Some(3))).await, "the range begins at height 4 and ends below it, at height 3");
        assert_eq!(refused(from_to(0, Some(6))).await, "the range ends at height 6, and the tip is at height 5");
        assert_eq!(refused(from_to(6, None)).await, "the range begins at height 6, and the tip is at height 5");
        let sink = Sink::new();
        let _scan = client.scan(&watch_set, whole(), &sink);
        assert_eq!(sink.summary().await.transactions, 5, "the connection continues");
    });
}

#[test]
fn a_watch_set_that_is_not_sealed_is_refused() {
    let server = TestServer::with_blocks(1);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watch_set().await.unwrap();
        let sink = Sink::new();
        let _scan = client.scan(&watch_set, whole(), &sink);
        assert_eq!(sink.refusal().await.reason, RefusalReason::NotSealed);
    });
}

/// A watch set of the client.
struct Own;
impl watch_set::Server for Own {}

#[test]
fn a_watch_set_that_the_client_implements_is_refused() {
    let server = TestServer::with_blocks(1);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let sink = Sink::new();
        let _scan = client.scan(&capnp_rpc::new_client(Own), whole(), &sink);
        assert_eq!(sink.refusal().await.reason, RefusalReason::ForeignWatchSet);
    });
}

#[test]
fn a_watch_set_of_another_connection_is_refused() {
    let server = TestServer::with_blocks(1);
    run(async {
        let (one, other) = (Client::connect(&server.socket()).await, Client::connect(&server.socket()).await);
        let watch_set = one.watching(&[script().as_bytes()]).await;
        let sink = Sink::new();
        let _scan = other.scan(&watch_set, whole(), &sink);
        assert_eq!(sink.refusal().await.reason, RefusalReason::ForeignWatchSet);
    });
}

#[test]
fn the_first_entry_that_cannot_be_watched_is_named() {
    let server = TestServer::with_blocks(1);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let refused = async |watch_set: watch_set::Client| {
            let refusal = seal(&watch_set).await.unwrap_err();
            let sink = Sink::new();
            let _scan = client.scan(&watch_set, whole(), &sink);
            assert_eq!(sink.refusal().await, refusal, "a scan for it is refused for the same reason");
            (refusal.reason, refusal.position)
        };
        let watch_set = client.watch_set().await.unwrap();
        add_scripts(&watch_set, &[b"good", b"good too", b"", b"good"]).await;
        assert_eq!(refused(watch_set).await, (RefusalReason::BadScript, 2));

        let watch_set = client.watch_set().await.unwrap();
        add_scripts(&watch_set, &[&[1; 10_001]]).await;
        assert_eq!(refused(watch_set).await, (RefusalReason::BadScript, 0));

        let watch_set = client.watch_set().await.unwrap();
        add_outpoint(&watch_set, 32).await;
        add_outpoint(&watch_set, 31).await;
        assert_eq!(refused(watch_set).await, (RefusalReason::BadOutpoint, 1));

        let watch_set = client.watch_set().await.unwrap();
        add_keychain(&watch_set, "raw(51)").await;
        add_keychain(&watch_set, "raw(nothing)").await;
        add_scripts(&watch_set, &[b""]).await;
        assert_eq!(refused(watch_set).await, (RefusalReason::BadDescriptor, 1), "the keychain came first");

        let watch_set = client.watch_set().await.unwrap();
        add_scripts(&watch_set, &[b""]).await;
        add_keychain(&watch_set, "raw(nothing)").await;
        assert_eq!(refused(watch_set).await, (RefusalReason::BadScript, 0), "the script came first");
    });
}

#[test]
fn an_entry_after_sealing_is_refused_and_never_watched() {
    let server = TestServer::with_blocks(1);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watching(&[b"nothing pays this"]).await;
        add_scripts(&watch_set, &[script().as_bytes()]).await;
        assert_eq!(seal(&watch_set).await.unwrap_err().reason, RefusalReason::AlreadySealed);
        let sink = Sink::new();
        let _scan = client.scan(&watch_set, whole(), &sink);
        assert_eq!(sink.summary().await.transactions, 0, "the scan matches the sealed entries");
    });
}

#[test]
fn more_entries_than_a_watch_set_holds_are_refused() {
    let mut server = TestServer::new();
    server.start(SessionLimits {
        scripts_per_watch_set_max: 1_001,
        outpoints_per_watch_set_max: 1,
        entry_bytes_per_watch_set_max: 1_000,
        ..SessionLimits::default()
    });
    let ranged = "wpkh(tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B/0/*)";
    run(async {
        let client = Client::connect(&server.socket()).await;
        let refused = async |watch_set: watch_set::Client| {
            let refusal = seal(&watch_set).await.unwrap_err();
            assert_eq!(refusal.reason, RefusalReason::TooManyEntries, "{}", refusal.detail);
            refusal.position
        };
        let watch_set = client.watch_set().await.unwrap();
        add_keychain(&watch_set, ranged).await;
        add_scripts(&watch_set, &[b"one", b"one too many"]).await;
        assert_eq!(refused(watch_set).await, 0, "given scripts are counted before derived ones");

        let watch_set = client.watch_set().await.unwrap();
        add_keychain(&watch_set, ranged).await;
        add_keychain(&watch_set, ranged).await;
        assert_eq!(refused(watch_set).await, 1);

        let watch_set = client.watch_set().await.unwrap();
        add_scripts(&watch_set, &vec![&b"the same again"[..]; 50]).await;
        add_keychain(&watch_set, ranged).await;
        assert_eq!(refused(watch_set).await, 0, "a script counts as often as it is given");

        // Four scripts per index.
        let watch_set = client.watch_set().await.unwrap();
        add_keychain(&watch_set, &ranged.replace("wpkh", "combo")).await;
        assert_eq!(refused(watch_set).await, 0);

        let watch_set = client.watch_set().await.unwrap();
        add_outpoint(&watch_set, 32).await;
        add_outpoint(&watch_set, 32).await;
        assert_eq!(refused(watch_set).await, 1);

        let watch_set = client.watch_set().await.unwrap();
        add_scripts(&watch_set, &[&[1; 500], &[2; 500], &[3; 1]]).await;
        assert_eq!(refused(watch_set).await, 2);
    });
}

#[test]
fn more_scans_than_a_connection_may_run_are_refused_until_one_is_dropped() {
    let mut server = TestServer::new();
    server.mine(0);
    server.start(SessionLimits { scans_per_connection_max: 2, ..SessionLimits::default() });
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watching(&[script().as_bytes()]).await;
        let held = Sink::held();
        let first = client.scan(&watch_set, whole(), &held);
        let _second = client.blocks(&whole(), &held);
        let sink = Sink::new();
        let _third = client.scan(&watch_set, whole(), &sink);
        assert_eq!(sink.refusal().await.reason, RefusalReason::TooManyScans);
        let other = Client::connect(&server.socket()).await;
        let sink = Sink::new();
        let _scan = other.blocks(&whole(), &sink);
        sink.summary().await;
        drop(first);
        let sink = Sink::new();
        let _fourth = client.scan(&watch_set, whole(), &sink);
        assert_eq!(sink.summary().await.transactions, 1);
    });
}
