//! Calls that wait for a new tip.

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use capnp::ErrorKind;
use rescan_core::report::BlockId;
use rescan_core::wire;
use rescan_server::session::guard::limits::SessionLimits;

use crate::client::{Client, run};
use crate::server::TestServer;

const LONG: u32 = u32::MAX;

async fn wait(client: &Client, known: &[u8], timeout_millis: u32) -> capnp::Result<Option<BlockId>> {
    let mut request = client.rescan.wait_tip_request();
    request.get().set_known(known);
    request.get().set_timeout_millis(timeout_millis);
    let response = request.send().promise.await?;
    Ok(wire::read_block_id(response.get()?.get_tip()?).unwrap())
}

fn hash_of(tip: Option<BlockId>) -> Option<BlockHash> {
    tip.map(|tip| tip.hash)
}

#[test]
fn a_new_tip_is_returned_at_once_and_the_same_tip_at_the_timeout() {
    let mut server = TestServer::with_blocks(2);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let first = server.tip();
        assert_eq!(hash_of(wait(&client, &[], LONG).await.unwrap()), Some(first));
        assert_eq!(hash_of(wait(&client, &first.to_byte_array(), 0).await.unwrap()), Some(first));
        server.mine(0);
        let tip = wait(&client, &first.to_byte_array(), LONG).await.unwrap().unwrap();
        assert_eq!((tip.height.0, tip.hash, tip.time), (3, server.tip(), server.block(3).header.time));
    });
}

#[test]
fn a_waiting_call_returns_a_new_block_without_any_other_call() {
    let mut server = TestServer::with_blocks(1);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let first = server.tip();
        let known = first.to_byte_array();
        let waiting = wait(&client, &known, LONG);
        let mining = async {
            // The server answers while the other call waits.
            client.info().await.unwrap();
            server.mine(0);
        };
        let (tip, ()) = tokio::join!(waiting, mining);
        assert_eq!(hash_of(tip.unwrap()), Some(server.tip()));
    });
}

#[test]
fn a_call_waits_for_the_first_reading_of_the_chain() {
    let mut server = TestServer::new();
    (0..3).for_each(|_| server.mine(0));
    let held = server.start_held();
    run(async {
        let client = Client::connect(&server.socket()).await;
        let mut waiting = Box::pin(wait(&client, &[], 1));
        assert!(futures::poll!(&mut waiting).is_pending());
        client.info().await.unwrap();
        assert!(futures::poll!(&mut waiting).is_pending(), "there is no tip yet");
        held.release();
        assert_eq!(hash_of(waiting.await.unwrap()), Some(server.tip()));
    });
}

/// A disconnected client reconnects, as it would a moment later.
#[test]
fn a_stopping_server_returns_the_tip_or_disconnects() {
    for _round in 0..4 {
        let mut server = TestServer::with_blocks(2);
        run(async {
            let client = Client::connect(&server.socket()).await;
            let known = server.tip().to_byte_array();
            let mut waiting: Vec<_> = (0..8).map(|_| Box::pin(wait(&client, &known, LONG))).collect();
            for call in &mut waiting {
                assert!(futures::poll!(call).is_pending());
            }
            let _stopping = server.tell_to_stop();
            loop {
                match wait(&client, &known, 0).await {
                    Ok(tip) => assert_eq!(hash_of(tip), Some(server.tip())),
                    Err(error) => {
                        assert_eq!(error.kind, ErrorKind::Disconnected, "{error}");
                        break;
                    }
                }
            }
            for call in waiting {
                match call.await {
                    Ok(tip) => assert_eq!(hash_of(tip), Some(server.tip())),
                    Err(error) => assert_eq!(error.kind, ErrorKind::Disconnected, "{error}"),
                }
            }
        });
    }
}

#[test]
fn a_missing_directory_ends_no_wait() {
    let mut server = TestServer::with_blocks(2);
    run(async {
        let client = Client::connect(&server.socket()).await;
        let known = server.tip().to_byte_array();
        assert_eq!(hash_of(wait(&client, &known, 0).await.unwrap()), Some(server.tip()));
        server.take_away();
        assert_eq!(hash_of(wait(&client, &known, 0).await.unwrap()), Some(server.tip()), "the last known tip");
        let waiting = wait(&client, &known, LONG);
        let returning = async {
            client.info().await.unwrap();
            server.bring_back();
            server.mine(0);
        };
        let (tip, ()) = tokio::join!(waiting, returning);
        assert_eq!(hash_of(tip.unwrap()), Some(server.tip()));
    });
}

#[test]
fn a_malformed_known_tip_is_an_exception() {
    let server = TestServer::with_blocks(1);
    run(async {
        let client = Client::connect(&server.socket()).await;
        for known in [&[1][..], &[0; 31], &[0; 33]] {
            let error = wait(&client, known, LONG).await.unwrap_err();
            assert!(error.extra.contains("known"), "{error}");
        }
        client.info().await.unwrap();
    });
}

#[test]
fn calls_that_wait_for_a_tip_are_bounded_and_a_dropped_call_releases_its_permit() {
    let mut server = TestServer::new();
    server.mine(0);
    server.start(SessionLimits { calls_waiting_max: 2, ..SessionLimits::default() });
    run(async {
        let client = Client::connect(&server.socket()).await;
        let known = server.tip().to_byte_array();
        let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(wait(&client, &known, LONG))).collect();
        for call in &mut waiting {
            assert!(futures::poll!(call).is_pending());
        }
        let error = wait(&client, &known, LONG).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Overloaded);
        waiting.pop();
        // The server notices the drop some time later.
        while wait(&client, &known, 0).await.is_err() {}
    });
}
