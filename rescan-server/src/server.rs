//! The server as a whole: one socket, one chain, one pool, any number of sessions, one thread that talks.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures::future::OptionFuture;
use rescan_core::server_info::NodeLink;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;
use tracing::Instrument;

use crate::chain::{Chain, ChainError};
use crate::config::ServerConfig;
use crate::figures::LiveFigures;
use crate::listener::{BindError, Listener, may_connect};
use crate::metrics::{MetricsError, MetricsListener};
use crate::node::files::FileWatch;
use crate::node::link::Link;
use crate::node::upkeep::keep_up;
use crate::scan::{PoolError, WorkerPool};
use crate::service_manager::Outlook;
use crate::session::limits::{Quota, SessionLimits};
use crate::session::refresh::Refresher;
use crate::session::{Shared, connection, housekeeping};

/// How long a stopping server waits for its scans to tell their wallets how far they came.
const STOP_MAX: Duration = Duration::from_secs(5);

/// How long to wait after a connection could not be accepted, most likely for want of file descriptors: until some
/// client leaves, trying again at once would only burn a core.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

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
        let chain = Arc::new(Chain::open(config.chain)?);
        let listener = Listener::bind(&config.socket)?;
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
        let (refresher, refreshing) = Refresher::new(Arc::clone(&chain), Arc::clone(&figures));
        let files = FileWatch::new(chain.files().directory());
        let (link, hearing) = match node_socket.map(Link::new) {
            Some((link, hearing)) => (Some(link), hearing),
            None => (None, Link::off()),
        };
        let shared = Rc::new(Shared::new(chain, pool.clone(), refresher, limits, hearing.clone(), figures));
        let node = Node { link, hearing, files };
        serving.send_replace(true);
        LocalSet::new().run_until(run(accepting, shared, refreshing, node, shutdown)).await;
        workers_idle(&pool).await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// What there is of the node.
struct Node {
    link: Option<Link>,
    hearing: watch::Receiver<NodeLink>,
    files: FileWatch,
}

async fn run(
    listener: tokio::net::UnixListener,
    shared: Rc<Shared>,
    refreshing: impl Future<Output = ()> + 'static,
    node: Node,
    shutdown: impl Future<Output = ()>,
) {
    let refreshing = tokio::task::spawn_local(refreshing);
    let stop = watch::Sender::new(false);
    let Node { link, hearing, files } = node;
    let linking = link.map(|link| tokio::task::spawn_local(link.keep(stop.subscribe())));
    let keeping_up = tokio::task::spawn_local(keep_up(Rc::clone(&shared), files, hearing));

    let house = tokio::task::spawn_local(housekeeping::keep_house(Rc::clone(&shared)));

    let connections = Quota::new(shared.limits().connections_max);
    let mut shutdown = pin!(shutdown);
    let mut sessions = JoinSet::new();
    // Tells connections apart in the log.
    let mut number = 0_u64;
    let mut accepts = true;
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted.inspect(|_| accepts = true) {
                Ok((stream, _address)) if is_allowed(&stream) => {
                    let Some(slot) = connections.take() else {
                        let max = shared.limits().connections_max;
                        shared.figures().turned_away();
                        tracing::warn!(max, "a client is turned away: too many connections; see which program keeps them open");
                        let reason = format!("the server has {max} connections, its limit: try again later");
                        sessions.spawn_local(async move { connection::turn_away(stream, &reason).await });
                        continue;
                    };
                    let (shared, mut stopping) = (Rc::clone(&shared), stop.subscribe());
                    let counted = shared.figures().connected();
                    let session = async move {
                        let stopped = async { drop(stopping.wait_for(|stop| *stop).await) };
                        connection::serve(stream, shared, stopped).await;
                        drop((slot, counted));
                    };
                    number += 1;
                    sessions.spawn_local(session.instrument(tracing::info_span!("connection", number)));
                }
                Ok(_stranger) => shared.figures().of_other_user(),
                Err(error) => {
                    // Once until it works again: it may take hours, and is tried ten times a second.
                    if std::mem::replace(&mut accepts, false) {
                        tracing::warn!(
                            %error,
                            "connections cannot be accepted and wait; raise the limit of open files (LimitNOFILE=, ulimit -n) if it is that"
                        );
                    }
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                }
            },
            Some(ended) = sessions.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a session failed: please report this");
                }
            }
        }
    }
    drop(listener);
    tracing::info!("stopping");
    shared.end_scans();
    if timeout(STOP_MAX, shared.scans_over()).await.is_err() {
        tracing::warn!(after = ?STOP_MAX, "scans are abandoned: their wallets do not take what they found; they go on from their last checkpoint");
    }
    stop.send_replace(true);
    while sessions.join_next().await.is_some() {}
    if let Some(Err(error)) = OptionFuture::from(linking).await {
        tracing::error!(%error, "the link to the node failed");
    }
    // The last to hold what refreshes the chain lets go of it, so that a walk under way ends.
    keeping_up.abort();
    house.abort();
    drop(shared);
    if let Err(error) = refreshing.await {
        tracing::error!(%error, "the chain's refreshes failed: please report this");
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

/// Whether the kernel says that the peer is one of ours. Decided before a byte is read.
fn is_allowed(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) if may_connect(peer.uid(), rustix::process::geteuid().as_raw()) => true,
        Ok(peer) => {
            tracing::warn!(
                uid = peer.uid(),
                "a connection is refused: its user is not the server's; run the wallet as that"
            );
            false
        }
        Err(error) => {
            tracing::warn!(%error, "a connection is refused: the kernel does not say whose it is; put --socket on a local file system");
            false
        }
    }
}
