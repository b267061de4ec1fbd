//! Notifications to a service manager such as systemd: readiness, status, watchdog, stopping.
//!
//! For the command `rescan-server`. Without `NOTIFY_SOCKET` in the environment it does nothing. It runs on the RPC
//! thread, so the watchdog fires if that thread hangs.

use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::FusedFuture;
use sd_notify::NotifyState;
use tokio::time::{Instant, MissedTickBehavior};

use crate::config::ServerConfig;
use crate::server::{ServeError, Server};
use crate::service_status::ServiceStatus;

/// The interval of status updates.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Binds and runs a server until `shutdown` completes, and notifies the service manager.
///
/// # Errors
/// [`ServeError`], before anything is served. The manager then sees only the end of the process.
pub async fn serve(config: ServerConfig, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let server = Server::bind(config)?;
    let mut notified = pin!(notify_status(server.status()).fuse());
    let mut served = pin!(server.run(async {
        shutdown.await;
        stopping();
    }));
    loop {
        tokio::select! {
            served = &mut served => return served,
            // There is no service manager.
            () = &mut notified, if !notified.is_terminated() => {}
        }
    }
}

/// Keeps the service manager informed for as long as it is polled. Ends at once without a manager.
async fn notify_status(mut status: ServiceStatus) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    // The server owns the sender; without it there is no status.
    if status.serving.wait_for(|serving| *serving).await.is_err() {
        return;
    }
    let mut sent = status.line();
    notify(&[NotifyState::Ready, NotifyState::Status(&sent)]);
    let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 2);
    let every = watchdog.unwrap_or(CHECK_EVERY).clamp(Duration::from_millis(1), CHECK_EVERY);
    let mut checks = tokio::time::interval(every);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut fed = Instant::now();
    loop {
        checks.tick().await;
        if watchdog.is_some_and(|watchdog| fed.elapsed() + every > watchdog) {
            notify(&[NotifyState::Watchdog]);
            fed = Instant::now();
        }
        let line = status.line();
        if line != sent {
            notify(&[NotifyState::Status(&line)]);
            sent = line;
        }
    }
}

/// Notifies the service manager that the server is stopping.
fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("delivering the summaries of running scans")]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify the service manager; check NOTIFY_SOCKET and NotifyAccess= in the unit");
    }
}
