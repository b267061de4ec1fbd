//! The demo's own rescan-server, on a private socket.
//!
//! Dropping it ends it: SIGTERM, and SIGKILL if it still runs seconds later. It has its own process group: Ctrl-C
//! reaches the demo alone, which then ends the server in order.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rescan_client::{Client, ConnectError};
use rustix::process::{Pid, Signal, kill_process};

use super::datadir::DemoDir;
use crate::args::refuse_key;
use crate::error::CliError;

const NAME: &str = "rescan-server";

/// The server reads the demo's chain in milliseconds; this allows for a very busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two checks whether the server has started, or ended.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The last lines of its log, shown after a failure.
const LOG_LINES_MAX: usize = 5;

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

/// The program to run: the given one, or the one beside this program.
pub(super) fn find(given: Option<&Path>) -> Result<PathBuf, CliError> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()
            .map_err(|error| CliError::system("cannot find the path of this program", &error))?
            .with_file_name(NAME),
    };
    if path.is_file() {
        return Ok(path);
    }
    refuse_key("--server", "the path of a program", &path)?;
    Err(CliError::failed(
        format!("no {NAME} at {}", path.display()),
        "build both: cargo build --release -p rescan-cli -p rescan-server && target/release/rescan demo",
    ))
}

impl Server {
    /// Starts the program on the demo's datadir.
    pub(super) fn start(program: &Path, dir: &DemoDir) -> Result<Self, CliError> {
        let log = dir.server_log();
        let not_started = |error: io::Error| {
            CliError::failed(
                format!("cannot start {}: {error}", program.display()),
                "is it a program for this machine?",
            )
        };
        let log_file = File::create(&log).map_err(not_started)?;
        let child = Command::new(program)
            .arg("--datadir")
            .arg(dir.datadir())
            .args(["--network", "regtest"])
            .arg("--socket")
            .arg(dir.socket())
            .arg("--state-dir")
            .arg(dir.state_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log_file)
            .process_group(0)
            .spawn()
            .map_err(not_started)?;
        Ok(Self { child, socket: dir.socket(), log })
    }

    /// Connects once the server listens.
    pub(super) async fn connect(&mut self) -> Result<Client, CliError> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match Client::connect(&self.socket).await {
                Ok(client) => return Ok(client),
                Err(ConnectError::Missing { .. } | ConnectError::ConnectionRefused { .. })
                    if Instant::now() < deadline => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(status) =
                self.child.try_wait().map_err(|error| CliError::system("cannot wait for the server", &error))?
            {
                return Err(self.failed(status));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn failed(&self, status: ExitStatus) -> CliError {
        CliError::failed(
            format!("{NAME} ended ({status}){}", self.log_tail()),
            "are rescan and rescan-server of one build?",
        )
    }

    /// The error with the end of the server's log, which the demo removes.
    pub(super) fn explain(&self, error: CliError) -> CliError {
        error.with_detail(&self.log_tail())
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LOG_LINES_MAX)..).unwrap_or_default().join("\n  ");
        if tail.is_empty() { String::new() } else { format!("; the end of its log:\n  {tail}") }
    }

    /// Ends it, and waits for the end.
    fn end(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        self.child.kill()?;
        self.child.wait()
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// If it does not end with success.
    pub(super) fn stop(mut self) -> Result<(), CliError> {
        let status = self.end().map_err(|error| CliError::system(&format!("cannot stop {NAME}"), &error))?;
        if status.success() { Ok(()) } else { Err(self.failed(status)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already. If it cannot be ended, nothing else can be done here.
        drop(self.end());
    }
}
