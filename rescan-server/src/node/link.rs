//! The link to the node over time: made, lost and made anew, for as long as the server runs.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use futures::future::OptionFuture;
use rescan_core::server_info::{NodeLink, NodeLinkState, NodeTip};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::connection::{Connection, ConnectionError};
use super::socket::{self, SocketError};

/// The first pause before another attempt, and the longest: each is twice the one before.
const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// How long whoever asks waits for the node to name its tip. It takes a fraction of a millisecond; while the node connects a
/// block it may take longer, and what it said last has to do.
const ASK_MAX: Duration = Duration::from_millis(100);

/// How soon another wait follows one that ended at once: a block takes longer to be told of and scanned.
const WAIT_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Askers on their way. The chain is refreshed once at a time, so that there is hardly ever a second.
const ASKERS_MAX: usize = 4;

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

/// What is told of the node, for whoever wants to know. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct NodeNews {
    told: watch::Receiver<NodeLink>,
    askers: mpsc::Sender<oneshot::Sender<()>>,
}

impl NodeNews {
    /// What is heard where no node is to be asked.
    pub(crate) fn off() -> Self {
        let told = watch::channel(NodeLink { since: now(), ..NodeLink::default() }).1;
        Self { told, askers: mpsc::channel(ASKERS_MAX).0 }
    }

    /// What was told last.
    pub(crate) fn last(&self) -> NodeLink {
        self.told.borrow().clone()
    }

    /// The next that is told; none once there is no more.
    pub(crate) async fn next(&mut self) -> Option<NodeLink> {
        self.told.changed().await.ok()?;
        Some(self.told.borrow_and_update().clone())
    }

    /// Has the node name its tip, if it is linked: what was told last is then no older than this call. A node that is busy is not
    /// waited for.
    pub(crate) async fn ask(&self) {
        if self.told.borrow().state != NodeLinkState::Connected {
            return;
        }
        let (asker, answered) = oneshot::channel();
        let asking = async {
            // A link that is gone or lost says so by itself.
            if self.askers.send(asker).await.is_ok() {
                drop(answered.await);
            }
        };
        if timeout(ASK_MAX, asking).await.is_err() {
            tracing::debug!("the node does not name its tip at once; what it said last has to do");
        }
    }
}

/// The link, and whoever is told of it.
#[derive(Debug)]
pub(crate) struct Link {
    path: PathBuf,
    told: watch::Sender<NodeLink>,
    askers: mpsc::Receiver<oneshot::Sender<()>>,
    /// What the log said last of why there is none, so that it says it once and not with every attempt.
    logged: String,
}

impl Link {
    /// A link to the node that listens at `path`, not made yet; and where to hear of it.
    pub(crate) fn new(path: PathBuf) -> (Self, NodeNews) {
        let before = NodeLink { state: NodeLinkState::Absent, since: now(), tip: None, reason: String::new() };
        let (told, hearing) = watch::channel(before);
        let (asking, askers) = mpsc::channel(ASKERS_MAX);
        (Self { path, told, askers, logged: String::new() }, NodeNews { told: hearing, askers: asking })
    }

