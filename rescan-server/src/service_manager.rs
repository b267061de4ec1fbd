//! What a service manager such as systemd is told: that the server serves, what it is at, that it lives, that it stops.
//!
//! For the `rescan-server` command: where no `NOTIFY_SOCKET` is in the environment, nothing is done. It runs on the
//! thread that talks to wallets, so that a sign of life is one of that thread: where it hangs, the watchdog fires.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::FusedFuture;
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::chain::Chain;
use crate::config::ServerConfig;
use crate::figures::LiveFigures;
use crate::server::{ServeError, Server};

/// How often it is looked whether there is something new to say of the status.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What of a server can be seen while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Outlook {
    pub(crate) serving: watch::Receiver<bool>,
    pub(crate) chain: Arc<Chain>,
    pub(crate) figures: Arc<LiveFigures>,
}

impl Outlook {
    /// The status as a line for people: reading, and how much of it; or up to which height it serves.
    fn status(&self) -> String {
        let network = self.chain.network();
        match self.figures.chain_height() {
            Some(height) => {
                let scans = self.figures.now().scans_under_way();
                format!("serving {network} to height {height}, {scans} scans under way")
            }
            None => format!("reading the block files of {network}{}", Percent::of(&self.chain)),
        }
    }
}

/// Binds and runs a server until `shutdown` is kept, and tells the service manager what it is at.
///
/// # Errors
/// [`ServeError`], before anything is served; the manager then hears nothing but the end of the process.
pub async fn serve(config: ServerConfig, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let server = Server::bind(config)?;
    let mut told = pin!(report(server.outlook()).fuse());
    let mut served = pin!(server.run(async {
        shutdown.await;
        stopping();
    }));
    loop {
        tokio::select! {
            served = &mut served => return served,
            // Nobody is to be told.
            () = &mut told, if !told.is_terminated() => {}
        }
    }
}

/// Tells the service manager what a server is at, for as long as this is polled; ends at once where there is none.
async fn report(mut outlook: Outlook) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    // The sender is the server: where it is gone there is nothing to tell.
    if outlook.serving.wait_for(|serving| *serving).await.is_err() {
        return;
    }
    let mut told = outlook.status();
    notify(&[NotifyState::Ready, NotifyState::Status(&told)]);
    let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 2);
    let every = watchdog.unwrap_or(LOOK_EVERY).clamp(Duration::from_millis(1), LOOK_EVERY);
    let mut look = tokio::time::interval(every);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lived = Instant::now();
    loop {
        look.tick().await;
        if watchdog.is_some_and(|watchdog| lived.elapsed() + every > watchdog) {
            notify(&[NotifyState::Watchdog]);
            lived = Instant::now();
        }
        let status = outlook.status();
        if status != told {
            notify(&[NotifyState::Status(&status)]);
            told = status;
        }
    }
}

/// Tells the service manager that the server is about to end.
fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("telling wallets how far their scans came")]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told; look at NOTIFY_SOCKET and at NotifyAccess= in the unit");
    }
}

/// How much of the block files is read, where that is known.
struct Percent(Option<u64>);

impl Percent {
    fn of(chain: &Chain) -> Self {
        let progress = chain.progress();
        Self(progress.bytes_done.saturating_mul(100).checked_div(progress.bytes_total))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |percent| write!(f, ", {percent} % done"))
    }
}
