//! The link to the node over time: connected, lost and reconnected for as long as the server runs.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use futures::future::OptionFuture;
use rescan_core::server_info::{NodeLink, NodeLinkState, NodeTip};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::connection::{Connection, ConnectionError};
use super::socket::{self, SocketError};
use super::tip_watcher::{QUERY_MAX, TipQuery, TipWatcher};

/// Pauses between attempts to connect. Each pause is twice the one before.
const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Pause after a wait that ended at once. It is shorter than a block takes to be reported and scanned.
const WAIT_PAUSE: Duration = Duration::from_millis(5);

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl LinkError {
    fn state(&self) -> NodeLinkState {
        match self {
            Self::Socket(error) => error.state(),
            Self::Connection(ConnectionError::TooOld) => NodeLinkState::Refused,
            Self::Connection(_) => NodeLinkState::Lost,
        }
    }
}

/// The link to the node at one socket. It publishes its state to all [`TipWatcher`]s.
#[derive(Debug)]
pub(crate) struct LinkTask {
    path: PathBuf,
    status: watch::Sender<NodeLink>,
    queries: mpsc::Receiver<TipQuery>,
    /// The last logged reason for having no link: each is logged once, not with every attempt.
    logged: String,
}

impl LinkTask {
    /// A link to the node at `path`, not yet connected, with its watcher.
    pub(crate) fn new(path: PathBuf) -> (Self, TipWatcher) {
        let before = NodeLink { state: NodeLinkState::Absent, since: unix_time(), tip: None, reason: String::new() };
        let (status, watched) = watch::channel(before);
        let (watcher, queries) = TipWatcher::new(watched);
        (Self { path, status, queries, logged: String::new() }, watcher)
    }

