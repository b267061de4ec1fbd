//! The task that holds a scan's capability on the connection's thread.
//!
//! It lives as long as the wallet's stream: past the summary too, since the scan still answers for the blocks of its
//! chain. It sends nothing but the end of a scan that could not end by itself; the sink sends the rest.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use rescan_core::position::{Height, HeightRange};
use rescan_core::report::{BlockId, Phase, Progress, Summary};
use rescan_core::request::{self, RangeEnd, RangeRequest, RangeStart};
use rescan_core::rescan_capnp::{block_sink, report_sink, rescan, scan, watch_set};
use rescan_core::wire;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::asked::Asked;
use crate::connection;
use crate::error::{CallError, ScanError};
use crate::request::ScanRequest;
use crate::scan_stream::{BlockEvent, Control, Delivery, Pipe, ScanEvent};
use crate::sink::{Preparation, Sink, SinkWatch};
use crate::upload;

/// Questions that wait for the scan to begin. More stay in their channel.
const WAITING_MAX: usize = 8;

/// Holds a scan between its sealed watch set and its start.
pub(crate) struct Gate {
    /// Told when the watch set is sealed.
    pub(crate) sealed: oneshot::Sender<()>,
    /// Resolves when the scan is to start, or nobody can tell any more.
    pub(crate) start: oneshot::Receiver<()>,
}

/// What a scan asks of a watch set.
pub(crate) struct Terms {
    call: request::ScanRequest,
    asked: Asked,
    keychains: usize,
}

impl Terms {
    pub(crate) fn of(request: &ScanRequest) -> Self {
        Self { call: request.call(), asked: Asked::by(request), keychains: request.keychains.len() }
    }
}

/// A scan to be made of a watch set that is sent already.
pub(crate) struct Order {
    pub(crate) terms: Terms,
    pub(crate) pipe: Pipe<ScanEvent>,
}

/// A watch set that may be scanned for.
#[derive(Clone)]
struct Sealed {
    watch_set: watch_set::Client,
    /// How long the server took to derive it.
    seal: Duration,
}

/// Uploads, starts and keeps a scan.
pub(crate) async fn scan(rescan: rescan::Client, request: Box<ScanRequest>, gate: Option<Gate>, pipe: Pipe<ScanEvent>) {
    let terms = Terms::of(&request);
    let sealed = sealed(rescan.clone(), request);
    run(rescan, terms, sealed, gate, pipe).await;
}

/// Uploads a watch set, and starts and keeps what scans are ordered of it.
pub(crate) async fn watch(rescan: rescan::Client, request: Box<ScanRequest>, mut orders: mpsc::Receiver<Order>) {
    let sealed = sealed(rescan.clone(), request).boxed_local().shared();
    let mut scans = JoinSet::new();
    let mut is_sealed = false;
    loop {
        tokio::select! {
            // Ahead of the first order. What went wrong is said to each.
            _sealed_or_not = sealed.clone(), if !is_sealed => is_sealed = true,
            order = orders.recv() => {
                let Some(Order { terms, pipe }) = order else { break };
                scans.spawn_local(run(rescan.clone(), terms, sealed.clone(), None, pipe));
            }
            Some(_finished) = scans.join_next() => {}
        }
    }
    drop(sealed);
    while scans.join_next().await.is_some() {}
}

async fn sealed(rescan: rescan::Client, request: Box<ScanRequest>) -> Result<Sealed, ScanError> {
    let watch_set = upload::upload(&rescan, &request).await?;
    drop(request);
    let uploaded = Instant::now();
    upload::seal(&watch_set).await?;
    Ok(Sealed { watch_set, seal: uploaded.elapsed() })
}

