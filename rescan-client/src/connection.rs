//! The thread on which a connection lives.
//!
//! Cap'n Proto's objects are neither `Send` nor `Sync`, so a connection has a thread of its own with a current-thread
//! runtime, and everyone else speaks to it through bounded channels. The thread ends when the last handle is dropped.
//!
//! It does not know what a scan is beyond starting its task.

use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::time::Duration;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use capnp::message::ReaderOptions;
use capnp_rpc::RpcSystem;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use rescan_core::block_match::MatchedBlock;
use rescan_core::report::BlockId;
use rescan_core::request::RangeRequest;
use rescan_core::rescan_capnp::rescan;
use rescan_core::server_info::{PROTOCOL_VERSION, ServerInfo};
use rescan_core::wire;
use tokio::io::{BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet, LocalSet};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use crate::block_match::{self, Question};
use crate::connect;
use crate::counting::{Counting, Traffic, TrafficCount};
use crate::error::{CallError, ConnectError, LOCATE_HASHES_MAX, ScanError};
use crate::request::ScanRequest;
use crate::scan_stream::{BlockEvent, Pipe, ScanEvent};
use crate::scan_task::{self, Gate, Order};

/// How long a peer may take to say who it is. A server answers while it still reads its chain, so seconds are ample even
/// on a machine that swaps; without a bound, a peer that says nothing would hang the wallet.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Commands on their way to the thread. It takes each at once; more would only wait elsewhere.
const COMMANDS_MAX: usize = 16;

/// How to reach the server.
pub(crate) enum Peer {
    At(PathBuf),
    Connected(StdUnixStream),
}

/// A handle on the thread.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    commands: mpsc::Sender<Command>,
    traffic: TrafficCount,
    /// The process that listens, where it is visible from here.
    peer: Option<u32>,
}

enum Command {
    Info(oneshot::Sender<Result<ServerInfo, CallError>>),
    Locate(Vec<BlockHash>, oneshot::Sender<Result<Option<BlockId>, CallError>>),
    Match(Question, oneshot::Sender<Result<MatchedBlock, ScanError>>),
    WaitTip(Option<BlockHash>, Duration, oneshot::Sender<Result<Option<BlockId>, CallError>>),
    Watch(Box<ScanRequest>, mpsc::Receiver<Order>),
    Scan(Box<ScanRequest>, Option<Gate>, Pipe<ScanEvent>),
    Blocks(RangeRequest, Pipe<BlockEvent>),
}

impl Connection {
    /// Starts the thread, connects, and asks the server who it is.
    pub(crate) async fn open(peer: Peer) -> Result<(Self, ServerInfo), ConnectError> {
        Self::open_within(peer, GREETING_TIMEOUT).await
    }

    async fn open_within(peer: Peer, patience: Duration) -> Result<(Self, ServerInfo), ConnectError> {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (greeted, greeting) = oneshot::channel();
        let traffic = TrafficCount::default();
        let count = traffic.clone();
        std::thread::Builder::new()
            .name("rescan-client".to_owned())
            .spawn(move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => LocalSet::new().block_on(&runtime, live(peer, patience, count, greeted, inbox)),
                // If nobody waits any more, nobody needs to know.
                Err(error) => drop(greeted.send(Err(ConnectError::Thread(error)))),
            })
            .map_err(ConnectError::Thread)?;
        let (info, peer) = greeting.await.unwrap_or(Err(ConnectError::HungUp))?;
        Ok((Self { commands, traffic, peer }, info))
    }

    pub(crate) async fn info(&self) -> Result<ServerInfo, CallError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Info(reply)).await?;
        answer.await.unwrap_or_else(|_| Err(thread_gone()))
    }

    pub(crate) async fn locate(&self, hashes: Vec<BlockHash>) -> Result<Option<BlockId>, CallError> {
        if hashes.len() > LOCATE_HASHES_MAX {
            return Err(CallError::TooManyHashes { found: hashes.len() });
        }
        let (reply, answer) = oneshot::channel();
        self.send(Command::Locate(hashes, reply)).await?;
        answer.await.unwrap_or_else(|_| Err(thread_gone()))
    }

    pub(crate) async fn match_block(&self, question: Question) -> Result<MatchedBlock, ScanError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Match(question, reply)).await?;
        answer.await.unwrap_or_else(|_| Err(thread_gone().into()))
    }

    pub(crate) async fn wait_tip(
        &self,
        known: Option<BlockHash>,
        timeout: Duration,
    ) -> Result<Option<BlockId>, CallError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::WaitTip(known, timeout, reply)).await?;
        answer.await.unwrap_or_else(|_| Err(thread_gone()))
    }

    pub(crate) async fn watch(&self, request: ScanRequest, orders: mpsc::Receiver<Order>) -> Result<(), CallError> {
        self.send(Command::Watch(Box::new(request), orders)).await
    }

    pub(crate) async fn scan(
        &self,
        request: ScanRequest,
        gate: Option<Gate>,
        pipe: Pipe<ScanEvent>,
    ) -> Result<(), CallError> {
        self.send(Command::Scan(Box::new(request), gate, pipe)).await
    }

    pub(crate) async fn blocks(&self, range: RangeRequest, pipe: Pipe<BlockEvent>) -> Result<(), CallError> {
        self.send(Command::Blocks(range, pipe)).await
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic.get()
    }

    pub(crate) fn peer(&self) -> Option<u32> {
        self.peer
    }

    async fn send(&self, command: Command) -> Result<(), CallError> {
        self.commands.send(command).await.map_err(|_command| thread_gone())
    }
}

