//! The export of metrics to Prometheus: off by default, on a Unix socket or on the loopback interface.
//!
//! It runs on its own thread and reads atomics alone, so scrapers take no time from the RPC thread. The metrics hold
//! no name, script, transaction or peer, because every user of the machine can reach the loopback interface. Access from
//! other machines needs a proxy in front of it.
//!
//! Invariant: at most [`SCRAPERS_MAX`] connections are served at a time, each for at most [`RESPONSE_TIME_MAX`] and up to
//! [`REQUEST_BYTES_MAX`] bytes. Others wait in the kernel's queue, which is bounded too.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rescan_core::peer::is_trusted_user;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::counters::Counters;
use super::{MetricsAddress, http, text};
use crate::listener::{BindError, Listener};

/// Connections served at a time. One Prometheus needs one.
pub const SCRAPERS_MAX: usize = 4;

/// The time limit of one connection, from first to last byte. A scraper's own limit is usually ten seconds.
pub const RESPONSE_TIME_MAX: Duration = Duration::from_secs(5);

/// The largest request that is read, in bytes. Prometheus sends some 300.
pub const REQUEST_BYTES_MAX: usize = 8 << 10;

/// The pause after a failure to accept a connection. The usual cause is a lack of file descriptors.
const ACCEPT_RETRY_AFTER: Duration = Duration::from_millis(100);

/// A failure to export metrics.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The Unix socket cannot be bound.
    #[error("no socket for metrics")]
    Unix(#[from] BindError),
    /// The port cannot be bound.
    #[error("cannot listen for metrics on {address}: give another --metrics")]
    Loopback {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The thread cannot be started.
    #[error("cannot start the metrics thread")]
    Thread(#[source] io::Error),
}

/// A bound socket for scrapers that is not served yet.
#[derive(Debug)]
pub(crate) enum MetricsListener {
    Unix(Listener),
    Loopback(std::net::TcpListener),
}

/// The thread that serves scrapers. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Exporter {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsListener {
    pub(crate) fn bind(address: &MetricsAddress) -> Result<Self, MetricsError> {
        match address {
            MetricsAddress::Unix(path) => Ok(Self::Unix(Listener::bind(path)?)),
            MetricsAddress::Loopback(address) => {
                let bound = std::net::TcpListener::bind(address)
                    .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
                let listener = bound.map_err(|source| MetricsError::Loopback { address: *address, source })?;
                Ok(Self::Loopback(listener))
            }
        }
    }

    /// The bound address, with the port that the kernel chose for port 0.
    fn address(&self) -> MetricsAddress {
        match self {
            Self::Unix(listener) => MetricsAddress::Unix(PathBuf::from(listener.path())),
            Self::Loopback(listener) => {
                let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
                MetricsAddress::Loopback(listener.local_addr().unwrap_or(unknown))
            }
        }
    }

    /// Starts to serve scrapers.
    pub(crate) fn start(self, counters: Arc<Counters>) -> Result<Exporter, MetricsError> {
        tracing::info!(at = %self.address(), "metrics are available");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(MetricsError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || runtime.block_on(self.serve(counters, stopped));
        let thread =
            std::thread::Builder::new().name("metrics".to_owned()).spawn(serve).map_err(MetricsError::Thread)?;
        Ok(Exporter { stop: Some(stop), thread: Some(thread) })
    }

    async fn serve(self, counters: Arc<Counters>, stopped: oneshot::Receiver<()>) {
        let serving = async {
            match &self {
                Self::Unix(listener) => {
                    let own = rustix::process::geteuid().as_raw();
                    let accepting = listener.accepting()?;
                    let accept = || async {
                        let (stream, _address) = accepting.accept().await?;
                        let is_ours = stream.peer_cred().is_ok_and(|peer| is_trusted_user(peer.uid(), own));
                        Ok(is_ours.then_some(stream))
                    };
                    serve_all(accept, &counters).await
                }
                Self::Loopback(listener) => {
                    let accepting = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
                    let accept = || async { accepting.accept().await.map(|(stream, _address)| Some(stream)) };
                    serve_all(accept, &counters).await
                }
            }
        };
        tokio::select! {
            // The exporter was dropped.
            _ = stopped => {}
            ended = serving => {
                let Err::<std::convert::Infallible, io::Error>(error) = ended;
                tracing::error!(%error, "metrics are no longer served; restart the server to serve them again");
            }
        }
    }
}

/// Serves all connections, a few at a time; ends only by being dropped.
async fn serve_all<S, A>(accept: impl Fn() -> A, counters: &Arc<Counters>) -> io::Result<std::convert::Infallible>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Future<Output = io::Result<Option<S>>>,
{
    let permits = Arc::new(Semaphore::new(SCRAPERS_MAX));
    let mut scrapers = JoinSet::new();
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await.map_err(io::Error::other)?;
        // Remove finished tasks. There are never more tasks than permits.
        while scrapers.try_join_next().is_some() {}
        match accept().await {
            Ok(Some(stream)) => {
                let counters = Arc::clone(counters);
                scrapers.spawn(async move {
                    let served = timeout(RESPONSE_TIME_MAX, http::answer(stream, || text::render(&counters))).await;
                    tracing::debug!(in_time = served.is_ok(), "metrics were scraped");
                    drop(permit);
                });
            }
            Ok(None) => tracing::debug!("a scraper of another user is refused"),
            Err(error) => {
                tracing::warn!(%error, "cannot accept scrapers; raise the limit of open files if this persists");
                tokio::time::sleep(ACCEPT_RETRY_AFTER).await;
            }
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the metrics thread panicked: please report this");
        }
    }
}