/// Starts a scan once its watch set is sealed, and keeps it.
async fn run(
    rescan: rescan::Client,
    terms: Terms,
    sealed: impl Future<Output = Result<Sealed, ScanError>>,
    gate: Option<Gate>,
    pipe: Pipe<ScanEvent>,
) {
    let asked = Instant::now();
    let preparation = Rc::new(Cell::new(Preparation::default()));
    let (sink, watch) = Sink::new(pipe.deliveries.clone(), terms.asked, Rc::clone(&preparation));
    let sink: report_sink::Client = capnp_rpc::new_client(sink);
    let nothing_scanned = nothing_scanned(rescan.clone(), terms.call.range.clone(), terms.keychains, asked);
    let called = Rc::new(Cell::new(false));
    let calling = Rc::clone(&called);
    let begin = async move {
        let Sealed { watch_set, seal } = sealed.await?;
        // One that was sealed before took this scan no time.
        let all = asked.elapsed();
        preparation.set(Preparation { all, seal: seal.min(all) });
        if let Some(Gate { sealed, start }) = gate {
            // Whoever let go of the gate let go of the scan too, or wants it at once.
            let _nobody_waits = sealed.send(());
            let _let_go = start.await;
        }
        calling.set(true);
        let mut call = rescan.scan_request();
        call.get().set_watch_set(watch_set);
        call.get().set_sink(sink);
        wire::write_scan_request(&terms.call, call.get().init_request()).map_err(CallError::from)?;
        let response = call.send().promise.await.map_err(CallError::from)?;
        Ok(response.get().and_then(rescan::scan_results::Reader::get_scan).map_err(CallError::from)?)
    };
    keep(begin, &called, nothing_scanned, pipe, watch).await;
}

/// Starts and keeps a shipment of blocks.
pub(crate) async fn blocks(rescan: rescan::Client, range: RangeRequest, pipe: Pipe<BlockEvent>) {
    let (sink, watch) = Sink::new(pipe.deliveries.clone(), Asked::default(), Rc::default());
    let sink: block_sink::Client = capnp_rpc::new_client(sink);
    let nothing_scanned = nothing_scanned(rescan.clone(), range.clone(), 0, Instant::now());
    let called = Rc::new(Cell::new(true));
    let begin = async move {
        let mut call = rescan.blocks_request();
        call.get().set_sink(sink);
        wire::write_range(&range, call.get().init_range()).map_err(CallError::from)?;
        let response = call.send().promise.await.map_err(CallError::from)?;
        Ok(response.get().and_then(rescan::blocks_results::Reader::get_scan).map_err(CallError::from)?)
    };
    keep(begin, &called, nothing_scanned, pipe, watch).await;
}

/// Brings a scan to its beginning and stays with it until the stream is dropped. `nothing_scanned` is its summary where it
/// is cancelled before it was `called` for.
async fn keep<T>(
    begin: impl Future<Output = Result<scan::Client, ScanError>>,
    called: &Cell<bool>,
    nothing_scanned: impl Future<Output = Result<Summary, ScanError>>,
    pipe: Pipe<T>,
    mut watch: SinkWatch,
) {
    let Pipe { deliveries, mut controls, abandoned } = pipe;
    let life = async {
        let end = match start(begin, called, &mut controls).await {
            Err(error) => Some(Err(error)),
            Ok(Start::Cancelled) => Some(nothing_scanned.await),
            Ok(Start::Begun(scan)) => attend(&scan, &mut controls, &mut watch).await.map(Err),
        };
        if let Some(end) = end
            && !watch.has_ended()
        {
            // A stream that is gone hears nothing, and wants nothing.
            drop(deliveries.send(Delivery::End(end)).await);
        }
    };
    tokio::select! {
        () = life => {}
        _dropped = abandoned => {}
    }
}

/// What comes of a beginning.
enum Start {
    Begun(scan::Client),
    Cancelled,
}

/// Awaits the beginning. Progress is answered meanwhile. A cancellation ends it, and with it what the server holds, as long
/// as the scan was not `called` for: from then on reports may be on their way. Whatever needs the scan waits for it.
async fn start(
    begin: impl Future<Output = Result<scan::Client, ScanError>>,
    called: &Cell<bool>,
    controls: &mut mpsc::Receiver<Control>,
) -> Result<Start, ScanError> {
    let mut waiting = Vec::new();
    let mut begin = std::pin::pin!(begin);
    let scan = loop {
        tokio::select! {
            begun = &mut begin => break begun?,
            Some(control) = controls.recv(), if waiting.len() < WAITING_MAX => match control {
                Control::Progress(reply) => drop(reply.send(Ok(preparing()))),
                Control::Cancel(reply) if !called.get() => {
                    drop(reply.send(Ok(())));
                    return Ok(Start::Cancelled);
                }
                other => waiting.push(other),
            },
        }
    };
    for control in waiting {
        answer(&scan, control).await;
    }
    Ok(Start::Begun(scan))
}

