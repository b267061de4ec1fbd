//! One block a call: nothing is remembered, everything that is looked for travels in the call.
//!
//! The RPC thread copies the entries out of the message, so that it can be let go, and finds the block in the chain; a
//! worker compiles the entries and does the rest. A call counts as one of its connection's scans while it is under way:
//! that bounds what it holds, a message and a block.
//!
//! Invariant: a block is answered for only if it is in the active chain as that was at most
//! [`CHAIN_AGE_MAX`](crate::session::guard::limits::CHAIN_AGE_MAX) ago; that it is the tip, or not in the chain, is said only of a chain that
//! was looked at after the call. So who goes from block to block by `next` and comes to a tip has seen that tip's chain.

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
use crate::figures::LiveFigures;
use crate::refresh::chain_view::ChainView;
use crate::refresh::refresher::{RefreshError, internal};
use crate::scan::{RETRIES_MAX, match_single_block};
use crate::session::Shared;
use crate::session::guard::limits::SessionLimits;
use crate::session::watch_set::server::{too_many_outpoints, too_many_scripts};

/// What was asked.
pub(crate) struct Query {
    height: Height,
    /// None is whatever block the chain has there.
    hash: Option<BlockHash>,
    entries: Arc<Entries>,
}

/// What is looked for, as it came: to compile it is a worker's.
struct Entries {
    /// All scripts, one behind the other.
    scripts: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    outpoints: Vec<OutPoint>,
}

/// Why there is no answer about a block.
enum NoAnswer {
    Refused(Refusal),
    Refresh(RefreshError),
    Failed(Failure),
}

impl From<RefreshError> for NoAnswer {
    fn from(why: RefreshError) -> Self {
        Self::Refresh(why)
    }
}

/// Where a block stands in the chain.
struct Place {
    chain: Arc<ActiveChain>,
    block: BlockId,
    next: Option<BlockId>,
}

impl Query {
    /// Copies a query out of its message. The inner error is a mistake of the caller's.
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
            Some(wire::read_block_hash("hash", hash).map_err(|error| crate::session::failed(&error))?)
        };
        let (scripts, outpoints) = (params.get_scripts()?, params.get_outpoints()?);
        if u64::from(scripts.len()) > limits.scripts_per_watch_set_max {
            let position = limits.scripts_per_watch_set_max;
            return Ok(Err(refusal(RefusalReason::TooManyEntries, position, too_many_scripts(limits))));
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

    /// What becomes of it. Dropping this has the worker stop before it looks at the block.
    ///
    /// # Errors
    /// If the server stops.
    pub(crate) async fn answer(self, shared: &Shared) -> capnp::Result<BlockMatch> {
        match self.run(shared).await {
            Ok(matched) => Ok(BlockMatch::Answered(matched)),
            Err(NoAnswer::Refused(refusal)) => Ok(BlockMatch::Refused(refusal)),
            Err(NoAnswer::Refresh(RefreshError::Failed(failure)) | NoAnswer::Failed(failure)) => {
                tracing::error!(%failure, "a block cannot be matched");
                Ok(BlockMatch::Failed(failure))
            }
            Err(NoAnswer::Refresh(stopping)) => Err(stopping.into()),
        }
    }

    async fn run(self, shared: &Shared) -> Result<MatchedBlock, NoAnswer> {
        let cancel = CancelOnDrop::new();
        let mut place = self.place(shared).await?;
        let mut tries = 0;
        loop {
            let Place { chain, block, next } = place;
            if chain.block(block.height).is_none() {
                return Ok(MatchedBlock { block, next, content: MatchContent::NotOnDisk });
            }
            let (entries, files, cancelled) = (Arc::clone(&self.entries), Arc::clone(&shared.chain), cancel.handle());
            let job = shared.pool.run(move || {
                let watch = entries.compile().map_err(NoAnswer::Refused)?;
                match_single_block(files, chain, block.height, &watch, cancelled).map_err(NoAnswer::Failed)
            });
            let found = job.await.unwrap_or_else(|error| Err(NoAnswer::Failed(internal(with_causes(&error)))));
            match found {
                Ok(data) => {
                    let content = data.map_or(MatchContent::Nothing, MatchContent::Block);
                    return Ok(MatchedBlock { block, next, content });
                }
                // Its file may have been pruned, or written to, since it was looked at.
                Err(NoAnswer::Failed(_)) if tries < RETRIES_MAX => tries += 1,
                Err(no_answer) => return Err(no_answer),
            }
            place = self.place_in(&shared.refresher.refresh().await?).map_err(NoAnswer::Refused)?;
        }
    }

    /// Where the block stands, in a chain that is fresh enough to say so.
    async fn place(&self, shared: &Shared) -> Result<Place, NoAnswer> {
        if self.hash.is_some() {
            let age_max = shared.limits.chain_age_max;
            let view = shared.refresher.view_within(age_max).await?;
            if let Ok(place) = self.place_in(&view)
                && place.next.is_some()
            {
                return Ok(place);
            }
        }
        self.place_in(&shared.refresher.refresh().await?).map_err(NoAnswer::Refused)
    }

    fn place_in(&self, view: &ChainView) -> Result<Place, Refusal> {
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
                    "block {hash} is not in the active chain at height {height}, {} is: ask where it left it",
                    block.hash
                );
                Err(refusal(RefusalReason::NotInChain, 0, detail))
            }
            _ => {
                let next = height.next().and_then(|height| chain.id(height));
                Ok(Place { chain, block, next })
            }
        }
    }
}

impl Entries {
    /// What a worker looks for; the first entry that cannot be is refused.
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

/// Counts a call and what became of it.
pub(crate) fn count(figures: &LiveFigures, found: &BlockMatch) {
    figures.block_match();
    match found {
        BlockMatch::Answered(_) => {}
        BlockMatch::Refused(refusal) => figures.refused(refusal),
        BlockMatch::Failed(failure) => figures.failed(failure),
    }
}

/// What is said where a connection has too much under way.
pub(crate) fn too_many(limits: &SessionLimits) -> BlockMatch {
    let max = limits.scans_per_connection_max;
    BlockMatch::Refused(refusal(
        RefusalReason::TooManyScans,
        0,
        format!("a connection has at most {max} scans and block matches under way: take some answers first"),
    ))
}
