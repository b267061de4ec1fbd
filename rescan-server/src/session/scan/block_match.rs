//! Matches one block per call, with all entries in the call. The server keeps no state between calls.
//!
//! The RPC thread copies the entries out of the message, drops it, and finds the block in the chain. A worker compiles the
//! entries and matches the block. A running call counts as one of its connection's scans, which bounds its memory: a
//! message and a block.
//!
//! Invariant: an answer is about a block of the active chain, at most
//! [`CHAIN_AGE_MAX`](crate::session::guard::limits::CHAIN_AGE_MAX) old. An answer that the block is the tip, or not in the
//! chain, comes from a refresh after the call. So a client that follows `next` up to a tip has seen the chain of that tip.

use std::sync::Arc;

use bitcoin::{BlockHash, OutPoint};
use rescan_core::block_match::{BlockMatch, MatchContent, MatchedBlock};
use rescan_core::causes::with_causes;
use rescan_core::position::Height;
use rescan_core::report::{BlockId, Failure, Origin, Refusal, RefusalReason};
use rescan_core::rescan_capnp::rescan::match_block_params;
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};
use rescan_core::wire;

use crate::cancel::CancelOnDrop;
use crate::chain::ActiveChain;
use crate::exception::malformed;
use crate::metrics::counters::Counters;
use crate::refresh::chain_view::ChainView;
use crate::refresh::refresher::{RefreshError, internal};
use crate::scan::{RETRIES_MAX, match_single_block};
use crate::session::guard::limits::SessionLimits;
use crate::session::shared::Shared;
use crate::session::watch_set::builder::{too_many_outpoints, too_many_scripts};

/// A call about one block.
pub(crate) struct Query {
    height: Height,
    /// None for any block at the height.
    hash: Option<BlockHash>,
    entries: Arc<Entries>,
}

/// The entries of a call, compiled by a worker.
struct Entries {
    /// All scripts, concatenated.
    scripts: Vec<u8>,
    /// The end of each script.
    ends: Vec<usize>,
    outpoints: Vec<OutPoint>,
}

/// A call without an answer.
enum MatchError {
    Refused(Refusal),
    Refresh(RefreshError),
    Failed(Failure),
}

impl From<RefreshError> for MatchError {
    fn from(error: RefreshError) -> Self {
        Self::Refresh(error)
    }
}

/// The position of a block in the chain.
struct ChainPosition {
    chain: Arc<ActiveChain>,
    block: BlockId,
    next: Option<BlockId>,
}

impl Query {
    /// Copies a query out of its message. The inner error is the caller's mistake.
    ///
    /// # Errors
    /// If the message is malformed.
    pub(crate) fn read(
        params: match_block_params::Reader<'_>,
        limits: &SessionLimits,
    ) -> capnp::Result<Result<Self, Refusal>> {
        let hash = params.get_hash()?;
        let hash = if hash.is_empty() {
            None
        } else {
            Some(wire::read_block_hash("hash", hash).map_err(|error| malformed(&error))?)
        };
        let (scripts, outpoints) = (params.get_scripts()?, params.get_outpoints()?);
        if u64::from(scripts.len()) > limits.scripts_per_watch_set_max {
            let position = limits.scripts_per_watch_set_max;
            return Ok(Err(too_many_scripts(position, scripts.len().into(), limits)));
        }
        if u64::from(outpoints.len()) > limits.outpoints_per_watch_set_max {
            let position = limits.outpoints_per_watch_set_max;
            return Ok(Err(refusal(RefusalReason::TooManyEntries, position, too_many_outpoints(limits))));
        }
        let mut entries = Entries { scripts: Vec::new(), ends: Vec::new(), outpoints: Vec::new() };
        for script in scripts {
            entries.scripts.extend_from_slice(script?);
            entries.ends.push(entries.scripts.len());
        }
        for (number, outpoint) in (0..).zip(wire::read_outpoints(outpoints)) {
            match outpoint {
                Ok(outpoint) => entries.outpoints.push(outpoint),
                Err(error) => {
                    return Ok(Err(refusal(RefusalReason::BadOutpoint, number, with_causes(&error))));
                }
            }
        }
        Ok(Ok(Self { height: Height(params.get_height()), hash, entries: Arc::new(entries) }))
    }

    /// The answer. Dropping the future stops the worker before it reads the block.
    ///
    /// # Errors
    /// If the server is stopping.
    pub(crate) async fn answer(self, shared: &Shared) -> capnp::Result<BlockMatch> {
        match self.run(shared).await {
            Ok(matched) => Ok(BlockMatch::Answered(matched)),
            Err(MatchError::Refused(refusal)) => Ok(BlockMatch::Refused(refusal)),
            Err(MatchError::Refresh(RefreshError::Failed(failure)) | MatchError::Failed(failure)) => {
                tracing::error!(%failure, "cannot match a block");
                Ok(BlockMatch::Failed(failure))
            }
            Err(MatchError::Refresh(stopping)) => Err(stopping.into()),
        }
    }

