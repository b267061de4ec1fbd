//! Who is at the other end: a newer server, or something else altogether.

use std::io::Write;
use std::os::unix::net::UnixStream;

use rescan_client::server_info::Feature;
use rescan_client::{Client, ConnectError};
use rescan_core::rescan_capnp::watch_set;

use super::connected;
use rescan_tests::fake::{self, Script, serve};

#[tokio::test]
async fn what_a_newer_server_can_do_beyond_this_version_is_unknown_and_no_error() {
    let mut script = Script::new(vec![]);
    // The list of features as it lies in the message: three numbers of 16 bits, padded to a word.
    let at = script.info.windows(8).position(|word| word == [0, 0, 1, 0, 2, 0, 0, 0]).unwrap();
    script.info[at + 3] = 0x7f;
    let (_fake, client) = connected(script).await;
    assert_eq!(client.server_info().features, [Feature::Scan, Feature::Unknown, Feature::Birthday]);
}

#[tokio::test]
async fn a_server_of_a_newer_protocol_is_not_talked_to() {
    let mut newer = fake::info();
    newer.protocol_version = 2;
    let (_fake, socket) = serve(Script { info: fake::flat_info(&newer), ..Script::new(vec![]) });
    let error = Client::from_stream(socket).await.unwrap_err();
    assert!(matches!(error, ConnectError::NewerProtocol { found: 2, known: 1 }), "{error}");
}

#[tokio::test]
async fn a_peer_that_speaks_no_capn_proto_is_told_apart() {
    let (mut peer, socket) = UnixStream::pair().unwrap();
    peer.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: keep-alive\r\n\r\n").unwrap();
    let error = Client::from_stream(socket).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotCapnProto { .. }), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_hangs_up_at_once_is_told_apart() {
    let (peer, socket) = UnixStream::pair().unwrap();
    drop(peer);
    let error = Client::from_stream(socket).await.unwrap_err();
    assert!(matches!(error, ConnectError::HungUp), "{error:?}");
}

#[tokio::test]
async fn a_capn_proto_server_of_another_kind_is_told_apart() {
    struct Other;
    impl watch_set::Server for Other {}
    let (peer, socket) = UnixStream::pair().unwrap();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let other: watch_set::Client = capnp_rpc::new_client(Other);
        tokio::task::LocalSet::new().block_on(&runtime, async { fake::speak(peer, other.client).await }).unwrap();
    });
    let error = Client::from_stream(socket).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotRescan { .. }), "{error:?}");
    thread.join().unwrap();
}
