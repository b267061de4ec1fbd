//! Who is let in: every connection that is accepted becomes a session, is turned away, or is refused.
//!
//! It decides before a byte is read, by the peer's user and by how many there are already. What a session may do is the
//! session's.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use rescan_core::peer::is_trusted_user;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::session::Shared;
use crate::session::guard::connection;
use crate::session::guard::limits::Quota;

/// How long to wait after a connection could not be accepted, most likely for want of file descriptors: until some
/// client leaves, trying again at once would only burn a core.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// All connections of a server.
pub(crate) struct Reception {
    shared: Rc<Shared>,
    slots: Rc<Quota>,
    sessions: JoinSet<()>,
    stopping: watch::Receiver<bool>,
    /// Tells connections apart in the log.
    number: u64,
    /// Whether the last attempt to accept one worked.
    accepts: bool,
}

impl Reception {
    /// One whose sessions end once `stopping` says so.
    pub(crate) fn new(shared: Rc<Shared>, stopping: watch::Receiver<bool>) -> Self {
        let slots = Quota::new(shared.limits().connections_max);
        Self { shared, slots, sessions: JoinSet::new(), stopping, number: 0, accepts: true }
    }

    /// Lets connections in until `shutdown` is kept; nobody can connect from then on. Must run in a `LocalSet`.
    pub(crate) async fn receive(&mut self, listener: UnixListener, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _address)) => {
                        self.accepts = true;
                        self.admit(stream);
                    }
                    Err(error) => self.cannot_accept(&error).await,
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
            self.shared.figures().of_other_user();
            return;
        }
        let Some(slot) = self.slots.take() else {
            self.turn_away(stream);
            return;
        };
        let (shared, mut stopping) = (Rc::clone(&self.shared), self.stopping.clone());
        let counted = shared.figures().connected();
        let session = async move {
            // A sender that is gone says the same.
            let stopped = async { drop(stopping.wait_for(|stop| *stop).await) };
            connection::serve(stream, shared, stopped).await;
            drop((slot, counted));
        };
        self.number += 1;
        self.sessions.spawn_local(session.instrument(tracing::info_span!("connection", number = self.number)));
    }

    fn turn_away(&mut self, stream: UnixStream) {
        let max = self.shared.limits().connections_max;
        self.shared.figures().turned_away();
        tracing::warn!(max, "a client is turned away: too many connections; see which program keeps them open");
        let reason = format!("the server has {max} connections, its limit: try again later");
        self.sessions.spawn_local(async move { connection::turn_away(stream, &reason).await });
    }

    async fn cannot_accept(&mut self, error: &io::Error) {
        // Once until it works again: it may take hours, and is tried ten times a second.
        if std::mem::replace(&mut self.accepts, false) {
            tracing::warn!(
                %error,
                "connections cannot be accepted and wait; raise the limit of open files (LimitNOFILE=, ulimit -n) if it is that"
            );
        }
        tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
    }
}

/// Whether the kernel says that the peer is one of ours.
fn is_allowed(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) if is_trusted_user(peer.uid(), rustix::process::geteuid().as_raw()) => true,
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
