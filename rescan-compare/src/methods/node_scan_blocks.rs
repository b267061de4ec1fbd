//! The node searches its block filters, and then returns the activity of blocks that may match.
//!
//! Scripts are sent as `raw(HEX)` descriptors, the one form that holds any script. They are made
//! before the clock starts, as the other methods' are.

use rescan_core::position::Height;
use rescan_node::RpcError;
use serde_json::value::{RawValue, to_raw_value};

use super::node_activity::{self, ActivityWallet};
use super::{Context, Outcome};
use crate::error::CompareError;
use crate::inputs::WatchedScripts;
use crate::node::{Node, NodeError};

const METHOD: &str = "scanblocks";

/// Blocks in one call for activity: one call suffices for the default range. With more, the node
/// and the wallet would hold the whole activity of a busy wallet.
const BLOCKS_PER_CALL: usize = 2_000;

/// The longest request that Bitcoin Core reads (`MAX_SIZE`, `src/serialize.h`), in bytes.
const REQUEST_BYTES_MAX: usize = 0x0200_0000;

/// Room in a request beside the scripts, for block hashes and the head.
const REST_BYTES_MAX: usize = 70 * BLOCKS_PER_CALL + 4_096;

/// The result of `scanblocks`.
#[derive(serde::Deserialize)]
struct Scanned {
    to_height: u32,
    relevant_blocks: Vec<String>,
    completed: bool,
}

/// The part of `getindexinfo` that is read here.
#[derive(serde::Deserialize)]
struct IndexInfo {
    #[serde(rename = "basic block filter index")]
    filters: Option<Index>,
}

#[derive(serde::Deserialize)]
struct Index {
    best_block_height: u32,
}

pub(super) async fn run(context: Context<'_, &Node>) -> Result<Outcome, CompareError> {
    let Context { peer: node, meter, pinned, watched } = context;
    let (first, last) = (pinned.range.first(), pinned.range.last());
    check_filters(node, last).await?;
    let scripts = descriptors(watched)?;
    let mut running = meter.start(pinned.range.count()).await?;
    let result = node.call_raw(METHOD, params(&("start", &*scripts, first.0, last.0))?).await?;
    let scanned: Scanned = serde_json::from_str(result.get()).map_err(unexpected)?;
    if !scanned.completed || scanned.to_height != last.0 {
        return Err(unexpected(format!("the scan was aborted at height {}", scanned.to_height)).into());
    }
    let mut wallet = ActivityWallet::default();
    for blocks in scanned.relevant_blocks.chunks(BLOCKS_PER_CALL) {
        // Without unconfirmed activity: no other method sees it.
        let result = node.call_raw(node_activity::METHOD, params(&(blocks, &*scripts, false))?).await?;
        if wallet.take(&result)? {
            running.matched();
        }
    }
    let run = running.finish(last);
    node.check_block(last, pinned.tip).await?;
    Ok(Outcome::Answered(run, wallet.answer))
}

/// Checks that the whole range has filters: `scanblocks` silently skips blocks without one.
async fn check_filters(node: &Node, last: Height) -> Result<(), NodeError> {
    let IndexInfo { filters } = node.call("getindexinfo", [(); 0]).await?;
    match filters {
        None => Err(NodeError::NoFilters),
        Some(Index { best_block_height: found }) if found < last.0 => {
            Err(NodeError::FiltersBehind { found, expected: last })
        }
        Some(_) => Ok(()),
    }
}

/// All scripts as JSON, made once for both calls.
fn descriptors(watched: &WatchedScripts) -> Result<Box<RawValue>, NodeError> {
    let descriptors: Vec<String> = watched.scripts.iter().map(|script| format!("raw({script:x})")).collect();
    let json = params(&descriptors)?;
    let (bytes, max) = (json.get().len(), REQUEST_BYTES_MAX - REST_BYTES_MAX);
    if bytes > max { Err(NodeError::TooManyScripts { bytes, max }) } else { Ok(json) }
}

fn params(of: &impl serde::Serialize) -> Result<Box<RawValue>, NodeError> {
    to_raw_value(of).map_err(unexpected)
}

fn unexpected(detail: impl std::fmt::Display) -> NodeError {
    RpcError::unexpected(METHOD, detail).into()
}