    async fn run(self, shared: &Shared) -> Result<MatchedBlock, MatchError> {
        let cancel = CancelOnDrop::new();
        let mut position = self.position(shared).await?;
        let mut tries = 0;
        loop {
            let ChainPosition { chain, block, next } = position;
            if chain.block(block.height).is_none() {
                return Ok(MatchedBlock { block, next, content: MatchContent::NotOnDisk });
            }
            let (entries, files, cancelled) = (Arc::clone(&self.entries), Arc::clone(&shared.chain), cancel.handle());
            let job = shared.pool.run(move || {
                let watch = entries.compile().map_err(MatchError::Refused)?;
                match_single_block(files, chain, block.height, &watch, cancelled).map_err(MatchError::Failed)
            });
            let found = job.await.unwrap_or_else(|error| Err(MatchError::Failed(internal(with_causes(&error)))));
            match found {
                Ok(data) => {
                    let content = data.map_or(MatchContent::Nothing, MatchContent::Block);
                    return Ok(MatchedBlock { block, next, content });
                }
                // The node may have pruned its file, or written to it, since the refresh.
                Err(MatchError::Failed(_)) if tries < RETRIES_MAX => tries += 1,
                Err(error) => return Err(error),
            }
            position = self.position_in(&shared.refresher.refresh().await?).map_err(MatchError::Refused)?;
        }
    }

    /// The position of the block, in a chain that is fresh enough for the invariant.
    async fn position(&self, shared: &Shared) -> Result<ChainPosition, MatchError> {
        if self.hash.is_some() {
            let age_max = shared.limits.chain_age_max;
            let view = shared.refresher.view_within(age_max).await?;
            if let Ok(position) = self.position_in(&view)
                && position.next.is_some()
            {
                return Ok(position);
            }
        }
        self.position_in(&shared.refresher.refresh().await?).map_err(MatchError::Refused)
    }

    fn position_in(&self, view: &ChainView) -> Result<ChainPosition, Refusal> {
        let (chain, height) = (Arc::clone(&view.chain), self.height);
        let Some(tip) = chain.tip() else {
            return Err(refusal(RefusalReason::BadRange, 0, "the block files hold no blocks yet".to_owned()));
        };
        let Some(block) = chain.id(height).filter(|_| height <= tip.height) else {
            let detail = format!("expected a height up to the tip's, {}, found {height}", tip.height);
            return Err(refusal(RefusalReason::BadRange, 0, detail));
        };
        match self.hash {
            Some(hash) if hash != block.hash => {
                let detail = format!(
                    "block {hash} is not in the active chain at height {height}, {} is: find the fork with locate",
                    block.hash
                );
                Err(refusal(RefusalReason::NotInChain, 0, detail))
            }
            _ => {
                let next = height.next().and_then(|height| chain.id(height));
                Ok(ChainPosition { chain, block, next })
            }
        }
    }
}

impl Entries {
    /// The watch set of the entries. Refuses the first invalid one.
    fn compile(&self) -> Result<WatchSet, Refusal> {
        let mut builder = WatchSetBuilder::new();
        let mut start = 0;
        for (number, end) in (0_u32..).zip(&self.ends) {
            builder
                .add_script(&self.scripts[start..*end], Origin::Script(number))
                .map_err(|error| refusal(RefusalReason::BadScript, number.into(), with_causes(&error)))?;
            start = *end;
        }
        for (number, outpoint) in (0..).zip(&self.outpoints) {
            builder.add_outpoint(*outpoint, None, Origin::Outpoint(number));
        }
        Ok(builder.build())
    }
}

fn refusal(reason: RefusalReason, position: u64, detail: String) -> Refusal {
    Refusal { reason, position, detail }
}

/// Counts a call and its result.
pub(crate) fn count(counters: &Counters, found: &BlockMatch) {
    counters.block_match();
    match found {
        BlockMatch::Answered(_) => {}
        BlockMatch::Refused(refusal) => counters.refused(refusal),
        BlockMatch::Failed(failure) => counters.failed(failure),
    }
}

/// The refusal of a call beyond the limit of scans.
pub(crate) fn too_many(limits: &SessionLimits) -> BlockMatch {
    let max = limits.scans_per_connection_max;
    BlockMatch::Refused(refusal(
        RefusalReason::TooManyScans,
        0,
        format!("a connection has at most {max} scans and block matches under way: take some answers first"),
    ))
}
