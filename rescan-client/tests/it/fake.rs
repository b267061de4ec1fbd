//! A server that does what a test tells it to, right or wrong, on a thread of its own.

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use capnp::message::ReaderOptions;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use capnp_rpc::{RpcSystem, new_client};
use rescan_client::bitcoin::{BlockHash, Network, OutPoint, hashes::Hash};
use rescan_client::coins::Coin;
use rescan_client::position::Height;
use rescan_client::report::{BlockId, BlockReport, Ending, FullBlock, Mark, Phase, Progress, Refusal};
use rescan_client::server_info::{
    ChainInfo, ChainSource, ChainState, Feature, Figures, Limits, NodeLink, ReadingProgress, ServerInfo,
};
use rescan_core::block_match::BlockMatch;
use rescan_core::request::{GivenKeychain, GivenOutpoint, ScanRequest};
use rescan_core::rescan_capnp::{block_sink, report_sink, rescan, scan, scan_result, server_info, watch_set};
use rescan_core::wire;
use tokio::io::{BufReader, BufWriter};
use tokio::sync::{Notify, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

/// What a scan does, step by step.
pub(crate) enum Step {
    Reports(Vec<BlockReport>),
    Coins(Vec<Coin>),
    Settled(Mark),
    Blocks(Vec<FullBlock>),
    End(Ending),
    /// Ends with a message as it lies in memory, whatever it says.
    EndRaw(Vec<u8>),
    UntilCancelled,
    /// Tells the test that it came here.
    Reached,
    /// Lets go of the sink.
    LetGo,
    /// Closes the connection.
    HangUp,
    /// Writes bytes that are no message between messages.
    Garbage,
}

/// A call about a single block: its height, hash, scripts and outpoints.
pub(crate) type Matched = (u32, Vec<u8>, Vec<Vec<u8>>, Vec<OutPoint>);

/// What the server was told.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) keychains: Vec<GivenKeychain>,
    pub(crate) scripts: Vec<Vec<u8>>,
    pub(crate) outpoints: Vec<GivenOutpoint>,
    pub(crate) uploads: usize,
    pub(crate) request: Option<ScanRequest>,
    pub(crate) located: Vec<BlockHash>,
    /// The last call about a single block.
    pub(crate) matched: Option<Matched>,
    /// Batches that found room.
    pub(crate) pushed: usize,
}

pub(crate) struct Fake {
    pub(crate) seen: Arc<Mutex<Seen>>,
    /// Resolves when the client lets go of the scan.
    pub(crate) scan_dropped: oneshot::Receiver<()>,
    /// Resolves when a scan is asked for.
    pub(crate) scan_begun: oneshot::Receiver<()>,
    /// Resolves at [`Step::Reached`].
    pub(crate) reached: oneshot::Receiver<()>,
    pub(crate) thread: JoinHandle<()>,
}

/// How a watch set is sealed.
#[derive(Clone, Debug)]
pub(crate) enum Seal {
    Done,
    Refused(Refusal),
    /// Deriving goes on for ever.
    Never,
}

pub(crate) struct Script {
    /// The server's description as a message, so that it can say what this version cannot.
    pub(crate) info: Vec<u8>,
    pub(crate) seal: Seal,
    pub(crate) steps: Vec<Step>,
    /// What it says of every single block; nothing for ever where none.
    pub(crate) block_match: Option<BlockMatch>,
}

impl Script {
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        Self { info: flat_info(&info()), seal: Seal::Done, steps, block_match: None }
    }
}

pub(crate) fn info() -> ServerInfo {
    ServerInfo {
        protocol_version: 1,
        software: "fake 1".to_owned(),
        network: Network::Regtest,
        features: vec![Feature::Scan, Feature::Blocks, Feature::Birthday],
        chain: ChainInfo {
            genesis: BlockHash::all_zeros(),
            state: ChainState::Ready,
            tip: None,
            lowest_height: Height(0),
            source: ChainSource::Files,
            reading: ReadingProgress::default(),
        },
        limits: Limits {
            message_bytes_max: 1 << 23,
            connections_max: 1,
            scans_per_connection_max: 1,
            watch_sets_per_connection_max: 1,
            scripts_per_watch_set_max: 1,
            outpoints_per_watch_set_max: 1,
            entry_bytes_per_watch_set_max: 1,
            watched_per_connection_max: 1,
            watched_pool: 1,
            scans_max: 1,
            calls_open_max: 1,
            calls_waiting_max: 1,
            capabilities_max: 1,
            unanswered_bytes_max: 1,
            unanswered_bytes_pool: 1,
            stalled_after_millis: 1,
            unread_after_millis: 1,
            message_after_millis: 1,
        },
        node: NodeLink::default(),
        figures: Figures::default(),
    }
}

