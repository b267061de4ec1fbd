//! Clients that vanish, stall, or break the protocol. The server always serves the next one.

use std::time::Duration;

use capnp_rpc::rpc_capnp;
use rescan_core::framing::{Framing, FramingEvent};
use rescan_core::position::Height;
use rescan_core::report::{Outcome, Phase};
use rescan_server::session::guard::limits::SessionLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::client::{Client, Sink, progress, run, whole};
use crate::server::{TestServer, script};

async fn scans_as_ever(server: &TestServer, blocks: u64) {
    let client = Client::connect(&server.socket()).await;
    let sink = Sink::new();
    let _scan = client.scan(&client.watching(&[script().as_bytes()]).await, whole(), &sink);
    assert_eq!(sink.summary().await.transactions, blocks);
}

#[test]
fn a_peer_that_does_not_speak_capnproto_is_disconnected() {
    let server = TestServer::with_blocks(2);
    run(async {
        for noise in [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], &[0xff; 64], &[0; 64], b"\n\n\n\n\n\n\n\n"] {
            let mut stream = UnixStream::connect(server.socket()).await.unwrap();
            stream.write_all(noise).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            // A reset is a valid end too.
            drop(stream.read_to_end(&mut answer).await);
        }
        scans_as_ever(&server, 2).await;
    });
}

#[test]
fn a_client_that_vanishes_in_mid_scan_leaves_nothing() {
    let server = TestServer::with_long_chain(SessionLimits { connections_max: 2, ..SessionLimits::default() });
    run(async {
        for _ in 0..10 {
            let client = loop {
                // The server notices the end of the last one some time later.
                let client = Client::connect(&server.socket()).await;
                if client.info().await.is_ok() {
                    break client;
                }
            };
            let sink = Sink::held();
            let _scan = client.blocks(&whole(), &sink);
            sink.arrived(1).await;
            client.vanish();
        }
        while Client::connect(&server.socket()).await.info().await.is_err() {}
        scans_as_ever(&server, 300).await;
    });
}

#[test]
fn a_wallet_that_takes_nothing_delays_its_own_scan_and_no_other() {
    let server = TestServer::with_long_chain(SessionLimits::default());
    run(async {
        let client = Client::connect(&server.socket()).await;
        let held = Sink::held();
        let scan = client.blocks(&whole(), &held);
        held.arrived(1).await;
        scans_as_ever(&server, 300).await;
        let stalled = progress(&scan).await;
        assert_eq!(stalled.phase, Phase::Walking);
        assert!(stalled.blocks_done < 200, "{} of 300 blocks were read for it", stalled.blocks_done);
        held.release();
        assert_eq!(held.summary().await.outcome, Outcome::Complete);
        assert_eq!(held.collected.borrow().blocks.len(), 301);
    });
}

#[test]
fn a_stalled_scan_is_cancelled_with_a_summary_up_to_the_last_item() {
    let server = TestServer::with_long_chain(SessionLimits {
        stalled_after: Duration::from_millis(200),
        ..SessionLimits::default()
    });
    run(async {
        let client = Client::connect(&server.socket()).await;
        let held = Sink::held();
        let scan = client.blocks(&whole(), &held);
        while progress(&scan).await.phase != Phase::Done {}
        held.release();
        let summary = held.summary().await;
        assert_eq!(summary.outcome, Outcome::Cancelled);
        let last = held.collected.borrow().blocks.last().map(|block| (block.height, block.hash)).unwrap();
        assert_eq!(summary.locator.first(), Some(&last.1), "no gap between the last block and the locator");
        assert!(last.0 < Height(300));
        drop(scan);
        assert_eq!(client.info().await.unwrap().chain.tip.unwrap().height, Height(300), "the connection goes on");
    });
}

#[test]
fn a_dropped_scan_stops_and_sends_nothing_more() {
    let server = TestServer::with_long_chain(SessionLimits { scans_per_connection_max: 1, ..SessionLimits::default() });
    run(async {
        let client = Client::connect(&server.socket()).await;
        for _ in 0..5 {
            let held = Sink::held();
            let scan = client.blocks(&whole(), &held);
            held.arrived(1).await;
            drop(scan);
            held.release();
            // Messages of one connection arrive in order, so all earlier ones have arrived.
            client.info().await.unwrap();
            assert_eq!(held.collected.borrow().endings, 0);
        }
        let sink = Sink::new();
        let _scan = client.blocks(&whole(), &sink);
        assert_eq!(sink.summary().await.outcome, Outcome::Complete);
    });
}

