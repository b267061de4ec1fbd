//! Blocks that a node lacks, asked for from its peers (`getblockfrompeer`, Bitcoin Core 23.0).

use std::thread;
use std::time::{Duration, Instant};

use bitcoin::BlockHash;
use rescan_node::{RpcClient, RpcError, code};
use serde_json::Value;

use crate::answers::Peer;
use crate::error::FillError;

/// The time that one peer has for a block.
const PEER_MAX: Duration = Duration::from_secs(20);
/// The time for a block, all peers together.
const BLOCK_MAX: Duration = Duration::from_secs(60);
/// The time that a new peer has for its version.
const INTRODUCED_AFTER: Duration = Duration::from_secs(5);
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Asks the node's peers, one after the other, until one has sent the block. Returns whether the
/// node has it.
///
/// # Errors
/// [`FillError::Node`] if the node gives no answer, or does not know the method.
pub(crate) fn fetch_block(node: &RpcClient, hash: BlockHash) -> Result<bool, FillError> {
    let begun = Instant::now();
    // A pruned peer has the last 288 blocks alone, so it comes last.
    let (full, pruned): (Vec<_>, Vec<_>) =
        introduced_peers(node)?.into_iter().partition(|peer| peer.services.iter().any(|service| service == "NETWORK"));
    for peer in full.into_iter().chain(pruned) {
        if has_block(node, hash)? {
            return Ok(true);
        }
        match node.call::<Value>("getblockfrompeer", &(hash.to_string(), peer.id)) {
            Ok(_asked) => {}
            // This peer has left, is too old, or the block arrived meanwhile.
            Err(RpcError::Refused { code: code::MISC, .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        let asked = Instant::now();
        // The node disconnects a peer that does not answer.
        let mut is_there = true;
        while is_there && asked.elapsed() < PEER_MAX && begun.elapsed() < BLOCK_MAX {
            if has_block(node, hash)? {
                return Ok(true);
            }
            thread::sleep(ASK_EVERY);
            is_there = peers(node)?.iter().any(|connected| connected.id == peer.id);
        }
        if begun.elapsed() >= BLOCK_MAX {
            break;
        }
    }
    has_block(node, hash)
}

/// The peers, once those that have just connected have sent their version.
fn introduced_peers(node: &RpcClient) -> Result<Vec<Peer>, FillError> {
    let begun = Instant::now();
    loop {
        let peers = peers(node)?;
        if begun.elapsed() >= INTRODUCED_AFTER || peers.iter().all(|peer| peer.version != 0) {
            return Ok(peers);
        }
        thread::sleep(ASK_EVERY);
    }
}

fn peers(node: &RpcClient) -> Result<Vec<Peer>, FillError> {
    Ok(node.call("getpeerinfo", &[(); 0])?)
}

/// Whether the block is on the node's disk. A block from a peer has no undo data, so methods that
/// need it do not tell.
fn has_block(node: &RpcClient, hash: BlockHash) -> Result<bool, FillError> {
    match node.call::<serde::de::IgnoredAny>("getblock", &(hash.to_string(), 0)) {
        Ok(_block) => Ok(true),
        Err(RpcError::Refused { code: code::MISC, .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
