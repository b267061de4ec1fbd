//! A handle on a connection's thread.

use std::future::Future;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use rescan_core::rescan_capnp::rescan;
use rescan_core::server_info::ServerInfo;
use tokio::sync::{mpsc, oneshot};

use super::greeting::Peer;
use super::thread;
use super::traffic::{Traffic, TrafficCount};
use crate::error::{CallError, ConnectError};

/// How long a peer may take to answer the first call. A server answers while it still reads its chain, so seconds are ample
/// even on a machine that swaps; without a bound, a silent peer would hang the wallet.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Jobs on their way to the thread. It takes each at once; more would only wait elsewhere.
const JOBS_MAX: usize = 16;

/// Makes a task on the connection's thread from the server's capability.
pub(super) type Job = Box<dyn FnOnce(rescan::Client) -> LocalBoxFuture<'static, ()> + Send>;

/// A handle on the thread.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    jobs: mpsc::Sender<Job>,
    traffic: TrafficCount,
    /// The process that listens, where it is visible from here.
    peer: Option<u32>,
}

impl Connection {
    /// Starts the thread, connects, and asks the server for its [`ServerInfo`].
    pub(crate) async fn open(peer: Peer) -> Result<(Self, ServerInfo), ConnectError> {
        Self::open_within(peer, GREETING_TIMEOUT).await
    }

    async fn open_within(peer: Peer, timeout: Duration) -> Result<(Self, ServerInfo), ConnectError> {
        let (jobs, inbox) = mpsc::channel(JOBS_MAX);
        let traffic = TrafficCount::default();
        let greeting = thread::start(peer, timeout, traffic.clone(), inbox)?.await;
        let greeting = greeting.unwrap_or(Err(ConnectError::HungUp))?;
        Ok((Self { jobs, traffic, peer: greeting.listener }, greeting.server_info))
    }

    /// Runs a task on the thread, until it ends or the connection does.
    pub(crate) async fn spawn<F>(
        &self,
        task: impl FnOnce(rescan::Client) -> F + Send + 'static,
    ) -> Result<(), CallError>
    where
        F: Future<Output = ()> + 'static,
    {
        let job: Job = Box::new(move |rescan| task(rescan).boxed_local());
        self.jobs.send(job).await.map_err(|_job| CallError::thread_gone())
    }

    /// Makes a call and returns its answer. Dropping the future cancels the call on the server too.
    pub(crate) async fn call<T, E, F>(&self, call: impl FnOnce(rescan::Client) -> F + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<CallError> + Send + 'static,
        F: Future<Output = Result<T, E>> + 'static,
    {
        let (mut reply, answer) = oneshot::channel();
        self.spawn(async move |rescan| {
            tokio::select! {
                result = call(rescan) => drop(reply.send(result)),
                () = reply.closed() => {}
            }
        })
        .await?;
        answer.await.unwrap_or_else(|_closed| Err(CallError::thread_gone().into()))
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic.get()
    }

    pub(crate) fn peer(&self) -> Option<u32> {
        self.peer
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn a_silent_peer_is_given_up() {
        let (_silent, socket) = UnixStream::pair().expect("a pair of sockets");
        let timeout = Duration::from_millis(20);
        let opened = Connection::open_within(Peer::Connected(socket), timeout).await;
        assert!(matches!(opened, Err(ConnectError::NoAnswer { waited }) if waited == timeout), "{opened:?}");
    }
}
