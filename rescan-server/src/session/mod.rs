//! What one client can do over its connection: the bootstrap object, its watch sets, its scans.
//!
//! Everything here runs on the one RPC thread and computes nothing; work goes to the pool as jobs, and what a client
//! started is owned by the capability that it holds. A client that vanishes takes all of it along.

pub mod guard;
pub(crate) mod housekeeping;
pub(crate) mod scan;
pub(crate) mod watch_set;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use capnp_rpc::CapabilityServerSet;
use rescan_core::block_match::BlockMatch;
use rescan_core::report::{Refusal, RefusalReason};
use rescan_core::request::RangeRequest;
use rescan_core::rescan_capnp::{rescan, watch_set as watch_set_capnp};
use rescan_core::server_info::{ChainInfo, Feature, PROTOCOL_VERSION, ReadingProgress, ServerInfo};
use rescan_core::wire;
use tracing::Instrument;

use crate::chain::Chain;
use crate::figures::LiveFigures;
use crate::node::tip_watcher::TipWatcher;
use crate::refresh::refresher::{RefreshError, Refresher};
use crate::refresh::tip_wait::TipWait;
use crate::scan::{BlockReader, WorkerPool};
use crate::session::guard::account::{Account, Pool};
use crate::session::guard::limits::{
    BLOCK_IDS_PER_CALL_MAX, Quota, REFUSALS_WAITING_MAX, SessionLimits, WATCHED_SHARE,
};
use crate::session::scan::block_match::{self, Query};
use crate::session::scan::capability::ScanServer;
use crate::session::scan::cargo::Cargo;
use crate::session::scan::control::Control;
use crate::session::scan::job::{self, Early, GoingOn, Job, Pinned};
use crate::session::scan::source::Source;
use crate::session::scan::start::{prepare, start_scan};
use crate::session::watch_set::sealing::Sealed;
use crate::session::watch_set::server::WatchSetServer;

/// What all sessions of a server have in common.
pub(crate) struct Shared {
    chain: Arc<Chain>,
    pool: WorkerPool,
    refresher: Rc<Refresher>,
    limits: SessionLimits,
    node: TipWatcher,
    figures: Arc<LiveFigures>,
    /// What connections hold of messages beyond their shares.
    message_bytes: Rc<Pool>,
    /// What they watch beyond their shares.
    watched: Rc<Pool>,
    scan_slots: Rc<Quota>,
    /// The scans under way, so that a stopping server can end them.
    scans: RefCell<Vec<Weak<Control>>>,
}

impl Shared {
    pub(crate) fn new(
        chain: Arc<Chain>,
        pool: WorkerPool,
        refresher: Rc<Refresher>,
        limits: SessionLimits,
        node: TipWatcher,
        figures: Arc<LiveFigures>,
    ) -> Self {
        Self {
            chain,
            pool,
            refresher,
            limits,
            node,
            figures,
            message_bytes: Pool::new(limits.unanswered_bytes_pool),
            watched: Pool::new(limits.watched_pool),
            scan_slots: Quota::new(limits.scans_max),
            scans: RefCell::default(),
        }
    }

    pub(crate) fn limits(&self) -> &SessionLimits {
        &self.limits
    }

    pub(crate) fn figures(&self) -> &Arc<LiveFigures> {
        &self.figures
    }

    /// Ends all scans early; their wallets are told how far they came.
    pub(crate) fn end_scans(&self) {
        for control in self.scans.borrow().iter().filter_map(Weak::upgrade) {
            control.end_early();
        }
    }

    /// Waits until the wallet of every scan was told how it ended.
    pub(crate) async fn scans_over(&self) {
        let scans: Vec<_> = self.scans.borrow().iter().filter_map(Weak::upgrade).collect();
        for control in scans {
            control.over().await;
        }
    }

    fn remember(&self, control: &Rc<Control>) {
        let mut scans = self.scans.borrow_mut();
        scans.retain(|scan| scan.upgrade().is_some_and(|control| !control.is_over()));
        scans.push(Rc::downgrade(control));
    }
}

/// The bootstrap object of one connection.
pub(crate) struct Session {
    shared: Rc<Shared>,
    watch_sets: RefCell<CapabilityServerSet<WatchSetServer, watch_set_capnp::Client>>,
    watch_set_slots: Rc<Quota>,
    watched: Rc<Account>,
    scan_slots: Rc<Quota>,
    refusal_slots: Rc<Quota>,
    calls_waiting: Rc<Quota>,
}

