//! Connections that the server ends: for exceeding a limit of the transport, for an incomplete message, for unread answers,
//! or for another user. The next client is served.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rescan_core::report::RefusalReason;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_server::session::guard::limits::SessionLimits;
use rustix::process::Uid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::client::{Client, Sink, add_keychain, add_scripts, progress, run, seal, whole};
use crate::misbehaviour::calls;
use crate::server::{TestServer, script};

const SOON: Duration = Duration::from_millis(200);

fn serving(limits: SessionLimits) -> TestServer {
    let mut server = TestServer::new();
    (0..3).for_each(|_| server.mine(0));
    server.start(limits);
    server
}

async fn is_served(server: &TestServer) {
    let client = Client::connect(&server.socket()).await;
    let sink = Sink::new();
    let _scan = client.scan(&client.watching(&[script().as_bytes()]).await, whole(), &sink);
    assert_eq!(sink.summary().await.transactions, 3);
}

/// All bytes until the server hangs up.
async fn rest(stream: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is a valid end too.
    drop(stream.read_to_end(&mut bytes).await);
    bytes
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

#[test]
fn calls_that_are_never_finished_end_their_connection_with_the_reason() {
    let server = serving(SessionLimits { calls_open_max: 50, ..SessionLimits::default() });
    run(async {
        let mut stream = UnixStream::connect(server.socket()).await.unwrap();
        // An unknown method: each call is answered with an exception, which the client has to finish.
        let (messages, _) = calls(60, 99);
        stream.write_all(&messages).await.unwrap();
        assert!(contains(&rest(&mut stream).await, "more than 50 calls are open"));
        is_served(&server).await;
    });
}

#[test]
fn calls_that_are_answered_at_once_may_be_any_number() {
    let server = serving(SessionLimits { calls_open_max: 50, ..SessionLimits::default() });
    run(async {
        let client = Client::connect(&server.socket()).await;
        for _ in 0..200 {
            client.info().await.unwrap();
        }
    });
}

#[test]
fn messages_of_waiting_calls_are_bounded() {
    let server = serving(SessionLimits { unanswered_bytes_max: 100_000, ..SessionLimits::default() });
    run(async {
        let client = Client::connect(&server.socket()).await;
        // A watch set that never resolves: its scan does not start, and calls to it wait.
        let never = capnp_rpc::new_future_client(std::future::pending());
        let scan = client.scan(&never, whole(), &Sink::new());
        let ask = || {
            let mut request = scan.block_ids_request();
            // 16 kB.
            request.get().init_heights(4_000);
            request.send().promise
        };
        let _waiting: Vec<_> = (0..5).map(|_| ask()).collect();
        client.info().await.unwrap();
        let _too_many: Vec<_> = (0..5).map(|_| ask()).collect();
        let error = client.info().await.unwrap_err();
        assert!(error.extra.contains("no room for a message of 16176 bytes"), "{error}");
        is_served(&server).await;
    });
}

#[test]
fn incomplete_messages_of_all_connections_together_are_bounded() {
    let server = serving(SessionLimits { unanswered_bytes_pool: 10 << 20, ..SessionLimits::default() });
    run(async {
        // 8 MB each, one of them in the share of the connection: the second exceeds the shared budget.
        let half = [0, 0, 0, 0, 0, 0, 0x0f, 0];
        let mut first = UnixStream::connect(server.socket()).await.unwrap();
        first.write_all(&half).await.unwrap();
        is_served(&server).await;
        let mut second = UnixStream::connect(server.socket()).await.unwrap();
        second.write_all(&half).await.unwrap();
        assert!(contains(&rest(&mut second).await, "no room for a message of"));
        is_served(&server).await;
        // Without the first there is room.
        drop(first);
        loop {
            let mut third = UnixStream::connect(server.socket()).await.unwrap();
            third.write_all(&half).await.unwrap();
            if tokio::time::timeout(SOON, third.read_u8()).await.is_err() {
                break;
            }
        }
    });
}

#[test]
fn a_client_that_stops_in_mid_message_is_disconnected_in_time() {
    let server = serving(SessionLimits { message_after: SOON, ..SessionLimits::default() });
    run(async {
        let patient = Client::connect(&server.socket()).await;
        patient.info().await.unwrap();
        for half in [&[0, 0, 0][..], &[0, 0, 0, 0, 4, 0, 0, 0, 7]] {
            let mut stream = UnixStream::connect(server.socket()).await.unwrap();
            stream.write_all(half).await.unwrap();
            rest(&mut stream).await;
        }
        // A client between two messages may stay forever.
        patient.info().await.unwrap();
        is_served(&server).await;
    });
}

#[test]
fn a_client_that_reads_nothing_is_disconnected_in_time() {
    let server = serving(SessionLimits { unread_after: SOON, ..SessionLimits::default() });
    run(async {
        let (messages, _) = calls(200_000, 0);
        let mut stream = UnixStream::connect(server.socket()).await.unwrap();
        let error = stream.write_all(&messages).await.unwrap_err();
        assert!(
            matches!(error.kind(), std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset),
            "{error}"
        );
        is_served(&server).await;
    });
}

#[test]
fn the_watched_entries_of_a_connection_are_bounded_until_a_watch_set_is_dropped() {
    let server = serving(SessionLimits { watched_per_connection_max: 5, ..SessionLimits::default() });
    run(async {
        let client = Client::connect(&server.socket()).await;
        let scripts: Vec<Vec<u8>> = (0..4).map(|number| [&[0, 20][..], &[number; 20]].concat()).collect();
        let scripts: Vec<&[u8]> = scripts.iter().map(Vec::as_slice).collect();
        let first = client.watching(&scripts).await;
        let second = client.watch_set().await.unwrap();
        add_scripts(&second, &scripts[..2]).await;
        let refusal = seal(&second).await.unwrap_err();
        assert_eq!((refusal.reason, refusal.position), (RefusalReason::TooManyEntries, 1));
        assert!(refusal.detail.contains("at most 5 scripts and outpoints"), "{}", refusal.detail);
        drop((first, second));
        client.watching(&scripts).await;
    });
}

#[test]
fn derived_scripts_count_as_watched() {
    let server = serving(SessionLimits { watched_per_connection_max: 500, ..SessionLimits::default() });
    run(async {
        let client = Client::connect(&server.socket()).await;
        let watch_set = client.watch_set().await.unwrap();
        // A thousand scripts before any use.
        add_keychain(&watch_set, &TestWallet::new("hal").descriptor(ScriptKind::P2tr)).await;
        assert_eq!(seal(&watch_set).await.unwrap_err().reason, RefusalReason::TooManyEntries);
    });
}

#[test]
fn scans_of_all_connections_together_are_bounded() {
    let server = serving(SessionLimits { scans_max: 1, ..SessionLimits::default() });
    run(async {
        let (one, other) = (Client::connect(&server.socket()).await, Client::connect(&server.socket()).await);
        let never = capnp_rpc::new_future_client(std::future::pending());
        let scan = one.scan(&never, whole(), &Sink::new());
        // It has started once it answers a call.
        progress(&scan).await;
        let sink = Sink::new();
        let refused = other.scan(&other.watching(&[script().as_bytes()]).await, whole(), &sink);
        let refusal = sink.refusal().await;
        assert_eq!(refusal.reason, RefusalReason::TooManyScans);
        assert!(refusal.detail.contains("all connections together at most 1"), "{}", refusal.detail);
        drop((scan, refused));
        one.info().await.unwrap();
        is_served(&server).await;
    });
}

#[test]
fn capabilities_in_calls_are_bounded() {
    let server = serving(SessionLimits { capabilities_max: 3, ..SessionLimits::default() });
    run(async {
        let mut stream = UnixStream::connect(server.socket()).await.unwrap();
        let mut message = capnp::message::Builder::new_default();
        let call = message.init_root::<capnp_rpc::rpc_capnp::message::Builder<'_>>().init_call();
        let mut table = call.init_params().init_cap_table(4);
        (0..4).for_each(|index| table.reborrow().get(index).set_sender_hosted(index));
        stream.write_all(&capnp::serialize::write_message_to_words(&message)).await.unwrap();
        assert!(contains(&rest(&mut stream).await, "more than 3 capabilities"));
        is_served(&server).await;
    });
}

#[expect(clippy::print_stderr, reason = "reports a skipped test")]
#[test]
fn another_user_is_turned_away_before_a_byte_is_read() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can change its user");
        return;
    }
    let server = serving(SessionLimits::default());
    // The file system lets every user through, so the server has to refuse.
    let everybody = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    let socket = server.socket();
    everybody(socket.parent().unwrap());
    everybody(&socket);
    let stranger = std::thread::spawn(move || {
        let nobody = Uid::from_raw(65_534);
        // Changes the user of this thread only.
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        let (messages, _) = calls(1, 0);
        // The server may have hung up already.
        drop(std::io::Write::write_all(&mut stream, &messages));
        let mut answer = Vec::new();
        drop(std::io::Read::read_to_end(&mut stream, &mut answer));
        answer
    });
    assert_eq!(stranger.join().unwrap(), [0_u8; 0]);
    run(is_served(&server));
}
