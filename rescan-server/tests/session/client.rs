//! A minimal client: generated code, no checks, and sinks under the control of the test.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, twoparty};
use futures::io::{BufReader, BufWriter};
use rescan_core::position::Height;
use rescan_core::report::{BlockReport, Ending, FullBlock, Refusal, Summary};
use rescan_core::request::{RangeEnd, RangeRequest, RangeStart, ScanOptions, Verify, WatchSetSize};
use rescan_core::rescan_capnp::{block_sink, report_sink, rescan, scan, watch_set};
use rescan_core::wire;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

/// Long enough for a machine under load, short enough for a test that hangs.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Runs the client's part of a test, with a time limit.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(LocalSet::new().run_until(async { tokio::time::timeout(PATIENCE, test).await }));
    done.expect("the test exceeds its time limit");
}

/// A connection and its bootstrap object.
pub(crate) struct Client {
    pub(crate) rescan: rescan::Client,
    connection: tokio::task::JoinHandle<capnp::Result<()>>,
}

impl Client {
    pub(crate) async fn connect(socket: &Path) -> Self {
        let (reader, writer) = UnixStream::connect(socket).await.unwrap().into_split();
        let network = twoparty::VatNetwork::new(
            BufReader::new(reader.compat()),
            BufWriter::new(writer.compat_write()),
            Side::Client,
            Default::default(),
        );
        let mut system = RpcSystem::new(Box::new(network), None);
        let rescan = system.bootstrap(Side::Server);
        Self { rescan, connection: tokio::task::spawn_local(system) }
    }

    /// Disconnects at once, as a killed process does.
    pub(crate) fn vanish(self) {
        self.connection.abort();
    }

    pub(crate) async fn info(&self) -> capnp::Result<rescan_core::server_info::ServerInfo> {
        let response = self.rescan.info_request().send().promise.await?;
        Ok(wire::read_server_info(response.get()?.get_info()?).unwrap())
    }

    pub(crate) async fn watch_set(&self) -> capnp::Result<watch_set::Client> {
        self.rescan.new_watch_set_request().send().promise.await?.get()?.get_watch_set()
    }

    /// A sealed watch set of these scripts.
    pub(crate) async fn watching(&self, scripts: &[&[u8]]) -> watch_set::Client {
        let watch_set = self.watch_set().await.unwrap();
        add_scripts(&watch_set, scripts).await;
        seal(&watch_set).await.unwrap();
        watch_set
    }

    pub(crate) fn scan(&self, watch_set: &watch_set::Client, range: RangeRequest, sink: &Sink) -> scan::Client {
        let mut request = self.rescan.scan_request();
        request.get().set_watch_set(watch_set.clone());
        wire::write_scan_request(&ScanOptions::history(range, Verify::Reported), request.get().init_request()).unwrap();
        request.get().set_sink(capnp_rpc::new_client(sink.clone()));
        request.send().pipeline.get_scan()
    }

    pub(crate) fn blocks(&self, range: &RangeRequest, sink: &Sink) -> scan::Client {
        let mut request = self.rescan.blocks_request();
        wire::write_range(range, request.get().init_range()).unwrap();
        request.get().set_sink(capnp_rpc::new_client(sink.clone()));
        request.send().pipeline.get_scan()
    }
}

pub(crate) async fn add_scripts(watch_set: &watch_set::Client, scripts: &[&[u8]]) {
    let mut request = watch_set.add_scripts_request();
    let mut list = request.get().init_scripts(u32::try_from(scripts.len()).unwrap());
    for (index, script) in (0..).zip(scripts) {
        list.set(index, script);
    }
    request.send().await.unwrap();
}

pub(crate) async fn add_keychain(watch_set: &watch_set::Client, descriptor: &str) {
    let mut request = watch_set.add_keychains_request();
    request.get().init_keychains(1).get(0).set_descriptor(descriptor);
    request.send().await.unwrap();
}

/// Adds a keychain with a gap limit.
pub(crate) async fn add_keychain_within(watch_set: &watch_set::Client, descriptor: &str, gap_limit: u32) {
    let mut request = watch_set.add_keychains_request();
    let mut keychain = request.get().init_keychains(1).get(0);
    keychain.set_descriptor(descriptor);
    keychain.set_gap_limit(gap_limit);
    request.send().await.unwrap();
}

/// Adds an outpoint with a txid of this many bytes.
pub(crate) async fn add_outpoint(watch_set: &watch_set::Client, txid_bytes: usize) {
    let mut request = watch_set.add_outpoints_request();
    request.get().init_outpoints(1).get(0).init_outpoint().set_txid(&vec![5; txid_bytes]);
    request.send().await.unwrap();
}

