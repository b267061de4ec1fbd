//! The call `matchBlock`: writes the entries into a message, and checks the answer against the question.
//!
//! An answer about another block, or with another block's bytes, is a breach of the protocol. It cannot be checked whether
//! the server missed a match.

use std::sync::Arc;

use bitcoin::block::Header;
use bitcoin::{BlockHash, consensus};
use rescan_core::block_match::{BlockMatch, MatchContent, MatchEntries, MatchedBlock};
use rescan_core::position::Height;
use rescan_core::rescan_capnp::rescan;
use rescan_core::server_info::{Feature, ServerInfo};
use rescan_core::wire;

use crate::error::{CallError, ScanError};

/// A script in a message has a pointer of 8 bytes and is padded to 8.
const SCRIPT_BYTES: u64 = 16;

/// An outpoint has a struct of two words, and a txid of four.
const OUTPOINT_BYTES: u64 = 48;

/// The rest of the message, in bytes: a generous bound.
const CALL_BYTES: u64 = 1_024;

/// One call.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) height: Height,
    /// None for the chain's own block at that height.
    pub(crate) hash: Option<BlockHash>,
    pub(crate) entries: Arc<MatchEntries>,
}

impl Question {
    /// Checks that the server knows the call, and reads a message of that size.
    pub(crate) fn check(&self, server: &ServerInfo) -> Result<(), CallError> {
        if !server.features.contains(&Feature::MatchBlock) {
            let software = &server.software;
            let detail = format!("{software} does not match single blocks: scan instead, or upgrade it");
            return Err(CallError::Unsupported { detail });
        }
        let scripts = self.entries.scripts.iter().map(|script| (script.len() as u64).saturating_add(SCRIPT_BYTES));
        let outpoints = (self.entries.outpoints.len() as u64).saturating_mul(OUTPOINT_BYTES); // usize has at most 64 bits
        let bytes = scripts.fold(outpoints.saturating_add(CALL_BYTES), u64::saturating_add);
        let max = server.limits.message_bytes_max;
        if bytes > max { Err(CallError::TooManyEntries { bytes, max }) } else { Ok(()) }
    }
}

/// Makes the call and returns its answer.
pub(crate) async fn ask(rescan: &rescan::Client, question: &Question) -> Result<MatchedBlock, ScanError> {
    let Question { height, hash, entries } = question;
    let response = send(rescan, *height, *hash, entries).await?;
    let result = response.get().and_then(rescan::match_block_results::Reader::get_result).map_err(CallError::from)?;
    match wire::read_block_match(result).map_err(CallError::from)? {
        BlockMatch::Answered(matched) => Ok(checked(matched, *height, *hash)?),
        BlockMatch::Refused(refusal) => Err(ScanError::Refused(refusal)),
        BlockMatch::Failed(failure) => Err(ScanError::Failed(failure)),
    }
}

async fn send(
    rescan: &rescan::Client,
    height: Height,
    hash: Option<BlockHash>,
    entries: &MatchEntries,
) -> Result<capnp::capability::Response<rescan::match_block_results::Owned>, CallError> {
    let mut call = rescan.match_block_request();
    let mut params = call.get();
    params.set_height(height.0);
    if let Some(hash) = hash {
        params.set_hash(hash.as_ref());
    }
    // The check of the message's size keeps both far below the limit of a list.
    let length = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    wire::write_scripts(&entries.scripts, params.reborrow().init_scripts(length(entries.scripts.len())));
    wire::write_outpoints(&entries.outpoints, params.init_outpoints(length(entries.outpoints.len())));
    Ok(call.send().promise.await?)
}

/// Checks that the answer is about the block of the call, and that the bytes are that block's.
fn checked(matched: MatchedBlock, height: Height, hash: Option<BlockHash>) -> Result<MatchedBlock, CallError> {
    let block = matched.block;
    if block.height != height || hash.is_some_and(|hash| hash != block.hash) {
        let asked = hash.map_or_else(String::new, |hash| format!("{hash} "));
        return Err(CallError::protocol(format!(
            "asked for block {asked}at height {height}, found {} at height {}",
            block.hash, block.height
        )));
    }
    if let Some(next) = matched.next
        && Some(next.height) != height.next()
    {
        return Err(CallError::protocol(format!(
            "expected the next block one above height {height}, found height {}",
            next.height
        )));
    }
    if let MatchContent::Block(data) = &matched.content {
        let header: Option<Header> = data.get(..Header::SIZE).and_then(|bytes| consensus::deserialize(bytes).ok());
        if header.is_none_or(|header| header.block_hash() != block.hash) {
            return Err(CallError::protocol(format!(
                "the {} bytes sent for block {} are of another block",
                data.len(),
                block.hash
            )));
        }
    }
    Ok(matched)
}