pub(crate) fn thread_gone() -> CallError {
    CallError::Disconnected { reason: "its thread has ended".to_owned() }
}

/// The whole life of a connection.
async fn live(
    peer: Peer,
    patience: Duration,
    traffic: TrafficCount,
    greeted: oneshot::Sender<Result<(ServerInfo, Option<u32>), ConnectError>>,
    inbox: mpsc::Receiver<Command>,
) {
    match greet(peer, patience, traffic).await {
        Err(error) => drop(greeted.send(Err(error))),
        Ok((rescan, mut system, greeting)) => {
            if greeted.send(Ok(greeting)).is_ok() {
                tokio::select! {
                    () = obey(&rescan, inbox) => {}
                    () = gone(&mut system) => {}
                }
            }
            // Nobody holds anything of this connection any more.
            system.abort();
        }
    }
}

type System = JoinHandle<Result<(), capnp::Error>>;

async fn greet(
    peer: Peer,
    patience: Duration,
    traffic: TrafficCount,
) -> Result<(rescan::Client, System, (ServerInfo, Option<u32>)), ConnectError> {
    let stream = match peer {
        Peer::At(path) => connect::connect(&path).await?,
        Peer::Connected(stream) => adopt(stream).map_err(ConnectError::Thread)?,
    };
    let listener = connect::listener(&stream);
    let (rescan, mut system) = start(stream, &traffic);
    let asked = tokio::time::timeout(patience, ask_info(&rescan)).await;
    let refused = match asked {
        Ok(Ok(info)) => return Ok((rescan, system, (info, listener))),
        Ok(Err(refused)) => refused,
        Err(_elapsed) => {
            system.abort();
            return Err(ConnectError::NoAnswer { waited: patience });
        }
    };
    Err(match refused {
        Greeting::NewerProtocol(found) => ConnectError::NewerProtocol { found, known: PROTOCOL_VERSION },
        Greeting::Unreadable(error) => ConnectError::NotRescan { detail: error.to_string() },
        Greeting::Call(error) => match ended(&mut system).await {
            Some(Err(cause)) if cause.kind == capnp::ErrorKind::Overloaded => {
                ConnectError::Busy { detail: plain(&cause) }
            }
            Some(Err(cause)) => ConnectError::NotCapnProto { detail: cause.extra },
            Some(Ok(())) => ConnectError::HungUp,
            None => ConnectError::NotRescan { detail: plain(&error) },
        },
    })
}

fn adopt(stream: StdUnixStream) -> std::io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

fn start(stream: UnixStream, traffic: &TrafficCount) -> (rescan::Client, System) {
    let (reader, writer) = stream.into_split();
    // Buffers of 8 KiB halve the system calls; larger ones only add copies. The counters sit below them, at the socket.
    let network = VatNetwork::new(
        BufReader::new(Counting::new(reader, traffic.received.clone())).compat(),
        BufWriter::new(Counting::new(writer, traffic.sent.clone())).compat_write(),
        Side::Client,
        ReaderOptions::new(),
    );
    let mut system = RpcSystem::new(Box::new(network), None);
    let rescan = system.bootstrap(Side::Server);
    (rescan, tokio::task::spawn_local(system))
}

/// What is on its way when a connection ends should hear of that at once. A call that does not, as has been seen when a
/// server is killed, would keep its wallet waiting for ever: after this long, what still waits is let go of.
const HEARING_MAX: Duration = Duration::from_secs(1);

/// Resolves when the connection has ended, and who waits for an answer has had time to hear why.
async fn gone(system: &mut System) {
    drop(system.await);
    tokio::time::sleep(HEARING_MAX).await;
}

/// How the system ended, if the failed call was its end: a system that still runs is asked no longer than the moment in
/// which it would say so.
async fn ended(system: &mut System) -> Option<Result<(), capnp::Error>> {
    match tokio::time::timeout(Duration::from_millis(100), &mut *system).await {
        Ok(joined) => Some(joined.unwrap_or(Ok(()))),
        Err(_elapsed) => {
            system.abort();
            None
        }
    }
}

/// Why the first call did not give what it should.
enum Greeting {
    NewerProtocol(u32),
    Unreadable(wire::WireError),
    Call(capnp::Error),
}

async fn ask_info(rescan: &rescan::Client) -> Result<ServerInfo, Greeting> {
    let response = rescan.info_request().send().promise.await.map_err(Greeting::Call)?;
    let info = response.get().and_then(rescan::info_results::Reader::get_info).map_err(Greeting::Call)?;
    // The version first: of a newer protocol nothing else may be read.
    let version = info.get_protocol_version();
    if version > PROTOCOL_VERSION {
        return Err(Greeting::NewerProtocol(version));
    }
    wire::read_server_info(info).map_err(Greeting::Unreadable)
}

