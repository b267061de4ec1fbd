//! A server that follows a test's script, right or wrong, on a dedicated thread.

mod answers;
mod objects;
mod stage;

use std::cell::RefCell;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use capnp::message::ReaderOptions;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use capnp_rpc::{RpcSystem, new_client};
use rescan_client::bitcoin::{BlockHash, OutPoint};
use rescan_client::coins::Coin;
use rescan_client::report::{BlockReport, Ending, FullBlock, Progress, Refusal, ResumePoint};
use rescan_core::block_match::BlockMatch;
use rescan_core::request::{GivenKeychain, GivenOutpoint, ScanOptions};
use rescan_core::rescan_capnp::rescan;
use tokio::io::{BufReader, BufWriter};
use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

pub use self::answers::{block_id, complete, flat_ending, flat_info, info, progress, report, summary};
use self::objects::FakeServer;

/// The steps of a scan.
pub enum Step {
    Reports(Vec<BlockReport>),
    Coins(Vec<Coin>),
    Settled(ResumePoint),
    Blocks(Vec<FullBlock>),
    End(Ending),
    /// Ends with this message, unchecked.
    EndRaw(Vec<u8>),
    UntilCancelled,
    /// Tells the test that it came here.
    Reached,
    /// Drops the sink.
    LetGo,
    /// Closes the connection.
    HangUp,
    /// Writes bytes that are no message between messages.
    Garbage,
}

/// A call about a single block: its height, hash, scripts and outpoints.
pub type Matched = (u32, Vec<u8>, Vec<Vec<u8>>, Vec<OutPoint>);

/// The requests that the server received.
#[derive(Default)]
pub struct Seen {
    pub keychains: Vec<GivenKeychain>,
    pub scripts: Vec<Vec<u8>>,
    pub outpoints: Vec<GivenOutpoint>,
    pub uploads: usize,
    pub request: Option<ScanOptions>,
    pub located: Vec<BlockHash>,
    /// The last call about a single block.
    pub matched: Option<Matched>,
    /// Batches that found room.
    pub pushed: usize,
}

pub struct Fake {
    pub seen: Arc<Mutex<Seen>>,
    /// Resolves when the client drops the scan.
    pub scan_dropped: oneshot::Receiver<()>,
    /// Resolves when a scan is asked for.
    pub scan_begun: oneshot::Receiver<()>,
    /// Resolves at [`Step::Reached`].
    pub reached: oneshot::Receiver<()>,
    pub thread: JoinHandle<()>,
}

/// How a watch set is sealed.
#[derive(Clone, Debug)]
pub enum Seal {
    Done,
    Refused(Refusal),
    /// The derivation never ends.
    Never,
}

pub struct Script {
    /// The server's description as a message, which can contain values that this version cannot
    /// make.
    pub info: Vec<u8>,
    pub seal: Seal,
    /// The progress of the derivation; an older server does not know the call.
    pub derivation: Option<Progress>,
    pub steps: Vec<Step>,
    /// Its answer for every single block; without one it never answers.
    pub block_match: Option<BlockMatch>,
}

impl Script {
    pub fn new(steps: Vec<Step>) -> Self {
        Self { info: flat_info(&info()), seal: Seal::Done, derivation: None, steps, block_match: None }
    }
}

/// Starts the server; the socket is the client's end.
pub fn serve(script: Script) -> (Fake, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (start(script, move || ours), theirs)
}

/// Starts the server at a path, for one client.
pub fn serve_at(path: &Path, script: Script) -> Fake {
    let listener = UnixListener::bind(path).unwrap();
    start(script, move || listener.accept().unwrap().0)
}

fn start(script: Script, connect: impl FnOnce() -> UnixStream + Send + 'static) -> Fake {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (dropped, scan_dropped) = oneshot::channel();
    let (begin, scan_begun) = oneshot::channel();
    let (reach, reached) = oneshot::channel();
    let cues = Cues { dropped: Some(dropped), begin: Some(begin), reach: Some(reach) };
    let state = Arc::clone(&seen);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, live(connect(), script, state, cues));
    });
    Fake { seen, scan_dropped, scan_begun, reached, thread }
}

/// The event for which the test waits.
struct Cues {
    dropped: Option<oneshot::Sender<()>>,
    begin: Option<oneshot::Sender<()>>,
    reach: Option<oneshot::Sender<()>>,
}

async fn live(socket: UnixStream, script: Script, seen: Arc<Mutex<Seen>>, cues: Cues) {
    let raw = socket.try_clone().unwrap();
    let hang_up = Rc::new(Notify::new());
    let server = FakeServer {
        script: RefCell::new(Some(script.steps)),
        info: script.info,
        seal: script.seal,
        derivation: script.derivation,
        block_match: script.block_match,
        seen,
        cues: RefCell::new(cues),
        raw: Rc::new(raw),
        hang_up: Rc::clone(&hang_up),
    };
    let bootstrap: rescan::Client = new_client(server);
    let system = speak(socket, bootstrap.client);
    tokio::select! {
        _ended = system => {}
        () = hang_up.notified() => {}
    }
}

/// Serves any object on a socket.
pub fn speak(socket: UnixStream, bootstrap: capnp::capability::Client) -> RpcSystem<Side> {
    socket.set_nonblocking(true).unwrap();
    let (reader, writer) = tokio::net::UnixStream::from_std(socket).unwrap().into_split();
    let network = VatNetwork::new(
        BufReader::new(reader).compat(),
        BufWriter::new(writer).compat_write(),
        Side::Server,
        ReaderOptions::new(),
    );
    RpcSystem::new(Box::new(network), Some(bootstrap))
}

type Rpc = Result<(), capnp::Error>;

fn read<T: capnp::traits::Owned>(flat: &[u8], see: impl FnOnce(T::Reader<'_>)) {
    let message = capnp::serialize::read_message_from_flat_slice(&mut &*flat, ReaderOptions::new()).unwrap();
    see(message.get_root().unwrap());
}
