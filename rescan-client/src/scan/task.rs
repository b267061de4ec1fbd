//! The tasks on the connection's thread that hold capabilities: one for each watch set, one for each scan.
//!
//! A scan's task lives as long as the wallet's stream, past the summary too, since the scan still answers for the blocks of
//! its chain. The sink delivers everything but the end of a scan that failed before the server could report one.

use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use rescan_core::report::{Phase, Progress, Summary};
use rescan_core::request::{self, RangeRequest};
use rescan_core::rescan_capnp::{block_sink, report_sink, rescan, scan, watch_set};
use rescan_core::wire;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::answer_check::AnswerCheck;
use super::calls;
use super::handle::{Control, Reply};
use super::sink::{Preparation, Sink, SinkWatch};
use super::stream::{BlockEvent, Delivery, Pipe, ScanEvent};
use super::unstarted::UnstartedScan;
use super::upload;
use crate::error::{CallError, ScanError};
use crate::request::ScanRequest;

/// Questions that wait for the scan to start. More stay in their channel.
const WAITING_MAX: usize = 8;

/// The parts of a request that are not in its watch set, and the check of its answers.
#[derive(Clone, Debug)]
pub(super) struct ScanOptions {
    call: request::ScanOptions,
    check: AnswerCheck,
}

impl ScanOptions {
    pub(super) fn of(request: &ScanRequest) -> Self {
        Self { call: request.call(), check: AnswerCheck::of(request) }
    }

    pub(super) fn range(mut self, range: RangeRequest) -> Self {
        self.call.range = range;
        self
    }
}

/// A scan to be made of a watch set.
pub(super) struct Order {
    pub(super) options: ScanOptions,
    pub(super) pipe: Pipe<ScanEvent>,
    /// When the wallet began to wait for it.
    pub(super) ordered: Instant,
}

/// A request to the task of a watch set.
pub(super) enum Request {
    Scan(Order),
    Progress(Reply<Progress>),
}

/// The watch set on the server, as soon as there is one.
type Made = Rc<OnceCell<watch_set::Client>>;

/// A compiled watch set.
#[derive(Clone)]
struct Sealed {
    watch_set: watch_set::Client,
    /// How long the server took to derive it.
    seal: Duration,
}

/// Uploads a watch set, and runs the scans that are ordered of it.
pub(super) async fn watch(
    rescan: rescan::Client,
    request: ScanRequest,
    compiled: watch::Sender<Option<Result<(), ScanError>>>,
    mut requests: mpsc::Receiver<Request>,
) {
    let made = Made::default();
    let sealed = seal(rescan.clone(), request, Rc::clone(&made)).boxed_local().shared();
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            // Before the first order. Each scan returns the error too.
            result = sealed.clone(), if compiled.borrow().is_none() => {
                compiled.send_replace(Some(result.map(drop)));
            }
            request = requests.recv() => match request {
                Some(Request::Scan(order)) => {
                    let made = Rc::clone(&made);
                    tasks.spawn_local(run(rescan.clone(), order, made, sealed.clone()));
                }
                Some(Request::Progress(reply)) => {
                    let made = Rc::clone(&made);
                    tasks.spawn_local(async move { drop(reply.send(derivation(&made).await)) });
                }
                None => break,
            },
            Some(_finished) = tasks.join_next() => {}
        }
    }
    drop((sealed, made));
    while tasks.join_next().await.is_some() {}
}

async fn seal(rescan: rescan::Client, request: ScanRequest, made: Made) -> Result<Sealed, ScanError> {
    let watch_set = upload::create(&rescan).await?;
    let watch_set = made.get_or_init(|| watch_set).clone();
    upload::fill(&watch_set, &request).await?;
    drop(request);
    let uploaded = Instant::now();
    upload::seal(&watch_set).await?;
    Ok(Sealed { watch_set, seal: uploaded.elapsed() })
}

/// The progress of the derivation, also before there is a watch set.
async fn derivation(made: &OnceCell<watch_set::Client>) -> Result<Progress, CallError> {
    match made.get() {
        Some(watch_set) => calls::derivation(watch_set).await,
        None => Ok(Progress::at_start_of(Phase::Deriving)),
    }
}

/// Starts a scan once its watch set is sealed, and holds it.
async fn run(
    rescan: rescan::Client,
    order: Order,
    made: Made,
    sealed: impl Future<Output = Result<Sealed, ScanError>>,
) {
    let Order { options: ScanOptions { call: scan_request, check }, pipe, ordered } = order;
    let preparation = Rc::new(Cell::new(Preparation::default()));
    let (sink, sink_watch) = Sink::new(pipe.deliveries.clone(), check, Rc::clone(&preparation));
    let sink: report_sink::Client = capnp_rpc::new_client(sink);
    let unstarted = UnstartedScan { range: scan_request.range.clone(), keychains: check.keychains(), ordered };
    let unstarted = unstarted.summary(rescan.clone());
    let is_called = Rc::new(Cell::new(false));
    let called = Rc::clone(&is_called);
    let begin = async move {
        let Sealed { watch_set, seal } = sealed.await?;
        // A set that was sealed before the order took this scan no time.
        let all = ordered.elapsed();
        preparation.set(Preparation { all, seal: seal.min(all) });
        called.set(true);
        let mut call = rescan.scan_request();
        call.get().set_watch_set(watch_set);
        call.get().set_sink(sink);
        wire::write_scan_request(&scan_request, call.get().init_request()).map_err(CallError::from)?;
        let response = call.send().promise.await.map_err(CallError::from)?;
        Ok(response.get().and_then(rescan::scan_results::Reader::get_scan).map_err(CallError::from)?)
    };
    hold(begin, &is_called, made, unstarted, pipe, sink_watch).await;
}