/// Does what the handles ask for, until there is none.
async fn obey(rescan: &rescan::Client, mut inbox: mpsc::Receiver<Command>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            command = inbox.recv() => match command {
                None => return,
                Some(Command::Info(reply)) => {
                    let rescan = rescan.clone();
                    // Whoever stopped waiting for the answer has no use for it.
                    tasks.spawn_local(async move { drop(reply.send(info(&rescan).await)) });
                }
                Some(Command::Locate(hashes, reply)) => {
                    let rescan = rescan.clone();
                    tasks.spawn_local(async move { drop(reply.send(locate(&rescan, &hashes).await)) });
                }
                Some(Command::Match(question, mut reply)) => {
                    let rescan = rescan.clone();
                    tasks.spawn_local(async move {
                        tokio::select! {
                            found = block_match::ask(&rescan, &question) => drop(reply.send(found)),
                            // Whoever gave up the call has the server give it up too.
                            () = reply.closed() => {}
                        }
                    });
                }
                Some(Command::WaitTip(known, timeout, mut reply)) => {
                    let rescan = rescan.clone();
                    tasks.spawn_local(async move {
                        tokio::select! {
                            tip = wait_tip(&rescan, known, timeout) => drop(reply.send(tip)),
                            () = reply.closed() => {}
                        }
                    });
                }
                Some(Command::Watch(request, orders)) => {
                    tasks.spawn_local(scan_task::watch(rescan.clone(), request, orders));
                }
                Some(Command::Scan(request, gate, pipe)) => {
                    tasks.spawn_local(scan_task::scan(rescan.clone(), request, gate, pipe));
                }
                Some(Command::Blocks(range, pipe)) => {
                    tasks.spawn_local(scan_task::blocks(rescan.clone(), range, pipe));
                }
            },
            Some(_finished) = tasks.join_next() => {}
        }
    }
}

pub(crate) async fn info(rescan: &rescan::Client) -> Result<ServerInfo, CallError> {
    let response = rescan.info_request().send().promise.await?;
    Ok(wire::read_server_info(response.get()?.get_info()?)?)
}

pub(crate) async fn locate(rescan: &rescan::Client, hashes: &[BlockHash]) -> Result<Option<BlockId>, CallError> {
    let mut call = rescan.locate_request();
    let length = u32::try_from(hashes.len()).map_err(|_too_many| CallError::TooManyHashes { found: hashes.len() })?;
    wire::write_hashes(hashes, call.get().init_hashes(length));
    let response = call.send().promise.await?;
    let found = wire::read_block_id(response.get()?.get_found()?)?;
    match found {
        Some(block) if !hashes.contains(&block.hash) => {
            Err(CallError::Protocol { detail: format!("located {}, which was not asked for", block.hash) })
        }
        found => Ok(found),
    }
}

async fn wait_tip(
    rescan: &rescan::Client,
    known: Option<BlockHash>,
    timeout: Duration,
) -> Result<Option<BlockId>, CallError> {
    let mut call = rescan.wait_tip_request();
    if let Some(known) = known {
        call.get().set_known(&known.to_byte_array());
    }
    // The server waits for a minute at most.
    call.get().set_timeout_millis(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
    let response = call.send().promise.await?;
    Ok(wire::read_block_id(response.get()?.get_tip()?)?)
}

impl From<capnp::Error> for CallError {
    fn from(error: capnp::Error) -> Self {
        let detail = plain(&error);
        match error.kind {
            // A server that is killed may leave half a message.
            capnp::ErrorKind::Disconnected | capnp::ErrorKind::PrematureEndOfFile => {
                Self::Disconnected { reason: detail }
            }
            capnp::ErrorKind::Overloaded => Self::Overloaded { detail },
            capnp::ErrorKind::Unimplemented => Self::Unsupported { detail },
            capnp::ErrorKind::Failed if error.extra.starts_with(REMOTE) => Self::Failed { detail },
            _ => Self::Protocol { detail },
        }
    }
}

impl From<wire::WireError> for CallError {
    fn from(error: wire::WireError) -> Self {
        Self::Protocol { detail: error.to_string() }
    }
}

/// What the transport puts before the words of a peer's exception.
const REMOTE: &str = "remote exception: ";

/// What an error says, without the transport's own words around it.
fn plain(error: &capnp::Error) -> String {
    let text = error.extra.trim_start_matches(REMOTE);
    match text {
        "" => format!("{:?}", error.kind),
        // The transport's words for it, whoever it was.
        "client requested disconnect" => "it hung up".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_message_is_a_connection_that_is_gone() {
        let ended = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let error = CallError::from(capnp::Error::from(ended));
        assert!(matches!(error, CallError::Disconnected { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_peer_that_says_nothing_is_given_up() {
        let (_silent, socket) = StdUnixStream::pair().expect("a pair of sockets");
        let patience = Duration::from_millis(20);
        let opened = Connection::open_within(Peer::Connected(socket), patience).await;
        assert!(matches!(opened, Err(ConnectError::NoAnswer { waited }) if waited == patience), "{opened:?}");
    }
}
