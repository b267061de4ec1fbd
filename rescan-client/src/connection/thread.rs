//! The thread of a connection: it greets the server, then runs jobs until no handle is left or the connection ends.

use std::time::Duration;

use rescan_core::rescan_capnp::rescan;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet};

use super::greeting::{self, Greeted, Greeting, Peer, System};
use super::handle::Job;
use super::traffic::TrafficCount;
use crate::error::ConnectError;

/// Calls under way when a connection ends should fail at once. Some do not, as has been seen when a server is killed, and
/// their wallets would wait for ever: after this long, they are dropped.
const FAILING_MAX: Duration = Duration::from_secs(1);

type Answer = Result<Greeting, ConnectError>;

/// Starts the thread. The receiver gets the greeting.
pub(super) fn start(
    peer: Peer,
    timeout: Duration,
    traffic: TrafficCount,
    jobs: mpsc::Receiver<Job>,
) -> Result<oneshot::Receiver<Answer>, ConnectError> {
    let (answer, greeting) = oneshot::channel();
    std::thread::Builder::new()
        .name("rescan-client".to_owned())
        .spawn(move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => LocalSet::new().block_on(&runtime, run(peer, timeout, traffic, answer, jobs)),
            // A caller that stopped waiting needs no answer.
            Err(error) => drop(answer.send(Err(ConnectError::Thread(error)))),
        })
        .map_err(ConnectError::Thread)?;
    Ok(greeting)
}

/// The whole life of a connection.
async fn run(
    peer: Peer,
    timeout: Duration,
    traffic: TrafficCount,
    answer: oneshot::Sender<Answer>,
    jobs: mpsc::Receiver<Job>,
) {
    match greeting::greet(peer, timeout, &traffic).await {
        Err(error) => drop(answer.send(Err(error))),
        Ok(Greeted { rescan, mut system, greeting }) => {
            if answer.send(Ok(greeting)).is_ok() {
                tokio::select! {
                    () = run_jobs(&rescan, jobs) => {}
                    () = disconnected(&mut system) => {}
                }
            }
            // No handle is left, or the connection has ended.
            system.abort();
        }
    }
}

/// Runs the jobs of all handles, until there is no handle.
async fn run_jobs(rescan: &rescan::Client, mut jobs: mpsc::Receiver<Job>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some(job) => drop(tasks.spawn_local(job(rescan.clone()))),
                None => return,
            },
            Some(_finished) = tasks.join_next() => {}
        }
    }
}

/// Resolves when the connection has ended, and calls under way have had time to fail.
async fn disconnected(system: &mut System) {
    drop(system.await);
    tokio::time::sleep(FAILING_MAX).await;
}
