//! The server as a whole: one socket, one chain, one pool, any number of sessions, one thread that talks.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures::future::OptionFuture;
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::timeout;

use crate::chain::{Chain, ChainError};
use crate::config::ServerConfig;
use crate::figures::LiveFigures;
use crate::listener::{BindError, Listener};
use crate::metrics::{MetricsError, MetricsListener};
use crate::node::link_task::LinkTask;
use crate::node::tip_watcher::TipWatcher;
use crate::reception::Reception;
use crate::refresh::file_watch::FileWatch;
use crate::refresh::poller::Poller;
use crate::refresh::refresher::Refresher;
use crate::scan::{PoolError, WorkerPool};
use crate::service_manager::Outlook;
use crate::session::guard::limits::SessionLimits;
use crate::session::{Shared, housekeeping};

/// How long a stopping server waits for its scans to tell their wallets how far they came.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Why a server does not serve.
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
    /// Metrics were asked for and cannot be told.
    #[error("no metrics")]
    Metrics(#[from] MetricsError),
    /// The socket cannot be listened on.
    #[error("cannot listen on the socket")]
    Listen(#[source] io::Error),
}

/// A server whose socket is bound; clients that connect wait until it runs.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    chain: Arc<Chain>,
    pool: WorkerPool,
    limits: SessionLimits,
    node_socket: Option<PathBuf>,
    metrics: Option<MetricsListener>,
    figures: Arc<LiveFigures>,
    serving: watch::Sender<bool>,
}

/// Binds and runs a server until `shutdown` is kept.
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
    /// [`ServeError`], if there are no block files, or the socket cannot be had.
    pub fn bind(config: ServerConfig) -> Result<Self, ServeError> {
        // The socket first: of two servers with the same arguments, the second is to hear that this is what it is.
        let listener = Listener::bind(&config.socket)?;
        let chain = Arc::new(Chain::open(config.chain)?);
        let pool = WorkerPool::new(config.workers)?;
        let metrics = config.metrics.as_ref().map(MetricsListener::bind).transpose()?;
        let (figures, serving) = (Arc::default(), watch::Sender::new(false));
        Ok(Self {
            listener,
            chain,
            pool,
            limits: config.limits,
            node_socket: config.node_socket,
            metrics,
            figures,
            serving,
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.listener.path()
    }

    /// What can be seen of it while it runs.
    pub(crate) fn outlook(&self) -> Outlook {
        let (chain, figures) = (Arc::clone(&self.chain), Arc::clone(&self.figures));
        Outlook { serving: self.serving.subscribe(), chain, figures }
    }

    /// Serves until `shutdown` is kept; then ends all scans, tells their wallets, and removes the socket.
    ///
    /// Must run in a Tokio runtime with time and I/O, and does everything but the work of the pool on the calling
    /// thread.
    ///
    /// # Errors
    /// [`ServeError::Listen`], if the socket cannot be listened on, and [`ServeError::Metrics`] likewise.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { listener, chain, pool, limits, node_socket, metrics, figures, serving } = self;
        let accepting = listener.accepting().map_err(ServeError::Listen)?;
        let _exporter = metrics.map(|metrics| metrics.start(Arc::clone(&figures))).transpose()?;
        tracing::info!(socket = %listener.path().display(), network = %chain.network(), version = env!("CARGO_PKG_VERSION"), "serving");
        let files = FileWatch::new(chain.files().directory());
        let (link, node) = match node_socket.map(LinkTask::new) {
            Some((link, node)) => (Some(link), node),
            None => (None, TipWatcher::disabled()),
        };
        let (refresher, refreshing) = Refresher::new(Arc::clone(&chain), node.clone(), Arc::clone(&figures));
        let refresher = Rc::new(refresher);
        let poller = Poller {
            chain: Arc::clone(&chain),
            refresher: Rc::clone(&refresher),
            figures: Arc::clone(&figures),
            files,
            node: node.clone(),
        };
        let shared = Rc::new(Shared::new(chain, pool.clone(), refresher, limits, node, figures));
        serving.send_replace(true);
        let running = async {
            let tasks = Tasks::spawn(&shared, refreshing, link, poller);
            let mut reception = Reception::new(Rc::clone(&shared), tasks.stop.subscribe());
            reception.receive(accepting, shutdown).await;
            tracing::info!("stopping");
            tasks.end(shared, reception).await;
        };
        LocalSet::new().run_until(running).await;
        workers_idle(&pool).await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// What runs beside the connections for as long as the server does.
struct Tasks {
    /// Whether the connections and the link are to end.
    stop: watch::Sender<bool>,
    linking: Option<JoinHandle<()>>,
    refreshing: JoinHandle<()>,
    polling: JoinHandle<()>,
    house: JoinHandle<()>,
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
            house: spawn_local(housekeeping::keep_house(Rc::clone(shared))),
            stop,
        }
    }

    /// Ends the scans, then the connections, then everything else.
    async fn end(self, shared: Rc<Shared>, reception: Reception) {
        shared.end_scans();
        if timeout(STOP_MAX, shared.scans_over()).await.is_err() {
            tracing::warn!(after = ?STOP_MAX, "scans are abandoned: their wallets do not take what they found; they go on from their last checkpoint");
        }
        self.stop.send_replace(true);
        reception.close().await;
        if let Some(Err(error)) = OptionFuture::from(self.linking).await {
            tracing::error!(%error, "the link to the node failed");
        }
        // The last to hold what refreshes the chain lets go of it, so that a walk under way ends.
        self.polling.abort();
        self.house.abort();
        drop(shared);
        if let Err(error) = self.refreshing.await {
            tracing::error!(%error, "the chain's refreshes failed: please report this");
        }
    }
}

/// Waits until no worker is in a job any more: each of them is to meet all others in one. The scans are gone by now, so
/// that what is still under way ends within a block.
async fn workers_idle(pool: &WorkerPool) {
    let all_here = Arc::new(Barrier::new(pool.workers()));
    let meet = || {
        let all_here = Arc::clone(&all_here);
        pool.run(move || {
            all_here.wait();
        })
    };
    let meetings: Vec<_> = (0..pool.workers()).map(|_worker| meet()).collect();
    for met in meetings {
        if let Err(error) = met.await {
            tracing::error!(%error, "a worker did not end its work: please report this");
        }
    }
}