pub(crate) fn flat_info(info: &ServerInfo) -> Vec<u8> {
    let mut message = capnp::message::Builder::new_default();
    wire::write_server_info(info, message.init_root()).unwrap();
    capnp::serialize::write_message_to_words(&message)
}

pub(crate) fn flat_ending(ending: &Ending) -> Vec<u8> {
    let mut message = capnp::message::Builder::new_default();
    wire::write_ending(ending, message.init_root()).unwrap();
    capnp::serialize::write_message_to_words(&message)
}

/// The id that the fake gives the block at a height; those of 1,000 and above are outside its chain.
pub(crate) fn block_id(height: Height) -> Option<BlockId> {
    (height.0 < 1_000).then(|| BlockId { height, hash: BlockHash::from_byte_array([7; 32]), time: height.0 + 5 })
}

/// Starts the server; the socket is the client's end.
pub(crate) fn serve(script: Script) -> (Fake, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (start(script, move || ours), theirs)
}

/// Starts the server at a path, for one client.
pub(crate) fn serve_at(path: &Path, script: Script) -> Fake {
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

/// What the test waits for.
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
pub(crate) fn speak(socket: UnixStream, bootstrap: capnp::capability::Client) -> RpcSystem<Side> {
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

struct FakeServer {
    script: RefCell<Option<Vec<Step>>>,
    info: Vec<u8>,
    seal: Seal,
    block_match: Option<BlockMatch>,
    seen: Arc<Mutex<Seen>>,
    cues: RefCell<Cues>,
    raw: Rc<UnixStream>,
    hang_up: Rc<Notify>,
}

impl FakeServer {
    /// Plays the script into a sink, and gives the capability of that scan.
    fn play(&self, sink: Sink) -> scan::Client {
        let cancelled = Rc::new(Notify::new());
        let steps = self.script.borrow_mut().take().expect("one scan a script");
        let mut cues = self.cues.borrow_mut();
        cues.begin.take().expect("one scan a script").send(()).ok();
        let stage = Stage {
            reach: RefCell::new(cues.reach.take()),
            seen: Arc::clone(&self.seen),
            cancelled: Rc::clone(&cancelled),
            raw: Rc::clone(&self.raw),
            hang_up: Rc::clone(&self.hang_up),
        };
        spawn_local(stage.play(steps, sink));
        new_client(FakeScan { cancelled, _dropped: cues.dropped.take() })
    }
}

fn read<T: capnp::traits::Owned>(flat: &[u8], see: impl FnOnce(T::Reader<'_>)) {
    let message = capnp::serialize::read_message_from_flat_slice(&mut &*flat, ReaderOptions::new()).unwrap();
    see(message.get_root().unwrap());
}

type Rpc = Result<(), capnp::Error>;

impl rescan::Server for FakeServer {
    async fn info(self: Rc<Self>, _: rescan::InfoParams, mut results: rescan::InfoResults) -> Rpc {
        read::<server_info::Owned>(&self.info, |info| results.get().set_info(info).unwrap());
        Ok(())
    }

    async fn new_watch_set(
        self: Rc<Self>,
        _: rescan::NewWatchSetParams,
        mut results: rescan::NewWatchSetResults,
    ) -> Rpc {
        let set = FakeWatchSet { seen: Arc::clone(&self.seen), seal: self.seal.clone() };
        results.get().set_watch_set(new_client(set));
        Ok(())
    }

    async fn scan(self: Rc<Self>, params: rescan::ScanParams, mut results: rescan::ScanResults) -> Rpc {
        let params = params.get()?;
        self.seen.lock().unwrap().request = Some(wire::read_scan_request(params.get_request()?).unwrap());
        results.get().set_scan(self.play(Sink::Reports(params.get_sink()?)));
        Ok(())
    }

    /// Its chain has the blocks whose hash begins with a 7, all at that height.
    async fn locate(self: Rc<Self>, params: rescan::LocateParams, mut results: rescan::LocateResults) -> Rpc {
        let hashes = wire::read_hashes("hashes", params.get()?.get_hashes()?).unwrap();
        if let Some(&hash) = hashes.iter().find(|hash| hash.to_byte_array()[0] == 7) {
            wire::write_block_id(&BlockId { height: Height(7), hash, time: 70 }, results.get().init_found());
        }
        self.seen.lock().unwrap().located = hashes;
        Ok(())
    }

    async fn match_block(
        self: Rc<Self>,
        params: rescan::MatchBlockParams,
        mut results: rescan::MatchBlockResults,
    ) -> Rpc {
        let params = params.get()?;
        let scripts = params.get_scripts()?.iter().map(|script| script.unwrap().to_vec()).collect();
        let outpoints = wire::read_outpoints(params.get_outpoints()?).map(Result::unwrap).collect();
        let asked = (params.get_height(), params.get_hash()?.to_vec(), scripts, outpoints);
        self.seen.lock().unwrap().matched = Some(asked);
        match &self.block_match {
            Some(found) => wire::write_block_match(found, results.get().init_result()).unwrap(),
            None => {
                let dropped = self.cues.borrow_mut().dropped.take();
                self.cues.borrow_mut().begin.take().unwrap().send(()).ok();
                std::future::pending::<()>().await;
                drop(dropped);
            }
        }
        Ok(())
    }

    async fn blocks(self: Rc<Self>, params: rescan::BlocksParams, mut results: rescan::BlocksResults) -> Rpc {
        results.get().set_scan(self.play(Sink::Blocks(params.get()?.get_sink()?)));
        Ok(())
    }
}

struct FakeWatchSet {
    seen: Arc<Mutex<Seen>>,
    seal: Seal,
}

impl watch_set::Server for FakeWatchSet {
    async fn add_keychains(self: Rc<Self>, params: watch_set::AddKeychainsParams) -> Rpc {
        let mut seen = self.seen.lock().unwrap();
        seen.uploads += 1;
        for keychain in params.get()?.get_keychains()? {
            seen.keychains.push(wire::read_given_keychain(keychain).unwrap());
        }
        Ok(())
    }

    async fn add_scripts(self: Rc<Self>, params: watch_set::AddScriptsParams) -> Rpc {
        let mut seen = self.seen.lock().unwrap();
        seen.uploads += 1;
        for script in params.get()?.get_scripts()? {
            seen.scripts.push(script?.to_vec());
        }
        Ok(())
    }

    async fn add_outpoints(self: Rc<Self>, params: watch_set::AddOutpointsParams) -> Rpc {
        let mut seen = self.seen.lock().unwrap();
        seen.uploads += 1;
        for outpoint in params.get()?.get_outpoints()? {
            seen.outpoints.push(wire::read_given_outpoint(outpoint).unwrap());
        }
        Ok(())
    }

    async fn seal(self: Rc<Self>, _: watch_set::SealParams, mut results: watch_set::SealResults) -> Rpc {
        let result = results.get().init_result();
        match &self.seal {
            Seal::Refused(refusal) => wire::write_refusal(refusal, result.init_refused()).unwrap(),
            Seal::Done => drop(result.init_sealed()),
            Seal::Never => std::future::pending().await,
        }
        Ok(())
    }
}

struct FakeScan {
    cancelled: Rc<Notify>,
    _dropped: Option<oneshot::Sender<()>>,
}

impl scan::Server for FakeScan {
    async fn progress(self: Rc<Self>, _: scan::ProgressParams, mut results: scan::ProgressResults) -> Rpc {
        wire::write_progress(&progress(), results.get().init_progress()).unwrap();
        Ok(())
    }

    async fn cancel(self: Rc<Self>, _: scan::CancelParams, _: scan::CancelResults) -> Rpc {
        self.cancelled.notify_one();
        Ok(())
    }

    async fn block_ids(self: Rc<Self>, params: scan::BlockIdsParams, mut results: scan::BlockIdsResults) -> Rpc {
        let heights = params.get()?.get_heights()?;
        let mut ids = results.get().init_ids(heights.len());
        for (index, height) in (0..).zip(heights) {
            if let Some(id) = block_id(Height(height)) {
                wire::write_block_id(&id, ids.reborrow().get(index));
            }
        }
        Ok(())
    }
}

pub(crate) fn progress() -> Progress {
    Progress {
        phase: Phase::Walking,
        blocks_done: 1,
        blocks_total: 2,
        bytes_done: 3,
        bytes_total: 4,
        elapsed_micros: 5,
    }
}

enum Sink {
    Reports(report_sink::Client),
    Blocks(block_sink::Client),
}

impl Sink {
    async fn end(&self, fill: impl FnOnce(scan_result::Builder<'_>)) -> Rpc {
        match self {
            Self::Reports(sink) => {
                let mut done = sink.done_request();
                fill(done.get().init_result());
                done.send().promise.await.map(drop)
            }
            Self::Blocks(sink) => {
                let mut done = sink.done_request();
                fill(done.get().init_result());
                done.send().promise.await.map(drop)
            }
        }
    }
}

struct Stage {
    reach: RefCell<Option<oneshot::Sender<()>>>,
    seen: Arc<Mutex<Seen>>,
    cancelled: Rc<Notify>,
    raw: Rc<UnixStream>,
    hang_up: Rc<Notify>,
}

impl Stage {
    async fn play(self, steps: Vec<Step>, sink: Sink) {
        for step in steps {
            if self.step(step, &sink).await.is_err() {
                // The client has let go of the scan.
                return;
            }
        }
    }

    async fn step(&self, step: Step, sink: &Sink) -> Rpc {
        match (step, sink) {
            (Step::Reports(reports), Sink::Reports(sink)) => {
                let mut push = sink.reports_request();
                let mut batch = push.get().init_batch(reports.len().try_into().unwrap());
                for (index, report) in (0..).zip(&reports) {
                    wire::write_report(report, batch.reborrow().get(index)).unwrap();
                }
                push.send().await?;
                self.seen.lock().unwrap().pushed += 1;
            }
            (Step::Coins(coins), Sink::Reports(sink)) => {
                let mut push = sink.coins_request();
                let mut batch = push.get().init_batch(coins.len().try_into().unwrap());
                for (index, coin) in (0..).zip(&coins) {
                    wire::write_coin(coin, batch.reborrow().get(index)).unwrap();
                }
                push.send().await?;
                self.seen.lock().unwrap().pushed += 1;
            }
            (Step::Settled(mark), Sink::Reports(sink)) => {
                let mut push = sink.settled_request();
                wire::write_mark(&mark, push.get().init_mark()).unwrap();
                push.send().await?;
            }
            (Step::Blocks(blocks), Sink::Blocks(sink)) => {
                let mut push = sink.blocks_request();
                let mut batch = push.get().init_batch(blocks.len().try_into().unwrap());
                for (index, block) in (0..).zip(&blocks) {
                    wire::write_full_block(block, batch.reborrow().get(index)).unwrap();
                }
                push.send().await?;
            }
            (Step::Reports(_) | Step::Coins(_) | Step::Settled(_) | Step::Blocks(_), _) => {
                panic!("this is not what the sink takes")
            }
            (Step::End(ending), _) => sink.end(|result| wire::write_ending(&ending, result).unwrap()).await?,
            (Step::EndRaw(flat), Sink::Reports(sink)) => {
                let mut done = sink.done_request();
                read::<scan_result::Owned>(&flat, |result| done.get().set_result(result).unwrap());
                done.send().promise.await.map(drop)?;
            }
            (Step::EndRaw(_), Sink::Blocks(_)) => panic!("nothing asks for this"),
            (Step::UntilCancelled, _) => self.cancelled.notified().await,
            (Step::Reached, _) => {
                self.reach.borrow_mut().take().expect("reached once").send(()).ok();
            }
            // The script ends here, and with it the sink goes.
            (Step::LetGo, _) => return Err(capnp::Error::failed("let go".to_owned())),
            (Step::HangUp, _) => self.hang_up.notify_one(),
            (Step::Garbage, _) => (&*self.raw).write_all(&[0xff; 64]).unwrap(),
        }
        Ok(())
    }
}
