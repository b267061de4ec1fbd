//! The bootstrap object of one connection.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rescan_core::block_match::BlockMatch;
use rescan_core::protocol::BLOCK_IDS_PER_CALL_MAX;
use rescan_core::rescan_capnp::rescan;
use rescan_core::server_info::{ChainInfo, Feature, PROTOCOL_VERSION, ReadingProgress, ServerInfo};
use rescan_core::wire;

use crate::exception::{malformed, too_many_calls};
use crate::refresh::tip_wait::TipWait;
use crate::scan::BlockReader;
use crate::session::guard::permits::Permits;
use crate::session::scan::block_match::{self, Query};
use crate::session::scan::job::{Resume, ScanCall};
use crate::session::scan::launcher::ScanLauncher;
use crate::session::scan::pinned_range::PinnedRange;
use crate::session::scan::running::RunningScans;
use crate::session::scan::start::{find_watch_set, start_scan};
use crate::session::scan::state::ScanState;
use crate::session::shared::Shared;
use crate::session::watch_set::compile::WatchedSet;
use crate::session::watch_set::registry::WatchSets;

/// The features of this server.
const FEATURES: [Feature; 10] = [
    Feature::Scan,
    Feature::Blocks,
    Feature::Birthday,
    Feature::GapRule,
    Feature::Coins,
    Feature::Proofs,
    Feature::Locator,
    Feature::MatchBlock,
    Feature::WaitTip,
    Feature::WatchSetProgress,
];

/// The session of one client.
pub(crate) struct Session {
    shared: Rc<Shared>,
    watch_sets: Rc<WatchSets>,
    scans: ScanLauncher,
    waiting_calls: Rc<Permits>,
}

impl Session {
    pub(crate) fn new(shared: Rc<Shared>, running: Rc<RunningScans>) -> Self {
        let waiting_calls = Permits::new(shared.limits.calls_waiting_max);
        Self {
            watch_sets: WatchSets::new(Rc::clone(&shared), Rc::clone(&waiting_calls)),
            scans: ScanLauncher::new(Rc::clone(&shared), running, Rc::clone(&waiting_calls)),
            shared,
            waiting_calls,
        }
    }

    fn server_info(&self) -> ServerInfo {
        let chain = &self.shared.chain;
        let reading = chain.progress();
        let view = self.shared.refresher.view();
        let tip = view.as_ref().and_then(|view| view.chain.tip());
        let lowest = view.and_then(|view| view.lowest);
        ServerInfo {
            protocol_version: PROTOCOL_VERSION,
            software: concat!("rescan-server ", env!("CARGO_PKG_VERSION")).to_owned(),
            network: chain.network().to_bitcoin(),
            features: FEATURES.to_vec(),
            chain: ChainInfo {
                genesis: chain.network().genesis_hash(),
                state: self.shared.refresher.state(),
                tip,
                lowest_height: lowest.unwrap_or_default(),
                source: chain.source(),
                reading: ReadingProgress { bytes_done: reading.bytes_done, bytes_total: reading.bytes_total },
            },
            limits: self.shared.limits.announced(),
            node: self.shared.node.status(),
            metrics: self.shared.counters.snapshot(),
        }
    }
}

impl rescan::Server for Session {
    async fn info(self: Rc<Self>, _params: rescan::InfoParams, mut results: rescan::InfoResults) -> capnp::Result<()> {
        wire::write_server_info(&self.server_info(), results.get().init_info()).map_err(|error| malformed(&error))
    }

    async fn new_watch_set(
        self: Rc<Self>,
        _params: rescan::NewWatchSetParams,
        mut results: rescan::NewWatchSetResults,
    ) -> capnp::Result<()> {
        results.get().set_watch_set(self.watch_sets.create()?);
        Ok(())
    }