#[test]
fn a_sink_that_fails_ends_its_scan() {
    use rescan_core::rescan_capnp::report_sink;

    struct Failing;
    impl report_sink::Server for Failing {}

    let server = TestServer::with_blocks(50);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let mut request = client.rescan.scan_request();
        request.get().set_watch_set(client.watching(&[script().as_bytes()]).await);
        request.get().set_sink(capnp_rpc::new_client(Failing));
        let scan = request.send().pipeline.get_scan();
        while progress(&scan).await.phase != Phase::Done {}
        scans_as_ever(&server, 50).await;
    });
}

/// Calls of a method of `Rescan`, 0 being `info`, and the end of each message.
pub(crate) fn calls(count: u32, method: u16) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let mut append = |fill: &dyn Fn(rpc_capnp::message::Builder<'_>)| {
        let mut message = capnp::message::Builder::new_default();
        fill(message.init_root());
        bytes.extend(capnp::serialize::write_message_to_words(&message));
        ends.push(bytes.len());
    };
    append(&|message| message.init_bootstrap().set_question_id(0));
    for question in 1..=count {
        append(&|message| {
            let mut call = message.init_call();
            call.set_question_id(question);
            let mut target = call.reborrow().init_target().init_promised_answer();
            target.set_question_id(0);
            call.set_interface_id(0x91f2_921c_1380_65d1);
            call.set_method_id(method);
            call.init_params();
        });
    }
    (bytes, ends)
}

#[test]
fn the_server_stops_reading_from_a_client_that_does_not_read_and_loses_no_call() {
    // 24 MB; the buffers of the socket hold a hundredth of that.
    const CALLS: u32 = 200_000;
    let server = TestServer::with_blocks(2);
    run(async {
        let (calls, ends) = calls(CALLS, 0);
        let mut stream = UnixStream::connect(server.socket()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let mut sent = 0;
        // Until the server takes no more. A quarter of a second is long between two idle threads.
        while let Ok(taken) = timeout(Duration::from_millis(250), writer.write(&calls[sent..])).await {
            sent += taken.unwrap();
            assert!(sent < calls.len(), "the server took all {sent} bytes of calls, and held the answers in memory");
        }
        scans_as_ever(&server, 2).await;
        // Once the client reads, every call is answered.
        let begun = ends.partition_point(|&end| end < sent);
        let (sending, receiving) =
            tokio::join!(writer.write_all(&calls[sent..ends[begun]]), read_messages(&mut reader, begun + 1));
        sending.unwrap();
        receiving.unwrap();
    });
}

async fn read_messages(from: &mut (impl tokio::io::AsyncRead + Unpin), mut count: usize) -> std::io::Result<()> {
    let (mut framing, mut buffer) = (Framing::default(), vec![0; 1 << 16]);
    while count > 0 {
        let length = from.read(&mut buffer).await?;
        assert!(length > 0, "the server hung up with {count} messages to go");
        let mut bytes = &buffer[..length];
        let events = std::iter::from_fn(|| framing.next_event(&mut bytes));
        count -= events.filter(|event| *event == FramingEvent::Complete).count();
    }
    Ok(())
}

#[test]
fn a_stopping_server_delivers_summaries_of_running_scans_and_removes_its_socket() {
    let mut server = TestServer::with_long_chain(SessionLimits::default());
    let socket = server.socket();
    run(async {
        let client = Client::connect(&socket).await;
        let held = Sink::held();
        let _scan = client.blocks(&whole(), &held);
        held.arrived(1).await;
        let stopping = server.tell_to_stop().unwrap();
        held.release();
        let summary = held.summary().await;
        assert_eq!(summary.outcome, Outcome::Cancelled);
        assert_eq!(summary.locator.first(), held.collected.borrow().blocks.last().map(|block| &block.hash));
        tokio::task::spawn_blocking(move || stopping.join().unwrap()).await.unwrap();
        assert!(!socket.exists());
        assert!(client.info().await.is_err());
    });
    server.start(SessionLimits::default());
    run(scans_as_ever(&server, 300));
}