/// The summary of a scan that was cancelled while its watch set was taken in: of the range as far as it is known.
async fn nothing_scanned(
    rescan: rescan::Client,
    range: RangeRequest,
    keychains: usize,
    asked: Instant,
) -> Result<Summary, ScanError> {
    let chain = connection::info(&rescan).await?.chain;
    let tip = chain.tip.unwrap_or(BlockId { height: Height::GENESIS, hash: chain.genesis, time: 0 });
    let (first, locator) = match range.from {
        RangeStart::Height(height) => (height, Vec::new()),
        RangeStart::Birthday(_) => (Height::GENESIS, Vec::new()),
        // Whoever goes on from a locator can go on from it again.
        RangeStart::After(locator) => match connection::locate(&rescan, &locator).await? {
            Some(block) => (Height(block.height.0.saturating_add(1)), locator),
            None => (Height::GENESIS, locator),
        },
    };
    let last = match range.to {
        RangeEnd::Tip => tip.height,
        RangeEnd::Height(height) => height,
    };
    let range = HeightRange::new(first, last.max(first)).expect("no height is above itself or a higher one");
    Ok(Summary::cancelled(range, tip, keychains, locator, asked.elapsed()))
}

/// What the server does before there is a scan to ask: it takes in the watch set and derives its scripts.
fn preparing() -> Progress {
    Progress {
        phase: Phase::Deriving,
        blocks_done: 0,
        blocks_total: 0,
        bytes_done: 0,
        bytes_total: 0,
        elapsed_micros: 0,
    }
}

/// Answers for the scan until no one asks any more, or the server lets go of the sink without having said how it ended.
async fn attend(
    scan: &scan::Client,
    controls: &mut mpsc::Receiver<Control>,
    watch: &mut SinkWatch,
) -> Option<ScanError> {
    let mut held = true;
    loop {
        tokio::select! {
            control = controls.recv() => answer(scan, control?).await,
            _released = &mut watch.released, if held => {
                held = false;
                if !watch.has_ended() {
                    return Some(why_let_go(scan).await.into());
                }
            }
        }
    }
}

/// A sink is let go of when the connection ends, and a call to the scan then says so; or by a server that forgot to say
/// how the scan ended.
async fn why_let_go(scan: &scan::Client) -> CallError {
    match progress(scan).await {
        Err(error @ CallError::Disconnected { .. }) => error,
        Err(CallError::Protocol { detail }) => CallError::Protocol { detail },
        _ => {
            CallError::Protocol { detail: "the scan's sink was let go of before it was told how the scan ended".into() }
        }
    }
}

/// Whoever stopped waiting for an answer has no use for it.
async fn answer(scan: &scan::Client, control: Control) {
    match control {
        Control::Progress(reply) => drop(reply.send(progress(scan).await)),
        Control::Cancel(reply) => drop(reply.send(cancel(scan).await)),
        Control::BlockIds(heights, reply) => drop(reply.send(block_ids(scan, &heights).await)),
    }
}

async fn progress(scan: &scan::Client) -> Result<Progress, CallError> {
    let response = scan.progress_request().send().promise.await?;
    Ok(wire::read_progress(response.get()?.get_progress()?))
}

async fn cancel(scan: &scan::Client) -> Result<(), CallError> {
    scan.cancel_request().send().promise.await?;
    Ok(())
}

async fn block_ids(scan: &scan::Client, heights: &[Height]) -> Result<Vec<Option<BlockId>>, CallError> {
    let mut call = scan.block_ids_request();
    let length = u32::try_from(heights.len())
        .map_err(|_too_many| CallError::Protocol { detail: "more heights than a message can carry".to_owned() })?;
    let mut list = call.get().init_heights(length);
    for (index, height) in (0..).zip(heights) {
        list.set(index, height.0);
    }
    let response = call.send().promise.await?;
    let ids = response.get()?.get_ids()?;
    Ok(ids.iter().map(wire::read_block_id).collect::<Result<_, _>>()?)
}
