//! The rescan-server that the demo runs for itself, on a private socket.
//!
//! Dropping it ends it: SIGTERM, and where that does not help within seconds, SIGKILL. It is of a process group of its
//! own, so that Ctrl-C reaches the demo alone and the demo ends it in order.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rescan_client::{Client, ConnectError};
use rustix::process::{Pid, Signal, kill_process};

use super::datadir::DemoDir;
use crate::args;
use crate::trouble::Trouble;

const NAME: &str = "rescan-server";

/// The demo's chain is read in milliseconds; this is for a machine that is very busy.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks at whether the server is there, or gone.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// How much of its log is shown where it failed.
const LOG_LINES_MAX: usize = 5;

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

/// The server to run: the named one, or the one beside this program.
pub(super) fn find(named: Option<&Path>) -> Result<PathBuf, Trouble> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()
            .map_err(|error| Trouble::system("cannot tell where this program lies", &error))?
            .with_file_name(NAME),
    };
    if path.is_file() {
        return Ok(path);
    }
    if args::could_hold_a_key(&path) {
        return Err(Trouble::no_path(
            "--server",
            "the path of a program",
            "the path can be written from the root: /..",
        ));
    }
    Err(Trouble::failed(
        format!("no {NAME} at {}", path.display()),
        "build both and run the demo: cargo build --release -p rescan-server -p rescan-client && target/release/rescan demo",
    ))
}

impl Server {
    /// Starts the program on the demo's datadir.
    pub(super) fn start(program: &Path, dir: &DemoDir) -> Result<Self, Trouble> {
        let log = dir.server_log();
        let cannot = |error: io::Error| {
            Trouble::failed(
                format!("cannot start {}: {error}", program.display()),
                "is it a program of this machine's kind?",
            )
        };
        let log_file = File::create(&log).map_err(cannot)?;
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
            .map_err(cannot)?;
        Ok(Self { child, socket: dir.socket(), log })
    }

    /// Connects once the server listens.
    pub(super) async fn connect(&mut self) -> Result<Client, Trouble> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match Client::connect(&self.socket).await {
                Ok(client) => return Ok(client),
                Err(ConnectError::Missing { .. } | ConnectError::NobodyListens { .. }) if Instant::now() < deadline => {
                }
                Err(error) => return Err(error.into()),
            }
            if let Some(status) = self.child.try_wait().map_err(|error| Trouble::system("cannot wait", &error))? {
                return Err(self.failed(status));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn failed(&self, status: ExitStatus) -> Trouble {
        Trouble::failed(
            format!("{NAME} ended ({status}){}", self.last_words()),
            "are rescan and rescan-server of one build?",
        )
    }

    /// The trouble, with the end of the server's log, which is gone when the demo is.
    pub(super) fn explain(&self, mut trouble: Trouble) -> Trouble {
        trouble.message = trouble.message.map(|message| format!("{message}{}", self.last_words()));
        trouble
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LOG_LINES_MAX)..).unwrap_or_default().join("\n  ");
        if tail.is_empty() { String::new() } else { format!("; the last it said:\n  {tail}") }
    }

    /// Asks it to end, and waits until it has.
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
            std::thread::sleep(LOOK_INTERVAL);
        }
        self.child.kill()?;
        self.child.wait()
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// If it did not end as one that was asked to: with success.
    pub(super) fn stop(mut self) -> Result<(), Trouble> {
        let status = self.end().map_err(|error| Trouble::system(&format!("cannot stop {NAME}"), &error))?;
        if status.success() { Ok(()) } else { Err(self.failed(status)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is gone already cannot be ended; nothing else can be done here about one that will not.
        drop(self.end());
    }
}