/// Starts and holds a shipment of blocks.
pub(super) async fn blocks(rescan: rescan::Client, range: RangeRequest, pipe: Pipe<BlockEvent>) {
    let (sink, sink_watch) = Sink::new(pipe.deliveries.clone(), AnswerCheck::default(), Rc::default());
    let sink: block_sink::Client = capnp_rpc::new_client(sink);
    let unstarted = UnstartedScan { range: range.clone(), keychains: 0, ordered: Instant::now() };
    let unstarted = unstarted.summary(rescan.clone());
    let begin = async move {
        let mut call = rescan.blocks_request();
        call.get().set_sink(sink);
        wire::write_range(&range, call.get().init_range()).map_err(CallError::from)?;
        let response = call.send().promise.await.map_err(CallError::from)?;
        Ok(response.get().and_then(rescan::blocks_results::Reader::get_scan).map_err(CallError::from)?)
    };
    hold(begin, &Cell::new(true), Made::default(), unstarted, pipe, sink_watch).await;
}

/// Starts a scan and holds it until the stream is dropped. `unstarted` is its summary if it is cancelled before the server
/// `is_called`. `made` is the watch set that it waits for.
async fn hold<T>(
    begin: impl Future<Output = Result<scan::Client, ScanError>>,
    is_called: &Cell<bool>,
    made: Made,
    unstarted: impl Future<Output = Result<Summary, ScanError>>,
    pipe: Pipe<T>,
    mut sink: SinkWatch,
) {
    let Pipe { deliveries, mut controls, abandoned } = pipe;
    let life = async {
        let end = match start(begin, is_called, made, &mut controls).await {
            Err(error) => Some(Err(error)),
            Ok(Start::Cancelled) => Some(unstarted.await),
            Ok(Start::Started(scan)) => attend(&scan, &mut controls, &mut sink).await.map(Err),
        };
        if let Some(end) = end
            && !sink.has_ended()
        {
            // A dropped stream needs no end.
            drop(deliveries.send(Delivery::End(end)).await);
        }
    };
    tokio::select! {
        () = life => {}
        _dropped = abandoned => {}
    }
}

enum Start {
    Started(scan::Client),
    Cancelled,
}

/// Waits for the start. Meanwhile progress is that of the derivation. A cancellation ends it, and frees the server's side, as long as the
/// server was not called: from then on reports may be on their way. Other questions wait for the scan.
async fn start(
    begin: impl Future<Output = Result<scan::Client, ScanError>>,
    is_called: &Cell<bool>,
    made: Made,
    controls: &mut mpsc::Receiver<Control>,
) -> Result<Start, ScanError> {
    let mut waiting = Vec::new();
    let mut answers = FuturesUnordered::new();
    let mut begin = std::pin::pin!(begin);
    let scan = loop {
        tokio::select! {
            started = &mut begin => break started?,
            Some(()) = answers.next() => {}
            Some(control) = controls.recv(), if waiting.len() + answers.len() < WAITING_MAX => match control {
                Control::Progress(reply) => answers.push(tell_derivation(&made, reply)),
                Control::Cancel(reply) if !is_called.get() => {
                    drop(reply.send(Ok(())));
                    return Ok(Start::Cancelled);
                }
                other => waiting.push(other),
            },
        }
    };
    while answers.next().await.is_some() {}
    for control in waiting {
        calls::answer(&scan, control).await;
    }
    Ok(Start::Started(scan))
}

/// Answers with the progress of the derivation. A compiled watch set does not make a scan done.
async fn tell_derivation(made: &OnceCell<watch_set::Client>, reply: Reply<Progress>) {
    let progress = derivation(made).await.map(|progress| Progress { phase: Phase::Deriving, ..progress });
    drop(reply.send(progress));
}

/// Answers questions until no handle is left, or the server drops the sink without having reported the end.
async fn attend(
    scan: &scan::Client,
    controls: &mut mpsc::Receiver<Control>,
    sink: &mut SinkWatch,
) -> Option<ScanError> {
    let mut is_held = true;
    loop {
        tokio::select! {
            control = controls.recv() => calls::answer(scan, control?).await,
            _released = &mut sink.released, if is_held => {
                is_held = false;
                if !sink.has_ended() {
                    return Some(released_early(scan).await.into());
                }
            }
        }
    }
}

/// A sink is dropped when the connection ends, and a call to the scan then fails with the reason; or by a server that
/// forgot to report the end.
async fn released_early(scan: &scan::Client) -> CallError {
    match calls::progress(scan).await {
        Err(error @ (CallError::Disconnected { .. } | CallError::Protocol { .. })) => error,
        _ => CallError::protocol("the server dropped the scan's sink before it reported how the scan ended"),
    }
}
