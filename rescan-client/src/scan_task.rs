//! The task that holds a scan's capability on the connection's thread.
//!
//! It lives as long as the wallet's stream: past the summary too, since the scan still answers for the blocks of its
//! chain. It sends nothing but the end of a scan that could not end by itself; the sink sends the rest.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Instant;

use rescan_core::position::Height;
use rescan_core::report::{BlockId, BlockReport, FullBlock, Phase, Progress};
use rescan_core::request::{self, RangeRequest};
use rescan_core::rescan_capnp::{block_sink, report_sink, rescan, scan};
use rescan_core::wire;
use tokio::sync::mpsc;

use crate::error::{CallError, ScanError};
use crate::request::ScanRequest;
use crate::scan_stream::{Control, Delivery, Pipe};
use crate::sink::{Preparation, Sent, Sink, SinkWatch};
use crate::upload;

/// Questions that wait for the scan to begin. More stay in their channel.
const WAITING_MAX: usize = 8;

/// Uploads, starts and keeps a scan.
pub(crate) async fn scan(rescan: rescan::Client, request: Box<ScanRequest>, pipe: Pipe<BlockReport>) {
    let sent =
        Sent { keychains: request.keychains.len(), scripts: request.scripts.len(), outpoints: request.outpoints.len() };
    let asked = Instant::now();
    let preparation = Rc::new(Cell::new(Preparation::default()));
    let (sink, watch) = Sink::new(pipe.deliveries.clone(), sent, Rc::clone(&preparation));
    let sink: report_sink::Client = capnp_rpc::new_client(sink);
    let begin = async move {
        let watch_set = upload::upload(&rescan, &request).await?;
        let uploaded = asked.elapsed();
        upload::seal(&watch_set).await?;
        preparation.set(Preparation { all: asked.elapsed(), seal: asked.elapsed().saturating_sub(uploaded) });
        let mut call = rescan.scan_request();
        call.get().set_watch_set(watch_set);
        call.get().set_sink(sink);
        let whole = request::ScanRequest { range: request.range, verify: request.verify };
        wire::write_scan_request(&whole, call.get().init_request());
        let response = call.send().promise.await.map_err(CallError::from)?;
        Ok(response.get().and_then(rescan::scan_results::Reader::get_scan).map_err(CallError::from)?)
    };
    keep(begin, pipe, watch).await;
}

/// Starts and keeps a shipment of blocks.
pub(crate) async fn blocks(rescan: rescan::Client, range: RangeRequest, pipe: Pipe<FullBlock>) {
    let (sink, watch) = Sink::new(pipe.deliveries.clone(), Sent::default(), Rc::default());
    let sink: block_sink::Client = capnp_rpc::new_client(sink);
    let begin = async move {
        let mut call = rescan.blocks_request();
        call.get().set_sink(sink);
        wire::write_range(&range, call.get().init_range());
        let response = call.send().promise.await.map_err(CallError::from)?;
        Ok(response.get().and_then(rescan::blocks_results::Reader::get_scan).map_err(CallError::from)?)
    };
    keep(begin, pipe, watch).await;
}

/// Brings a scan to its beginning and stays with it until the stream is dropped.
async fn keep<T>(begin: impl Future<Output = Result<scan::Client, ScanError>>, pipe: Pipe<T>, mut watch: SinkWatch) {
    let Pipe { deliveries, mut controls, abandoned } = pipe;
    let life = async {
        let end = match start(begin, &mut controls).await {
            Err(error) => Some(error),
            Ok(scan) => attend(&scan, &mut controls, &mut watch).await,
        };
        if let Some(error) = end
            && !watch.has_ended()
        {
            // A stream that is gone hears nothing, and wants nothing.
            drop(deliveries.send(Delivery::End(Err(error))).await);
        }
    };
    tokio::select! {
        () = life => {}
        _dropped = abandoned => {}
    }
}

/// Awaits the beginning. Progress is answered meanwhile; whatever needs the scan waits for it.
async fn start(
    begin: impl Future<Output = Result<scan::Client, ScanError>>,
    controls: &mut mpsc::Receiver<Control>,
) -> Result<scan::Client, ScanError> {
    let mut waiting = Vec::new();
    let mut begin = std::pin::pin!(begin);
    let scan = loop {
        tokio::select! {
            begun = &mut begin => break begun?,
            Some(control) = controls.recv(), if waiting.len() < WAITING_MAX => match control {
                Control::Progress(reply) => drop(reply.send(Ok(preparing()))),
                other => waiting.push(other),
            },
        }
    };
    for control in waiting {
        answer(&scan, control).await;
    }
    Ok(scan)
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
