//! The whole server: one socket, one chain, one pool, any number of sessions, one RPC thread.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures::future::OptionFuture;
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::timeout;

use crate::acceptor::Acceptor;
use crate::allocator_trim::trim_when_idle;
use crate::chain::{Chain, ChainError};
use crate::config::ServerConfig;
use crate::listener::{BindError, Listener};
use crate::metrics::counters::Counters;
use crate::metrics::{MetricsError, MetricsListener};
use crate::node::link_task::LinkTask;
use crate::node::tip_watcher::TipWatcher;
use crate::refresh::file_watch::FileWatch;
use crate::refresh::poller::Poller;
use crate::refresh::refresher::Refresher;
use crate::scan::{PoolError, WorkerPool};
use crate::service_status::ServiceStatus;
use crate::session::guard::limits::SessionLimits;
use crate::session::scan::running::RunningScans;
use crate::session::shared::Shared;

/// The time for which a stopping server waits for its scans to deliver their summaries.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A failure to serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// There is no socket to listen on.
    #[error("no socket to listen on")]
    Bind(#[from] BindError),
    /// There are no block files to serve.
    #[error("no chain to serve")]
    Chain(#[from] ChainError),
    /// The worker threads could not be started.
    #[error("no workers to scan with: try fewer with --workers")]
    Workers(#[from] PoolError),
    /// The configured metrics cannot be exported.
    #[error("no metrics")]
    Metrics(#[from] MetricsError),
    /// The socket cannot be listened on.
    #[error("cannot listen on the socket")]
    Listen(#[source] io::Error),
}

/// A server with a bound socket. Clients that connect wait until it runs.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    chain: Arc<Chain>,
    pool: WorkerPool,
    limits: SessionLimits,
    node_socket: Option<PathBuf>,
    metrics: Option<MetricsListener>,
    counters: Arc<Counters>,
    serving: watch::Sender<bool>,
}

/// Binds and runs a server until `shutdown` completes.
///
/// # Errors
/// [`ServeError`], before anything is served.
pub async fn serve(config: ServerConfig, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    Server::bind(config)?.run(shutdown).await
}

impl Server {
    /// Opens the chain, without reading it, and binds the socket.
    ///
    /// # Errors
    /// [`ServeError`], if there are no block files, or the socket cannot be bound.
    pub fn bind(config: ServerConfig) -> Result<Self, ServeError> {
        // The socket first: a second server with the same arguments then fails with the true reason.
        let listener = Listener::bind(&config.socket)?;
        let chain = Arc::new(Chain::open(config.chain)?);
        let pool = WorkerPool::new(config.workers)?;
        let metrics = config.metrics.as_ref().map(MetricsListener::bind).transpose()?;
        let (counters, serving) = (Arc::default(), watch::Sender::new(false));
        Ok(Self {
            listener,
            chain,
            pool,
            limits: config.limits,
            node_socket: config.node_socket,
            metrics,
            counters,
            serving,
        })
    }

    /// The path at which clients connect.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.listener.path()
    }

    /// The status for the service manager, current while the server runs.
    pub(crate) fn status(&self) -> ServiceStatus {
        let (chain, counters) = (Arc::clone(&self.chain), Arc::clone(&self.counters));
        ServiceStatus { serving: self.serving.subscribe(), chain, counters }
    }

    /// Serves until `shutdown` completes; then cancels all scans, delivers their summaries, and removes the socket.
    ///
    /// Must run in a Tokio runtime with time and I/O. Everything but the work of the pool runs on the calling thread.
    ///
    /// # Errors
    /// [`ServeError::Listen`] or [`ServeError::Metrics`], if a socket cannot be listened on.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { listener, chain, pool, limits, node_socket, metrics, counters, serving } = self;
        let accepting = listener.accepting().map_err(ServeError::Listen)?;
        let _exporter = metrics.map(|metrics| metrics.start(Arc::clone(&counters))).transpose()?;
        tracing::info!(socket = %listener.path().display(), network = %chain.network(), version = env!("CARGO_PKG_VERSION"), "serving");
        let files = FileWatch::new(chain.files().directory());
        let (link, node) = match node_socket.map(LinkTask::new) {
            Some((link, node)) => (Some(link), node),
            None => (None, TipWatcher::disabled()),
        };
        let (refresher, refreshing) = Refresher::new(Arc::clone(&chain), node.clone(), Arc::clone(&counters));
        let refresher = Rc::new(refresher);
        let poller = Poller {
            chain: Arc::clone(&chain),
            refresher: Rc::clone(&refresher),
            counters: Arc::clone(&counters),
            files,
            node: node.clone(),
        };
        let shared = Rc::new(Shared::new(chain, pool.clone(), refresher, limits, node, counters));
        let running_scans = Rc::new(RunningScans::default());
        serving.send_replace(true);
        let running = async {
            let tasks = Tasks::spawn(&shared, refreshing, link, poller);
            let stop = tasks.stop.subscribe();
            let mut acceptor = Acceptor::new(Rc::clone(&shared), Rc::clone(&running_scans), stop);
            acceptor.accept(accepting, shutdown).await;
            tracing::info!("stopping");
            end_scans(&running_scans).await;
            tasks.end(shared, acceptor).await;
        };
        LocalSet::new().run_until(running).await;
        workers_idle(&pool).await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// The tasks that run beside the connections.
struct Tasks {
    /// True once the connections and the link must end.
    stop: watch::Sender<bool>,
    linking: Option<JoinHandle<()>>,
    refreshing: JoinHandle<()>,
    polling: JoinHandle<()>,
    trimming: JoinHandle<()>,
}

impl Tasks {
    fn spawn(
        shared: &Rc<Shared>,
        refreshing: impl Future<Output = ()> + 'static,
        link: Option<LinkTask>,
        poller: Poller,
    ) -> Self {
        let stop = watch::Sender::new(false);
        Self {
            linking: link.map(|link| spawn_local(link.run(stop.subscribe()))),
            refreshing: spawn_local(refreshing),
            polling: spawn_local(poller.run()),
            trimming: spawn_local(trim_when_idle(Rc::clone(shared))),
            stop,
        }
    }

    /// Ends the connections, then all other tasks.
    async fn end(self, shared: Rc<Shared>, acceptor: Acceptor) {
        self.stop.send_replace(true);
        acceptor.close().await;
        if let Some(Err(error)) = OptionFuture::from(self.linking).await {
            tracing::error!(%error, "the link to the node failed");
        }
        // These hold the refresher. Dropping it ends a refresh under way.
        self.polling.abort();
        self.trimming.abort();
        drop(shared);
        if let Err(error) = self.refreshing.await {
            tracing::error!(%error, "the refresher failed: please report this");
        }
    }
}

/// Cancels all scans, and waits for their summaries to be delivered.
async fn end_scans(running: &RunningScans) {
    running.cancel_all();
    if timeout(STOP_MAX, running.closed()).await.is_err() {
        tracing::warn!(
            after = ?STOP_MAX,
            "scans are abandoned: their wallets do not take the reports; they can resume from their last checkpoint"
        );
    }
}

/// Waits until no worker runs a job: all workers meet at a barrier. The scans are dropped by now, so jobs under way end
/// within a block.
async fn workers_idle(pool: &WorkerPool) {
    let barrier = Arc::new(Barrier::new(pool.workers()));
    let meet = || {
        let barrier = Arc::clone(&barrier);
        pool.run(move || {
            barrier.wait();
        })
    };
    let meetings: Vec<_> = (0..pool.workers()).map(|_worker| meet()).collect();
    for met in meetings {
        if let Err(error) = met.await {
            tracing::error!(%error, "a worker did not finish its job: please report this");
        }
    }
}
