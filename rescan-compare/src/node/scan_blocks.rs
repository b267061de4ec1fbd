//! The node looks through its block filters, and then says what the blocks hold that may match.
//!
//! Scripts go as `raw(HEX)` descriptors, the only form in which every script can be said. They are made before the clock
//! starts, as the other ways' are.

use jsonrpc::serde_json;
use jsonrpc::serde_json::value::{RawValue, to_raw_value};
use rescan_core::position::Height;

use super::activity::{self, ActiveWallet};
use super::asked::{NONE, Node};
use super::error::NodeError;
use crate::error::CompareError;
use crate::watched::Watched;
use crate::ways::Gone;
use crate::ways::Ground;

/// The call that finds blocks.
const METHOD: &str = "scanblocks";

/// Blocks in one call for activity: one for the range that is compared unless another is named. More would have the node
/// and the wallet hold all that a busy wallet ever did.
const BLOCKS_A_CALL: usize = 2_000;

/// The longest body of a request that Bitcoin Core reads (`MAX_SIZE`, `src/serialize.h`), in bytes.
const REQUEST_BYTES_MAX: usize = 0x0200_0000;

/// Room in a request for all that is not scripts: the hashes of blocks, the head.
const REST_BYTES_MAX: usize = 70 * BLOCKS_A_CALL + 4_096;

/// An answer to `scanblocks`.
#[derive(serde::Deserialize)]
struct Scanned {
    to_height: u32,
    relevant_blocks: Vec<String>,
    completed: bool,
}

/// `getindexinfo`, as far as it matters.
#[derive(serde::Deserialize)]
struct IndexInfo {
    #[serde(rename = "basic block filter index")]
    filters: Option<Index>,
}

#[derive(serde::Deserialize)]
struct Index {
    best_block_height: u32,
}

pub(super) async fn go(ground: Ground<'_, &Node>) -> Result<Gone, CompareError> {
    let Ground { asked: node, meter, pinned, watched } = ground;
    let (first, last) = (pinned.range.first(), pinned.range.last());
    check_filters(node, last).await?;
    let scripts = descriptors(watched)?;
    let mut running = meter.start(pinned.range.count()).await?;
    let said = node.call(METHOD, params(&("start", &*scripts, first.0, last.0))?).await?;
    let scanned: Scanned = serde_json::from_str(said.get()).map_err(|error| NodeError::unexpected(METHOD, error))?;
    if !scanned.completed || scanned.to_height != last.0 {
        let detail = format!("it was broken off at height {}", scanned.to_height);
        return Err(NodeError::unexpected(METHOD, detail).into());
    }
    let mut wallet = ActiveWallet::default();
    for blocks in scanned.relevant_blocks.chunks(BLOCKS_A_CALL) {
        // Without what is unconfirmed: no other way sees it.
        let said = node.call(activity::METHOD, params(&(blocks, &*scripts, false))?).await?;
        if wallet.take(&said)? {
            running.matched();
        }
    }
    let run = running.finish(last);
    node.check_tip(pinned).await?;
    Ok(Gone::Came(run, wallet.answer))
}

/// That there are filters for all of the range: of blocks without, `scanblocks` says nothing.
async fn check_filters(node: &Node, last: Height) -> Result<(), NodeError> {
    let IndexInfo { filters } = node.read("getindexinfo", NONE).await?;
    match filters {
        None => Err(NodeError::NoFilters),
        Some(Index { best_block_height: found }) if found < last.0 => {
            Err(NodeError::FiltersBehind { found, expected: last })
        }
        Some(_) => Ok(()),
    }
}

/// All scripts as JSON, made once for both calls.
fn descriptors(watched: &Watched) -> Result<Box<RawValue>, NodeError> {
    let descriptors: Vec<String> = watched.scripts.iter().map(|script| format!("raw({script:x})")).collect();
    let json = params(&descriptors)?;
    let (bytes, max) = (json.get().len(), REQUEST_BYTES_MAX - REST_BYTES_MAX);
    if bytes > max { Err(NodeError::TooManyScripts { bytes, max }) } else { Ok(json) }
}

fn params(of: &impl serde::Serialize) -> Result<Box<RawValue>, NodeError> {
    to_raw_value(of).map_err(|error| NodeError::unexpected(METHOD, error))
}
