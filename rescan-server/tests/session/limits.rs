//! The limits of a connection: an excess fails with the reason, and affects no other connection.

use capnp::ErrorKind;
use rescan_server::session::guard::limits::SessionLimits;

use crate::client::{Client, Sink, run, whole};
use crate::server::{TestServer, script};

#[test]
fn a_watch_set_too_many_is_an_exception_until_one_is_dropped() {
    let mut server = TestServer::new();
    server.start(SessionLimits { watch_sets_per_connection_max: 2, ..SessionLimits::default() });
    run(async {
        let client = Client::connect(&server.socket()).await;
        let first = client.watch_set().await.unwrap();
        let _second = client.watch_set().await.unwrap();
        let Err(error) = client.watch_set().await else { panic!("expected an exception") };
        assert_eq!(error.kind, ErrorKind::Overloaded);
        assert!(error.extra.contains("at most 2 watch sets"), "{error}");
        drop(first);
        client.watch_set().await.unwrap();
    });
}

#[test]
fn a_connection_too_many_is_turned_away_with_the_reason() {
    let mut server = TestServer::new();
    server.start(SessionLimits { connections_max: 1, ..SessionLimits::default() });
    run(async {
        let first = Client::connect(&server.socket()).await;
        first.info().await.unwrap();
        let second = Client::connect(&server.socket()).await;
        let error = second.info().await.unwrap_err();
        assert!(error.extra.contains("the server has 1 connections, its limit"), "{error}");
        first.info().await.unwrap();
        first.vanish();
        // The server notices the end of the first some time later.
        while Client::connect(&server.socket()).await.info().await.is_err() {}
    });
}

#[test]
fn a_message_too_large_ends_its_connection_and_no_other() {
    let mut server = TestServer::new();
    server.start(SessionLimits { message_bytes_max: 1 << 20, ..SessionLimits::default() });
    run(async {
        let (one, other) = (Client::connect(&server.socket()).await, Client::connect(&server.socket()).await);
        other.info().await.unwrap();
        let watch_set = one.watch_set().await.unwrap();
        let mut request = watch_set.add_scripts_request();
        request.get().init_scripts(1).set(0, &vec![0; 2 << 20]);
        // The call may fail or not, depending on when the server hangs up.
        drop(request.send().await);
        let error = one.info().await.unwrap_err();
        assert!(error.extra.contains("too large") || error.kind == ErrorKind::Disconnected, "{error}");
        other.info().await.unwrap();
    });
}

#[test]
fn more_block_ids_than_are_answered_in_one_call_are_an_exception() {
    let server = TestServer::with_blocks(1);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let sink = Sink::new();
        let scan = client.scan(&client.watching(&[script().as_bytes()]).await, whole(), &sink);
        let ask = |count| {
            let mut request = scan.block_ids_request();
            request.get().init_heights(count);
            request.send().promise
        };
        assert_eq!(ask(4_096).await.unwrap().get().unwrap().get_ids().unwrap().len(), 4_096);
        let Err(error) = ask(4_097).await else { panic!("expected an exception") };
        assert!(error.extra.contains("4097 heights in one call"), "{error}");
    });
}

#[test]
fn waiting_calls_are_bounded() {
    let mut server = TestServer::new();
    server.start(SessionLimits { calls_waiting_max: 3, ..SessionLimits::default() });
    run(async {
        let client = Client::connect(&server.socket()).await;
        // A watch set that never resolves: its scan does not start.
        let never = capnp_rpc::new_future_client(std::future::pending());
        let sink = Sink::new();
        let scan = client.scan(&never, whole(), &sink);
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(scan.block_ids_request().send().promise)).collect();
        let Err(error) = scan.block_ids_request().send().promise.await else { panic!("expected an exception") };
        assert_eq!(error.kind, ErrorKind::Overloaded);
        assert!(futures::poll!(&mut waiting[0]).is_pending());
        // Waiting calls end with the scan.
        drop(scan.cancel_request().send().promise.await.unwrap());
        for answer in waiting {
            let Err(error) = answer.await else { panic!("expected an exception") };
            assert!(error.extra.contains("before it had begun"), "{error}");
        }
        sink.summary().await;
    });
}
