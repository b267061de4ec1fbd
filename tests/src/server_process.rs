//! The server as a separate process, for tests of signals, the log and memory.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rescan_client::Client;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use crate::test_server::{TestServer, connect};

/// A running `rescan-server`. Dropping it kills it.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    socket: PathBuf,
    log: Arc<Mutex<String>>,
    draining: Option<JoinHandle<()>>,
}

impl ServerProcess {
    /// Runs `program` on the directory of `place`, whose own server does not run, and waits until
    /// it serves.
    ///
    /// # Panics
    ///
    /// If it ends instead.
    #[must_use]
    pub fn start(program: &Path, place: &TestServer, more: &[&str]) -> Self {
        Self::start_in(program, place, more, &[])
    }

    /// The same with more in its environment.
    ///
    /// # Panics
    ///
    /// If it ends instead.
    #[must_use]
    pub fn start_in(program: &Path, place: &TestServer, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.arg("--datadir").arg(place.datadir()).arg("--socket").arg(place.socket());
        command.arg("--state-dir").arg(place.state_dir()).args(more);
        let mut child = command
            .env("RUST_LOG", "debug")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot run {}: {error}; run cargo test --workspace, which builds it", program.display())
            });
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let keep = |log: &Mutex<String>, line: &str| {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(line);
            log.push('\n');
        };
        loop {
            let Some(Ok(line)) = lines.next() else { panic!("the server ended: {log:?}") };
            keep(&log, &line);
            if line.contains("serving") {
                break;
            }
        }
        // Its log must be read continuously, or the server blocks on a full pipe.
        let kept = Arc::clone(&log);
        let draining = std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| keep(&kept, &line)));
        Self { child, socket: place.socket(), log, draining: Some(draining) }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A new connection.
    ///
    /// # Panics
    ///
    /// If the server refuses it.
    pub async fn client(&self) -> Client {
        connect(&self.socket).await
    }

    /// Its anonymous memory, without file maps, in bytes (`RssAnon`).
    ///
    /// # Panics
    ///
    /// If the kernel does not report it.
    #[must_use]
    pub fn anonymous_memory(&self) -> u64 {
        self.kibibytes("RssAnon:") * 1024
    }

    /// Its address space, in bytes (`VmSize`): the quantity that an address space limit counts.
    ///
    /// # Panics
    ///
    /// If the kernel does not report it.
    #[must_use]
    pub fn address_space(&self) -> u64 {
        self.kibibytes("VmSize:") * 1024
    }

    /// How many files it has open.
    ///
    /// # Panics
    ///
    /// If the kernel does not report it.
    #[must_use]
    pub fn open_files(&self) -> u64 {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs");
        u64::try_from(open.count()).expect("a count")
    }

    /// Sets a resource limit of `max` for the process.
    ///
    /// # Panics
    ///
    /// If the kernel does not do that.
    pub fn limit(&self, of: Resource, max: u64) {
        // The hard limit is ours too, and to raise it takes a privilege.
        let limit = Rlimit { current: Some(max), maximum: getrlimit(of).maximum };
        prlimit(Some(Pid::from_child(&self.child)), of, limit).expect("a limit is set");
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    ///
    /// If the operating system does not tell.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its end can be asked for").is_some()
    }

    fn kibibytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line is in /proc/PID/status");
        line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
    }

    /// Sends it a signal.
    ///
    /// # Panics
    ///
    /// If it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there to be signalled");
    }

    /// Waits until it has ended; how it did, and all that it logged.
    ///
    /// # Panics
    ///
    /// If the operating system does not tell.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("its end can be waited for");
        if let Some(draining) = self.draining.take() {
            draining.join().expect("its log was read");
        }
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (status, log)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
