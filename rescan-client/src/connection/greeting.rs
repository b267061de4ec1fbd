//! The greeting: connects, starts Cap'n Proto on the socket, and asks the server for its information.
//!
//! The first call tells whether the peer is a rescan server at all; each other kind of peer has its error.

use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::time::Duration;

use capnp::message::ReaderOptions;
use capnp_rpc::RpcSystem;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use futures::io::{BufReader, BufWriter};
use rescan_core::rescan_capnp::rescan;
use rescan_core::server_info::{PROTOCOL_VERSION, ServerInfo};
use rescan_core::wire;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::socket;
use super::traffic::{Counting, TrafficCount};
use crate::error::{ConnectError, plain};

/// How long to wait for the system's own error after the first call has failed.
const SYSTEM_ERROR_MAX: Duration = Duration::from_millis(100);

/// How to reach the server.
pub(crate) enum Peer {
    At(PathBuf),
    Connected(StdUnixStream),
}

/// The server's answer, and its process where it is visible from here.
pub(super) struct Greeting {
    pub(super) server_info: ServerInfo,
    pub(super) listener: Option<u32>,
}

/// A connection whose peer is a rescan server.
pub(super) struct Greeted {
    pub(super) rescan: rescan::Client,
    pub(super) system: System,
    pub(super) greeting: Greeting,
}

/// The task that reads and writes the connection's messages.
pub(super) type System = JoinHandle<Result<(), capnp::Error>>;

pub(super) async fn greet(peer: Peer, timeout: Duration, traffic: &TrafficCount) -> Result<Greeted, ConnectError> {
    let stream = match peer {
        Peer::At(path) => socket::connect(&path).await?,
        Peer::Connected(stream) => from_std(stream).map_err(ConnectError::Thread)?,
    };
    let listener = socket::listener(&stream);
    let (rescan, mut system) = start(stream, traffic);
    match tokio::time::timeout(timeout, ask_info(&rescan)).await {
        Ok(Ok(server_info)) => Ok(Greeted { rescan, system, greeting: Greeting { server_info, listener } }),
        Ok(Err(refused)) => Err(explain(refused, &mut system).await),
        Err(_elapsed) => {
            system.abort();
            Err(ConnectError::NoAnswer { waited: timeout })
        }
    }
}

fn from_std(stream: StdUnixStream) -> std::io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

fn start(stream: UnixStream, traffic: &TrafficCount) -> (rescan::Client, System) {
    let (reader, writer) = stream.into_split();
    // Buffers of 8 KiB halve the system calls; larger ones only add copies. The counters sit below them, at the socket.
    let network = VatNetwork::new(
        BufReader::new(Counting::new(reader, traffic.received.clone())),
        BufWriter::new(Counting::new(writer, traffic.sent.clone())),
        Side::Client,
        ReaderOptions::new(),
    );
    let mut system = RpcSystem::new(Box::new(network), None);
    let rescan = system.bootstrap(Side::Server);
    (rescan, tokio::task::spawn_local(system))
}

/// Why the first call failed.
enum InfoError {
    NewerProtocol(u32),
    Unreadable(wire::WireError),
    Call(capnp::Error),
}

async fn ask_info(rescan: &rescan::Client) -> Result<ServerInfo, InfoError> {
    let response = rescan.info_request().send().promise.await.map_err(InfoError::Call)?;
    let info = response.get().and_then(rescan::info_results::Reader::get_info).map_err(InfoError::Call)?;
    // The version first: of a newer protocol nothing else may be read.
    let version = info.get_protocol_version();
    if version > PROTOCOL_VERSION {
        return Err(InfoError::NewerProtocol(version));
    }
    wire::read_server_info(info).map_err(InfoError::Unreadable)
}

async fn explain(error: InfoError, system: &mut System) -> ConnectError {
    match error {
        InfoError::NewerProtocol(found) => ConnectError::NewerProtocol { found, known: PROTOCOL_VERSION },
        InfoError::Unreadable(error) => ConnectError::NotRescan { detail: error.to_string() },
        InfoError::Call(error) => match ended(system).await {
            Some(Err(cause)) if cause.kind == capnp::ErrorKind::Overloaded => {
                ConnectError::Busy { detail: plain(&cause) }
            }
            Some(Err(cause)) => ConnectError::NotCapnProto { detail: cause.extra },
            Some(Ok(())) => ConnectError::HungUp,
            None => ConnectError::NotRescan { detail: plain(&error) },
        },
    }
}

/// The system's result, if its end is the reason why the call failed; none if it still runs after a moment.
async fn ended(system: &mut System) -> Option<Result<(), capnp::Error>> {
    match tokio::time::timeout(SYSTEM_ERROR_MAX, &mut *system).await {
        Ok(joined) => Some(joined.unwrap_or(Ok(()))),
        Err(_elapsed) => {
            system.abort();
            None
        }
    }
}