    /// Keeps the link until `stopping` says so, and then leaves the node in order. Must run in a `LocalSet`.
    pub(crate) async fn keep(mut self, mut stopping: watch::Receiver<bool>) {
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
            self.report(&error);
            tokio::select! {
                () = stopped(&mut stopping) => return,
                () = sleep(pause) => pause = (pause * 2).min(RETRY_MAX),
            }
        }
    }

    async fn attempt(&mut self, stopping: &mut watch::Receiver<bool>) -> Attempt {
        let opening = async {
            let stream = socket::connect(&self.path).await?;
            self.say_connecting();
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
            ended = self.follow(&connection, &mut was_linked) => Some(ended),
        };
        match ended {
            None => {
                connection.leave().await;
                Attempt::Stopped
            }
            Some(error) if was_linked => Attempt::Lost(error.into()),
            Some(error) => Attempt::Failed(error.into()),
        }
    }

    /// Tells of each tip until there is no next.
    async fn follow(&mut self, connection: &Connection, was_linked: &mut bool) -> ConnectionError {
        loop {
            // At first, and after a wait that ended with nothing: a node that stops has no tip either.
            let mut tip = match connection.tip().await {
                Ok(Some(tip)) => tip,
                Ok(None) => return ConnectionError::Stopping,
                Err(error) => return error,
            };
            if std::mem::replace(was_linked, true) && self.told.borrow().tip == Some(tip) {
                // It gives no wait, and has nothing new.
                return ConnectionError::Stopping;
            }
            loop {
                self.say_connected(tip);
                tip = match self.next_tip(connection, tip).await {
                    Ok(Some(next)) => next,
                    Ok(None) => break,
                    Err(error) => return error,
                };
            }
        }
    }

    /// The tip that the node has after `tip`, by its own word or because somebody asks; none if it gives no wait.
    async fn next_tip(&mut self, connection: &Connection, tip: NodeTip) -> Result<Option<NodeTip>, ConnectionError> {
        let began = Instant::now();
        let mut waiting = pin!(connection.tip_after(&tip.hash));
        // One question for all who ask while it is under way: those that a busy node has not answered stay in its queue.
        let (mut naming, mut asking) = (pin!(OptionFuture::default()), Vec::new());
        loop {
            tokio::select! {
                next = &mut waiting => {
                    // A node that is in the middle of leaving blocks may end waits at once, and is not to be kept from it.
                    if began.elapsed() < WAIT_AGAIN_AFTER {
                        sleep(WAIT_AGAIN_AFTER).await;
                    }
                    if asking.is_empty() || !matches!(next, Ok(Some(_))) {
                        return next;
                    }
                    // Those who asked are to hear what is no older than their question, and that is the newer of the two.
                    return match naming.await {
                        Some(Err(ConnectionError::Silent)) | None => next,
                        Some(named) => named,
                    };
                }
                Some(asker) = self.askers.recv() => {
                    // Nobody waits any more for what was asked while there was no link.
                    if asker.is_closed() {
                        continue;
                    }
                    if asking.is_empty() {
                        naming.set(Some(connection.tip()).into());
                    }
                    asking.push(asker);
                }
                Some(named) = &mut naming, if !asking.is_empty() => {
                    let now = match named {
                        Ok(Some(now)) => now,
                        Ok(None) => return Ok(None),
                        // It is busy; whether it is lost is for the wait to say.
                        Err(ConnectionError::Silent) => {
                            asking.clear();
                            continue;
                        }
                        Err(error) => return Err(error),
                    };
                    self.say_connected(now);
                    // Which tells whoever asked.
                    asking.clear();
                    // Most likely the wait is over too, and what it says may be older than this.
                    if now != tip {
                        return Ok(Some(now));
                    }
                }
            }
        }
    }

    /// One that was refused stays so until it answers.
    fn say_connecting(&self) {
        self.told.send_if_modified(|link| {
            let is_news = !matches!(link.state, NodeLinkState::Connecting | NodeLinkState::Refused);
            if is_news {
                let reason = "the node listens, and answers once it has loaded its chain".to_owned();
                *link = NodeLink { state: NodeLinkState::Connecting, since: now(), tip: link.tip, reason };
            }
            is_news
        });
    }

    fn say_connected(&mut self, tip: NodeTip) {
        self.told.send_if_modified(|link| {
            let is_new = link.state != NodeLinkState::Connected;
            if is_new {
                tracing::info!(socket = %self.path.display(), height = tip.height.0, hash = %tip.hash, "linked to the node");
            }
            let since = if is_new { now() } else { link.since };
            let before = link.tip.replace(tip);
            link.state = NodeLinkState::Connected;
            link.since = since;
            link.reason.clear();
            is_new || before != Some(tip)
        });
        self.logged.clear();
    }

    fn report(&mut self, error: &LinkError) {
        let (state, reason) = (error.state(), error.to_string());
        if self.logged != reason {
            log(&self.path, state, &reason);
            self.logged.clone_from(&reason);
        }
        self.told.send_if_modified(|link| {
            let is_news = link.state != state || link.reason != reason;
            if is_news {
                let since = if link.state == state { link.since } else { now() };
                *link = NodeLink { state, since, tip: link.tip, reason };
            }
            is_news
        });
    }
}

impl Drop for Link {
    /// Whatever ended it: nobody is to go by a tip that nobody keeps up.
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the link to the node failed; the active chain is told from files: please report this");
        }
        self.told.send_modify(|link| {
            if link.state == NodeLinkState::Connected {
                let reason = "the server no longer keeps the link".to_owned();
                *link = NodeLink { state: NodeLinkState::Lost, since: now(), tip: link.tip, reason };
            }
        });
    }
}

/// How an attempt at a link ended.
enum Attempt {
    /// The server stops.
    Stopped,
    /// There was none.
    Failed(LinkError),
    /// There was one.
    Lost(LinkError),
}

/// Each with the next step, which the reason has. Not to have a node with IPC is no fault.
fn log(socket: &Path, state: NodeLinkState, reason: &str) {
    let socket = socket.display();
    match state {
        NodeLinkState::Absent => {
            tracing::info!(%socket, reason, "no link to a node; the active chain is told from files");
        }
        NodeLinkState::Refused => {
            tracing::warn!(%socket, reason, "the node is not asked; the active chain is told from files");
        }
        _ => {
            tracing::warn!(%socket, reason, "no link to the node; until it is back the active chain is told from files");
        }
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A sender that is gone says the same.
    drop(stopping.wait_for(|stop| *stop).await);
}

/// In seconds since 1970; a clock before that counts as then.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