impl Session {
    pub(crate) fn new(shared: Rc<Shared>) -> Self {
        let limits = shared.limits;
        Self {
            watched: Account::new(&shared.watched, WATCHED_SHARE, limits.watched_per_connection_max),
            shared,
            watch_sets: RefCell::default(),
            watch_set_slots: Quota::new(limits.watch_sets_per_connection_max),
            scan_slots: Quota::new(limits.scans_per_connection_max),
            refusal_slots: Quota::new(REFUSALS_WAITING_MAX),
            calls_waiting: Quota::new(limits.calls_waiting_max),
        }
    }

    fn describe(&self) -> ServerInfo {
        let chain = &self.shared.chain;
        let progress = chain.progress();
        let view = self.shared.refresher.view();
        let tip = view.as_ref().and_then(|view| view.chain.tip());
        let lowest = view.and_then(|view| view.lowest);
        ServerInfo {
            protocol_version: PROTOCOL_VERSION,
            software: concat!("rescan-server ", env!("CARGO_PKG_VERSION")).to_owned(),
            network: chain.network().to_bitcoin(),
            features: vec![
                Feature::Scan,
                Feature::Blocks,
                Feature::Birthday,
                Feature::GapRule,
                Feature::Coins,
                Feature::Proofs,
                Feature::Locator,
                Feature::MatchBlock,
                Feature::WaitTip,
            ],
            chain: ChainInfo {
                genesis: chain.network().genesis_hash(),
                state: self.shared.refresher.state(),
                tip,
                lowest_height: lowest.unwrap_or_default(),
                source: chain.source(),
                reading: ReadingProgress { bytes_done: progress.bytes_done, bytes_total: progress.bytes_total },
            },
            limits: self.shared.limits.told(),
            node: self.shared.node.status(),
            figures: self.shared.figures.now(),
        }
    }

    /// Has a job run as a task of a new scan capability, or refuses it if there are too many.
    fn begin<S, W>(
        &self,
        range: RangeRequest,
        going_on: GoingOn,
        sink: <S::Piece as Cargo>::Sink,
        keychain_count: Rc<Cell<u32>>,
        prepare: impl Future<Output = Result<W, Early>> + 'static,
        start: impl FnOnce(&Shared, &Control, W, Pinned) -> Result<Option<S>, Refusal> + 'static,
    ) -> capnp::Result<rescan_core::rescan_capnp::scan::Client>
    where
        S: Source + 'static,
        W: 'static,
    {
        let shared = Rc::clone(&self.shared);
        let control = Rc::new(Control::new(Arc::clone(&shared.chain)));
        let slots = self.scan_slots.take().zip(shared.scan_slots.take());
        let (slots, task) = match slots.map(<[_; 2]>::from) {
            Some(slots) => {
                shared.remember(&control);
                let (shared_too, control_too) = (Rc::clone(&shared), Rc::clone(&control));
                let counted = shared.figures.scan_begun();
                let job = Job::<S> {
                    shared: shared_too,
                    control: control_too,
                    sink,
                    range,
                    going_on,
                    keychain_count,
                    counted,
                };
                let started = Rc::clone(&control);
                let run = job.run(prepare, move |watched, pinned| start(&shared, &started, watched, pinned));
                (slots.into(), tokio::task::spawn_local(run.in_current_span()))
            }
            None => {
                let slot = self.refusal_slots.take().ok_or_else(too_many_calls)?;
                (vec![slot], self.refuse::<S::Piece>(&control, sink))
            }
        };
        let calls_waiting = Rc::clone(&self.calls_waiting);
        Ok(capnp_rpc::new_client(ScanServer::new(control, task.abort_handle(), calls_waiting, slots)))
    }

    fn refuse<C: Cargo>(&self, control: &Rc<Control>, sink: C::Sink) -> tokio::task::JoinHandle<()> {
        let SessionLimits { scans_per_connection_max: max, scans_max, .. } = self.shared.limits;
        let ending = rescan_core::report::Ending::Refused(Refusal {
            reason: RefusalReason::TooManyScans,
            position: 0,
            detail: format!(
                "a connection runs at most {max} scans at a time, all connections together at most {scans_max}: drop one \
                 first, or try again later"
            ),
        });
        let patience = self.shared.limits.stalled_after;
        self.shared.figures.scan_begun().ended(&ending);
        control.end();
        tokio::task::spawn_local(async move { job::say_done::<C>(&sink, &ending, patience).await })
    }
}

impl rescan::Server for Session {
    async fn info(self: Rc<Self>, _params: rescan::InfoParams, mut results: rescan::InfoResults) -> capnp::Result<()> {
        wire::write_server_info(&self.describe(), results.get().init_info()).map_err(|error| failed(&error))
    }

