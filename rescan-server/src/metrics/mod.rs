//! The server's figures for Prometheus: off unless asked for, and then on a Unix socket or on the loopback interface.
//!
//! It has a thread of its own and touches atomics alone, so that nobody who asks, however often or badly, takes time
//! from the thread that talks to wallets. What is told holds no name, script, transaction or peer: on the loopback
//! interface any user of the machine may ask. Not for networks: whoever wants that puts a proxy before it.
//!
//! Invariant: at most [`ASKERS_MAX`] connections are looked at, each for [`ANSWER_MAX`] at most and up to
//! [`REQUEST_BYTES_MAX`] bytes; others wait in the kernel's queue, which is bounded too.

mod address;
mod http;
mod text;

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

pub use self::address::{MetricsAddress, MetricsAddressError};
use crate::figures::LiveFigures;
use crate::listener::{BindError, Listener};

/// Connections that are looked at at a time. One Prometheus needs one.
pub const ASKERS_MAX: usize = 4;

/// How long one connection may take, from first to last byte. A scraper's own limit is usually ten seconds.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How much of a request is read, in bytes. Prometheus sends some 300.
pub const REQUEST_BYTES_MAX: usize = 8 << 10;

/// How long to wait after a connection could not be accepted, most likely for want of file descriptors.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The Unix socket cannot be had.
    #[error("no socket for metrics")]
    Unix(#[from] BindError),
    /// The port cannot be had.
    #[error("cannot listen for metrics on {address}: give another --metrics")]
    Loopback {
        /// Which.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// There is no thread for it.
    #[error("cannot start the metrics thread")]
    Thread(#[source] io::Error),
}

/// Where figures are asked for, bound and not yet answered.
#[derive(Debug)]
pub(crate) enum MetricsListener {
    Unix(Listener),
    Loopback(std::net::TcpListener),
}

/// The thread that answers. It ends when this is dropped.
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

    /// Where it is bound, with the port that the kernel chose where none was named.
    fn address(&self) -> MetricsAddress {
        match self {
            Self::Unix(listener) => MetricsAddress::Unix(PathBuf::from(listener.path())),
            Self::Loopback(listener) => {
                let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
                MetricsAddress::Loopback(listener.local_addr().unwrap_or(unknown))
            }
        }
    }

    /// Answers from here on.
    pub(crate) fn start(self, figures: Arc<LiveFigures>) -> Result<Exporter, MetricsError> {
        tracing::info!(at = %self.address(), "metrics can be asked for");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(MetricsError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let answer = move || runtime.block_on(self.answer(figures, stopped));
        let thread =
            std::thread::Builder::new().name("metrics".to_owned()).spawn(answer).map_err(MetricsError::Thread)?;
        Ok(Exporter { stop: Some(stop), thread: Some(thread) })
    }

    async fn answer(self, figures: Arc<LiveFigures>, stopped: oneshot::Receiver<()>) {
        let answering = async {
            match &self {
                Self::Unix(listener) => {
                    let own = rustix::process::geteuid().as_raw();
                    let accepting = listener.accepting()?;
                    let accept = || async {
                        let (stream, _address) = accepting.accept().await?;
                        let is_ours = stream.peer_cred().is_ok_and(|peer| is_trusted_user(peer.uid(), own));
                        Ok(is_ours.then_some(stream))
                    };
                    answer_all(accept, &figures).await
                }
                Self::Loopback(listener) => {
                    let accepting = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
                    let accept = || async { accepting.accept().await.map(|(stream, _address)| Some(stream)) };
                    answer_all(accept, &figures).await
                }
            }
        };
        tokio::select! {
            // Told to, or by one that is gone.
            _ = stopped => {}
            ended = answering => {
                let Err::<std::convert::Infallible, io::Error>(error) = ended;
                tracing::error!(%error, "metrics are not told any more; restart the server to have them again");
            }
        }
    }
}

/// Answers all who come, a few at a time; ends only by being dropped.
async fn answer_all<S, A>(accept: impl Fn() -> A, figures: &Arc<LiveFigures>) -> io::Result<std::convert::Infallible>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Future<Output = io::Result<Option<S>>>,
{
    let places = Arc::new(Semaphore::new(ASKERS_MAX));
    let mut askers = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
        // Those that are done; there are never more of them than places.
        while askers.try_join_next().is_some() {}
        match accept().await {
            Ok(Some(stream)) => {
                let figures = Arc::clone(figures);
                askers.spawn(async move {
                    let answered = timeout(ANSWER_MAX, http::answer(stream, || text::render(&figures))).await;
                    tracing::debug!(in_time = answered.is_ok(), "metrics were asked for");
                    drop(place);
                });
            }
            Ok(None) => tracing::debug!("metrics are not told to another user"),
            Err(error) => {
                tracing::warn!(%error, "nobody can ask for metrics; raise the limit of open files if this goes on");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
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
