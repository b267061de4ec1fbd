//! Accepts connections: each becomes a session, is turned away, or is refused.
//!
//! The decision depends on the peer's user and the number of connections, and falls before a byte is read. The session
//! limits everything after that.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use rescan_core::peer::is_trusted_user;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::session::connection;
use crate::session::guard::permits::Permits;
use crate::session::scan::running::RunningScans;
use crate::session::shared::Shared;

/// The pause after a failure to accept a connection. The usual cause is a lack of file descriptors; immediate retries
/// would only burn a core until some client leaves.
const ACCEPT_RETRY_AFTER: Duration = Duration::from_millis(100);

/// All connections of a server.
pub(crate) struct Acceptor {
    shared: Rc<Shared>,
    running: Rc<RunningScans>,
    permits: Rc<Permits>,
    sessions: JoinSet<()>,
    stopping: watch::Receiver<bool>,
    /// Identifies connections in the log.
    number: u64,
    /// Whether the last attempt to accept a connection succeeded.
    can_accept: bool,
}

impl Acceptor {
    /// An acceptor whose sessions end once `stopping` is true.
    pub(crate) fn new(shared: Rc<Shared>, running: Rc<RunningScans>, stopping: watch::Receiver<bool>) -> Self {
        let permits = Permits::new(shared.limits.connections_max);
        Self { shared, running, permits, sessions: JoinSet::new(), stopping, number: 0, can_accept: true }
    }

    /// Accepts connections until `shutdown` completes; drops the listener then. Must run in a `LocalSet`.
    pub(crate) async fn accept(&mut self, listener: UnixListener, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _address)) => {
                        self.can_accept = true;
                        self.admit(stream);
                    }
                    Err(error) => self.pause_after(&error).await,
                },
                Some(ended) = self.sessions.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a session failed: please report this");
                    }
                }
            }
        }
    }

    /// Waits until all sessions have ended.
    pub(crate) async fn close(mut self) {
        while self.sessions.join_next().await.is_some() {}
    }

    fn admit(&mut self, stream: UnixStream) {
        if !is_allowed(&stream) {
            self.shared.counters.connection_of_other_user();
            return;
        }
        let Some(permit) = self.permits.acquire() else {
            self.turn_away(stream);
            return;
        };
        let (shared, running, mut stopping) =
            (Rc::clone(&self.shared), Rc::clone(&self.running), self.stopping.clone());
        let open = shared.counters.connection_accepted();
        let session = async move {
            // A dropped sender means the same.
            let stopped = async { drop(stopping.wait_for(|stop| *stop).await) };
            connection::serve(stream, shared, running, stopped).await;
            drop((permit, open));
        };
        self.number += 1;
        self.sessions.spawn_local(session.instrument(tracing::info_span!("connection", number = self.number)));
    }

    fn turn_away(&mut self, stream: UnixStream) {
        let max = self.shared.limits.connections_max;
        self.shared.counters.connection_turned_away();
        tracing::warn!(max, "a client is turned away: too many connections; find the program that keeps them open");
        let reason = format!("the server has {max} connections, its limit: try again later");
        self.sessions.spawn_local(async move { connection::turn_away(stream, &reason).await });
    }

    async fn pause_after(&mut self, error: &io::Error) {
        // Log once per outage: it may last hours, with ten attempts per second.
        if std::mem::replace(&mut self.can_accept, false) {
            tracing::warn!(
                %error,
                "cannot accept connections, they wait; raise the limit of open files (LimitNOFILE=, ulimit -n) if it is reached"
            );
        }
        tokio::time::sleep(ACCEPT_RETRY_AFTER).await;
    }
}

/// Whether the kernel reports a trusted user for the peer.
fn is_allowed(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) if is_trusted_user(peer.uid(), rustix::process::geteuid().as_raw()) => true,
        Ok(peer) => {
            tracing::warn!(
                uid = peer.uid(),
                "a connection of another user is refused; run the wallet as the server's user"
            );
            false
        }
        Err(error) => {
            tracing::warn!(%error, "a connection is refused: the kernel does not report its user; put --socket on a local file system");
            false
        }
    }
}