    async fn new_watch_set(
        self: Rc<Self>,
        _params: rescan::NewWatchSetParams,
        mut results: rescan::NewWatchSetResults,
    ) -> capnp::Result<()> {
        let slot = self.watch_set_slots.take().ok_or_else(|| {
            let max = self.shared.limits.watch_sets_per_connection_max;
            capnp::Error::overloaded(format!("a connection has at most {max} watch sets: drop one first"))
        })?;
        let calls_waiting = Rc::clone(&self.calls_waiting);
        let watch_set = WatchSetServer::new(Rc::clone(&self.shared), calls_waiting, &self.watched, slot);
        let mut watch_sets = self.watch_sets.borrow_mut();
        watch_sets.gc();
        results.get().set_watch_set(watch_sets.new_client(watch_set));
        Ok(())
    }

    async fn scan(self: Rc<Self>, params: rescan::ScanParams, mut results: rescan::ScanResults) -> capnp::Result<()> {
        let params = params.get()?;
        let request = wire::read_scan_request(params.get_request()?).map_err(|error| failed(&error))?;
        let keychain_count = Rc::default();
        let prepare = prepare(Rc::clone(&self), params.get_watch_set()?, Rc::clone(&keychain_count));
        let going_on = GoingOn { covered: request.scanned.clone(), mark_every: request.mark_every };
        let range = request.range.clone();
        let start = move |shared: &Shared, control: &Control, sealed: Sealed, pinned: Pinned| {
            start_scan(shared, control, &request, sealed, pinned)
        };
        let scan = self.begin(range, going_on, params.get_sink()?, keychain_count, prepare, start)?;
        results.get().set_scan(scan);
        Ok(())
    }

    async fn blocks(
        self: Rc<Self>,
        params: rescan::BlocksParams,
        mut results: rescan::BlocksResults,
    ) -> capnp::Result<()> {
        let params = params.get()?;
        let range = wire::read_range(params.get_range()?).map_err(|error| failed(&error))?;
        let prepare = std::future::ready(Ok(()));
        let start = |shared: &Shared, control: &Control, (): (), pinned: Pinned| {
            let (pool, chain) = (&shared.pool, Arc::clone(&shared.chain));
            let cancel = control.cancel_handle();
            Ok(pinned.walked.map(|range| BlockReader::start(pool, chain, pinned.chain, range, cancel)))
        };
        let scan = self.begin(range, GoingOn::default(), params.get_sink()?, Rc::default(), prepare, start)?;
        results.get().set_scan(scan);
        Ok(())
    }

    async fn locate(
        self: Rc<Self>,
        params: rescan::LocateParams,
        mut results: rescan::LocateResults,
    ) -> capnp::Result<()> {
        let _waits = self.calls_waiting.take().ok_or_else(too_many_calls)?;
        let hashes = {
            let hashes = params.get()?.get_hashes()?;
            if hashes.len() > BLOCK_IDS_PER_CALL_MAX {
                let found = hashes.len();
                return Err(capnp::Error::failed(format!(
                    "{found} hashes in one call to locate, at most {BLOCK_IDS_PER_CALL_MAX} are looked for"
                )));
            }
            wire::read_hashes("hashes", hashes).map_err(|error| failed(&error))?
        };
        // The message would be held for as long as the call waits.
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
        let found = match self.scan_slots.take() {
            None => block_match::too_many(&limits),
            Some(_slot) => match Query::read(params.get()?, &limits)? {
                Err(refusal) => BlockMatch::Refused(refusal),
                Ok(query) => {
                    // The message would be held for as long as the call waits.
                    drop(params);
                    query.answer(&self.shared).await?
                }
            },
        };
        block_match::count(&self.shared.figures, &found);
        wire::write_block_match(&found, results.get().init_result()).map_err(|error| failed(&error))
    }

    async fn wait_tip(
        self: Rc<Self>,
        params: rescan::WaitTipParams,
        mut results: rescan::WaitTipResults,
    ) -> capnp::Result<()> {
        let _waits = self.calls_waiting.take().ok_or_else(too_many_calls)?;
        let wait = read_tip_wait(params.get()?)?;
        // The message would be held for as long as the call waits.
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
        false => Some(wire::read_block_hash("known", known).map_err(|error| failed(&error))?),
    };
    Ok(TipWait::new(known, Duration::from_millis(params.get_timeout_millis().into())))
}

impl From<RefreshError> for capnp::Error {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Stopping => Self::disconnected("the server is stopping".to_owned()),
            RefreshError::Failed(failure) => Self::failed(failure.detail),
        }
    }
}

pub(crate) fn too_many_calls() -> capnp::Error {
    capnp::Error::overloaded("too many calls of this connection are waiting: take some answers first".to_owned())
}

pub(crate) fn failed(error: &wire::WireError) -> capnp::Error {
    capnp::Error::failed(rescan_core::causes::with_causes(error))
}