pub(crate) async fn seal(watch_set: &watch_set::Client) -> Result<WatchSetSize, Refusal> {
    use rescan_core::rescan_capnp::seal_result;
    let response = watch_set.seal_request().send().promise.await.unwrap();
    match response.get().unwrap().get_result().unwrap().which().unwrap() {
        seal_result::Sealed(size) => Ok(wire::read_watch_set_size(size.unwrap())),
        seal_result::Refused(refusal) => Err(wire::read_refusal(refusal.unwrap()).unwrap()),
    }
}

pub(crate) async fn progress(scan: &scan::Client) -> rescan_core::report::Progress {
    let response = scan.progress_request().send().promise.await.unwrap();
    wire::read_progress(response.get().unwrap().get_progress().unwrap())
}

/// The progress of a watch set's derivation.
pub(crate) async fn derivation(watch_set: &watch_set::Client) -> rescan_core::report::Progress {
    let response = watch_set.progress_request().send().promise.await.unwrap();
    wire::read_progress(response.get().unwrap().get_progress().unwrap())
}

pub(crate) fn whole() -> RangeRequest {
    from_to(0, None)
}

pub(crate) fn from_to(from: u32, to: Option<u32>) -> RangeRequest {
    RangeRequest {
        from: RangeStart::Height(Height(from)),
        to: to.map_or(RangeEnd::Tip, |to| RangeEnd::Height(Height(to))),
    }
}

/// A sink that collects items, and takes nothing while it is held.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) collected: Rc<RefCell<Collected>>,
    held: watch::Sender<bool>,
    /// The number of arrived batches.
    arrived: watch::Sender<usize>,
    ended: watch::Sender<Option<Ending>>,
}

/// The items of a sink.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) reports: Vec<BlockReport>,
    pub(crate) blocks: Vec<FullBlock>,
    /// The number of items of each batch.
    pub(crate) batches: Vec<usize>,
    /// The number of endings.
    pub(crate) endings: usize,
}

impl Sink {
    pub(crate) fn new() -> Self {
        Self {
            collected: Rc::default(),
            held: watch::Sender::new(false),
            arrived: watch::Sender::new(0),
            ended: watch::Sender::new(None),
        }
    }

    /// A sink that takes nothing until it is released.
    pub(crate) fn held() -> Self {
        let sink = Self::new();
        sink.held.send_replace(true);
        sink
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    pub(crate) async fn arrived(&self, batches: usize) {
        self.arrived.subscribe().wait_for(|arrived| *arrived >= batches).await.unwrap();
    }

    pub(crate) async fn ending(&self) -> Ending {
        let mut ended = self.ended.subscribe();
        let ending = ended.wait_for(Option::is_some).await.unwrap().clone();
        ending.unwrap()
    }

    pub(crate) async fn summary(&self) -> Summary {
        match self.ending().await {
            Ending::Summary(summary) => summary,
            other => panic!("expected a summary, found {other:?}"),
        }
    }

    pub(crate) async fn refusal(&self) -> Refusal {
        match self.ending().await {
            Ending::Refused(refusal) => refusal,
            other => panic!("expected a refusal, found {other:?}"),
        }
    }

    async fn take(&self, batch: usize) {
        self.arrived.send_modify(|arrived| *arrived += 1);
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        self.collected.borrow_mut().batches.push(batch);
    }

    fn end(&self, result: rescan_core::rescan_capnp::scan_result::Reader<'_>) {
        self.collected.borrow_mut().endings += 1;
        self.ended.send_replace(Some(wire::read_ending(result).unwrap()));
    }
}

impl report_sink::Server for Sink {
    async fn reports(self: Rc<Self>, params: report_sink::ReportsParams) -> capnp::Result<()> {
        let reports = wire::read_reports(params.get()?.get_batch()?).unwrap();
        self.take(reports.len()).await;
        self.collected.borrow_mut().reports.extend(reports);
        Ok(())
    }

    async fn done(
        self: Rc<Self>,
        params: report_sink::DoneParams,
        _results: report_sink::DoneResults,
    ) -> capnp::Result<()> {
        self.end(params.get()?.get_result()?);
        Ok(())
    }
}

impl block_sink::Server for Sink {
    async fn blocks(self: Rc<Self>, params: block_sink::BlocksParams) -> capnp::Result<()> {
        let blocks = wire::read_blocks(params.get()?.get_batch()?).unwrap();
        self.take(blocks.len()).await;
        self.collected.borrow_mut().blocks.extend(blocks);
        Ok(())
    }

    async fn done(
        self: Rc<Self>,
        params: block_sink::DoneParams,
        _results: block_sink::DoneResults,
    ) -> capnp::Result<()> {
        self.end(params.get()?.get_result()?);
        Ok(())
    }
}
