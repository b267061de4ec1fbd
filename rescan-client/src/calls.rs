//! The calls that are one question and one answer: `info`, `locate`, `waitTip`.

use std::time::Duration;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use rescan_core::report::BlockId;
use rescan_core::rescan_capnp::rescan;
use rescan_core::server_info::ServerInfo;
use rescan_core::wire;

use crate::error::CallError;

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
            Err(CallError::protocol(format!("located block {}, which is none of the given ones", block.hash)))
        }
        found => Ok(found),
    }
}

pub(crate) async fn wait_tip(
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