    /// Keeps the link until `stopping` is true, then disconnects in order. Must run in a `LocalSet`.
    pub(crate) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut pause = RETRY_MIN;
        loop {
            let (was_linked, error) = match self.attempt(&mut stopping).await {
                Attempt::Stopped => return,
                Attempt::Failed(error) => (false, error),
                Attempt::Lost(error) => (true, error),
            };
            if was_linked {
                pause = RETRY_MIN;
            }
            self.publish_error(&error);
            tokio::select! {
                () = stopped(&mut stopping) => return,
                () = sleep(pause) => pause = (pause * 2).min(RETRY_MAX),
            }
        }
    }

    async fn attempt(&mut self, stopping: &mut watch::Receiver<bool>) -> Attempt {
        let opening = async {
            let stream = socket::connect(&self.path).await?;
            self.publish_connecting();
            Ok::<_, LinkError>(Connection::open(stream).await?)
        };
        let connection = tokio::select! {
            () = stopped(stopping) => return Attempt::Stopped,
            opened = opening => match opened {
                Ok(connection) => connection,
                Err(error) => return Attempt::Failed(error),
            }
        };
        let mut was_linked = false;
        let ended = tokio::select! {
            () = stopped(stopping) => None,
            ended = self.follow_tips(&connection, &mut was_linked) => Some(ended),
        };
        match ended {
            None => {
                connection.disconnect().await;
                Attempt::Stopped
            }
            Some(error) if was_linked => Attempt::Lost(error.into()),
            Some(error) => Attempt::Failed(error.into()),
        }
    }

    /// Publishes each tip until the link is lost.
    async fn follow_tips(&mut self, connection: &Connection, was_linked: &mut bool) -> ConnectionError {
        loop {
            // Also after a wait that returned nothing: a stopping node has no tip either.
            let mut tip = match connection.tip().await {
                Ok(Some(tip)) => tip,
                Ok(None) => return ConnectionError::Stopping,
                Err(error) => return error,
            };
            if std::mem::replace(was_linked, true) && self.status.borrow().tip == Some(tip) {
                // It refuses to wait and has no new tip.
                return ConnectionError::Stopping;
            }
            loop {
                self.publish_tip(tip);
                tip = match self.next_tip(connection, tip).await {
                    Ok(Some(next)) => next,
                    Ok(None) => break,
                    Err(error) => return error,
                };
            }
        }
    }

    /// The node's next tip after `tip`, from the wait or from a query; none if the node refuses to wait.
    async fn next_tip(&mut self, connection: &Connection, tip: NodeTip) -> Result<Option<NodeTip>, ConnectionError> {
        let began = Instant::now();
        let mut waiting = pin!(connection.tip_after(&tip.hash));
        // One call answers all queries that arrive during it; a busy node keeps unanswered calls in its queue.
        let (mut call, mut queries) = (pin!(OptionFuture::default()), Vec::new());
        loop {
            tokio::select! {
                next = &mut waiting => {
                    // A node that disconnects blocks may end waits at once; do not load it further.
                    if began.elapsed() < WAIT_PAUSE {
                        sleep(WAIT_PAUSE).await;
                    }
                    queries.retain(|query: &TipQuery| !query.is_closed());
                    if queries.is_empty() || !matches!(next, Ok(Some(_))) {
                        return next;
                    }
                    // The answer to a query must be no older than the query: take the newer of the two tips.
                    return match timeout(QUERY_MAX, call).await {
                        Ok(Some(answer)) => answer,
                        // The node is busy. The tip from the wait is new all the same.
                        Ok(None) | Err(_) => next,
                    };
                }
                Some(query) = self.queries.recv() => {
                    // Queries from before the link have timed out.
                    if query.is_closed() {
                        continue;
                    }
                    if queries.is_empty() {
                        call.set(Some(connection.tip()).into());
                    }
                    queries.push(query);
                }
                Some(answer) = &mut call, if !queries.is_empty() => {
                    let now = match answer {
                        Ok(Some(now)) => now,
                        Ok(None) => return Ok(None),
                        // The node is busy; the wait finds out whether it is lost.
                        Err(ConnectionError::TimedOut) => {
                            queries.clear();
                            continue;
                        }
                        Err(error) => return Err(error),
                    };
                    self.publish_tip(now);
                    // Dropping a query answers it.
                    queries.clear();
                    // The wait is probably over too, and its tip may be older than this one.
                    if now != tip {
                        return Ok(Some(now));
                    }
                }
            }
        }
    }

    /// A refused node stays refused until it answers.
    fn publish_connecting(&self) {
        self.status.send_if_modified(|link| {
            let is_new_state = !matches!(link.state, NodeLinkState::Connecting | NodeLinkState::Refused);
            if is_new_state {
                let reason = "the node is loading its chain".to_owned();
                *link = NodeLink { state: NodeLinkState::Connecting, since: unix_time(), tip: link.tip, reason };
            }
            is_new_state
        });
    }

    fn publish_tip(&mut self, tip: NodeTip) {
        self.status.send_if_modified(|link| {
            let is_new = link.state != NodeLinkState::Connected;
            if is_new {
                tracing::info!(socket = %self.path.display(), height = tip.height.0, hash = %tip.hash, "linked to the node");
            }
            let since = if is_new { unix_time() } else { link.since };
            let before = link.tip.replace(tip);
            link.state = NodeLinkState::Connected;
            link.since = since;
            link.reason.clear();
            is_new || before != Some(tip)
        });
        self.logged.clear();
    }

    fn publish_error(&mut self, error: &LinkError) {
        let (state, reason) = (error.state(), error.to_string());
        if self.logged != reason {
            log(&self.path, state, &reason);
            self.logged.clone_from(&reason);
        }
        self.status.send_if_modified(|link| {
            let is_new_state = link.state != state || link.reason != reason;
            if is_new_state {
                let since = if link.state == state { link.since } else { unix_time() };
                *link = NodeLink { state, since, tip: link.tip, reason };
            }
            is_new_state
        });
    }
}

impl Drop for LinkTask {
    /// No one may rely on a tip that is no longer kept up to date.
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "the link to the node panicked; selecting the active chain from files alone; please report this"
            );
        }
        self.status.send_modify(|link| {
            if link.state == NodeLinkState::Connected {
                let reason = "the server closed the link".to_owned();
                *link = NodeLink { state: NodeLinkState::Lost, since: unix_time(), tip: link.tip, reason };
            }
        });
    }
}

/// How an attempt to link ended.
enum Attempt {
    /// The server is stopping.
    Stopped,
    /// No link was made.
    Failed(LinkError),
    /// The link was made, and lost.
    Lost(LinkError),
}

/// The reason contains the next step. A missing node is no fault, so it is logged at a lower level.
fn log(socket: &Path, state: NodeLinkState, reason: &str) {
    let socket = socket.display();
    match state {
        NodeLinkState::Absent => {
            tracing::info!(%socket, reason, "no link to a node; selecting the active chain from files alone");
        }
        NodeLinkState::Refused => {
            tracing::warn!(%socket, reason, "the node is not used; selecting the active chain from files alone");
        }
        _ => {
            tracing::warn!(%socket, reason, "link to the node lost; selecting the active chain from files alone until it is back");
        }
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A dropped sender means the same.
    drop(stopping.wait_for(|stop| *stop).await);
}

/// Seconds since 1970; 0 if the clock is set before that.
pub(super) fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
