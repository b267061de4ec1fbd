//! Calls to a scan's capability, for the questions of its handles.

use rescan_core::position::Height;
use rescan_core::report::{BlockId, Phase, Progress};
use rescan_core::rescan_capnp::{scan, watch_set};
use rescan_core::wire;

use super::handle::Control;
use crate::error::CallError;

/// Answers one question. A caller that stopped waiting is ignored.
pub(super) async fn answer(scan: &scan::Client, control: Control) {
    match control {
        Control::Progress(reply) => drop(reply.send(progress(scan).await)),
        Control::Cancel(reply) => drop(reply.send(cancel(scan).await)),
        Control::BlockIds(heights, reply) => drop(reply.send(block_ids(scan, &heights).await)),
    }
}

pub(super) async fn progress(scan: &scan::Client) -> Result<Progress, CallError> {
    let response = scan.progress_request().send().promise.await?;
    Ok(wire::read_progress(response.get()?.get_progress()?))
}

/// The progress of a watch set's derivation. An older server does not count.
pub(super) async fn derivation(watch_set: &watch_set::Client) -> Result<Progress, CallError> {
    let told =
        async { Ok(wire::read_progress(watch_set.progress_request().send().promise.await?.get()?.get_progress()?)) };
    match told.await {
        Err(CallError::Unsupported { .. }) => Ok(Progress::at_start_of(Phase::Deriving)),
        told => told,
    }
}

async fn cancel(scan: &scan::Client) -> Result<(), CallError> {
    scan.cancel_request().send().promise.await?;
    Ok(())
}

async fn block_ids(scan: &scan::Client, heights: &[Height]) -> Result<Vec<Option<BlockId>>, CallError> {
    let mut call = scan.block_ids_request();
    let length = u32::try_from(heights.len())
        .map_err(|_too_many| CallError::protocol("more heights than a message can carry"))?;
    let mut list = call.get().init_heights(length);
    for (index, height) in (0..).zip(heights) {
        list.set(index, height.0);
    }
    let response = call.send().promise.await?;
    let ids = response.get()?.get_ids()?;
    Ok(ids.iter().map(wire::read_block_id).collect::<Result<_, _>>()?)
}