    async fn scan(self: Rc<Self>, params: rescan::ScanParams, mut results: rescan::ScanResults) -> capnp::Result<()> {
        let params = params.get()?;
        let request = wire::read_scan_request(params.get_request()?).map_err(|error| malformed(&error))?;
        let call = ScanCall {
            range: request.range.clone(),
            resume: Resume { scanned: request.scanned.clone(), mark_every: request.mark_every },
            sink: params.get_sink()?,
            keychain_count: Rc::default(),
        };
        let keychain_count = Rc::clone(&call.keychain_count);
        let (watch_sets, given) = (Rc::clone(&self.watch_sets), params.get_watch_set()?);
        let prepare = |state| find_watch_set(watch_sets, given, keychain_count, state);
        let start = move |shared: &Shared, state: &ScanState, watched: WatchedSet, pinned: PinnedRange| {
            start_scan(shared, state, &request, watched, pinned)
        };
        results.get().set_scan(self.scans.launch(call, prepare, start)?);
        Ok(())
    }

    async fn blocks(
        self: Rc<Self>,
        params: rescan::BlocksParams,
        mut results: rescan::BlocksResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let call = ScanCall {
            range: wire::read_range(params.get_range()?).map_err(|error| malformed(&error))?,
            resume: Resume::default(),
            sink: params.get_sink()?,
            keychain_count: Rc::default(),
        };
        let prepare = |_state| std::future::ready(Ok(()));
        let start = |shared: &Shared, state: &ScanState, (): (), pinned: PinnedRange| {
            let (pool, chain) = (&shared.pool, Arc::clone(&shared.chain));
            let cancel = state.cancel_handle();
            Ok(pinned.walked.map(|range| BlockReader::start(pool, chain, pinned.chain, range, cancel)))
        };
        results.get().set_scan(self.scans.launch(call, prepare, start)?);
        Ok(())
    }

    async fn locate(
        self: Rc<Self>,
        params: rescan::LocateParams,
        mut results: rescan::LocateResults,
    ) -> capnp::Result<()> {
        let _permit = self.waiting_calls.acquire().ok_or_else(too_many_calls)?;
        let hashes = {
            let hashes = params.get()?.get_hashes()?;
            if hashes.len() > BLOCK_IDS_PER_CALL_MAX {
                let found = hashes.len();
                return Err(capnp::Error::failed(format!(
                    "{found} hashes in one call to locate, at most {BLOCK_IDS_PER_CALL_MAX} are looked up"
                )));
            }
            wire::read_hashes("hashes", hashes).map_err(|error| malformed(&error))?
        };
        // Otherwise the message would be held while the call waits.
        drop(params);
        let view = self.shared.refresher.refresh().await?;
        let highest = hashes.iter().filter_map(|hash| view.chain.height_of(hash)).max();
        let mut found = results.get().init_found();
        if let Some(id) = highest.and_then(|height| view.chain.id(height)) {
            wire::write_block_id(&id, found.reborrow());
        }
        Ok(())
    }

    async fn match_block(
        self: Rc<Self>,
        params: rescan::MatchBlockParams,
        mut results: rescan::MatchBlockResults,
    ) -> capnp::Result<()> {
        let limits = self.shared.limits;
        let found = match self.scans.block_match_permit() {
            None => block_match::too_many(&limits),
            Some(_permit) => match Query::read(params.get()?, &limits)? {
                Err(refusal) => BlockMatch::Refused(refusal),
                Ok(query) => {
                    // Otherwise the message would be held while the call waits.
                    drop(params);
                    query.answer(&self.shared).await?
                }
            },
        };
        block_match::count(&self.shared.counters, &found);
        wire::write_block_match(&found, results.get().init_result()).map_err(|error| malformed(&error))
    }

    async fn wait_tip(
        self: Rc<Self>,
        params: rescan::WaitTipParams,
        mut results: rescan::WaitTipResults,
    ) -> capnp::Result<()> {
        let _permit = self.waiting_calls.acquire().ok_or_else(too_many_calls)?;
        let wait = read_tip_wait(params.get()?)?;
        // Otherwise the message would be held while the call waits.
        drop(params);
        if let Some(tip) = wait.run(&self.shared.refresher).await? {
            wire::write_block_id(&tip, results.get().init_tip());
        }
        Ok(())
    }
}

fn read_tip_wait(params: rescan::wait_tip_params::Reader<'_>) -> capnp::Result<TipWait> {
    let known = params.get_known()?;
    let known = match known.is_empty() {
        true => None,
        false => Some(wire::read_block_hash("known", known).map_err(|error| malformed(&error))?),
    };
    Ok(TipWait::new(known, Duration::from_millis(params.get_timeout_millis().into())))
}
