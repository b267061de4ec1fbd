//! The clock and the scales of one run: time, processor time, memory, and what crosses the socket.
//!
//! Memory is looked at every [`LOOK_EVERY`], so that a peak between two looks is missed; each side's figure is what lies
//! above the least it held before any run, so that what a run leaves behind is never counted in favour of the next.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rescan_core::position::Height;

use super::comparison::{ProgressPoint, Run};
use super::error::CompareError;
use super::node::Node;
use super::process::{Process, ProcessorTime};
use rescan_client::Client;
use rescan_client::Traffic;

/// How often memory is looked at. One look costs some microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Points of progress that are kept of a run, about.
const POINTS_MAX: u64 = 200;

/// What all runs against one server are measured with.
#[derive(Debug)]
pub(crate) struct Meter {
    asked: Asked,
    server: Option<u32>,
    own_before: Option<u64>,
    server_before: Option<u64>,
}

/// Who is asked.
#[derive(Debug)]
enum Asked {
    Server(Box<Client>),
    Node(Node),
}

impl Asked {
    /// What crossed its connection so far.
    fn traffic(&self) -> Traffic {
        match self {
            Self::Server(client) => client.traffic(),
            Self::Node(node) => node.traffic(),
        }
    }
}

/// A run that is under way: made just before its first request, and finished just after the last of its answer.
pub(crate) struct Running<'m> {
    meter: &'m Meter,
    own: Process,
    server: Option<Process>,
    own_time: Option<ProcessorTime>,
    server_time: Option<ProcessorTime>,
    server_disk: Option<u64>,
    looking: Looking,
    traffic: Traffic,
    first_match: Option<Duration>,
    progress: Vec<ProgressPoint>,
    /// Heights between two points of progress.
    stride: u32,
    started: Instant,
}

impl Meter {
    /// For runs of this process against the server of `client`; what both hold in memory now is what they held before.
    pub(crate) fn new(client: &Client) -> Self {
        Self::of(Asked::Server(Box::new(client.clone())), client.server_process())
    }

    /// For runs against a node: what is said of the server is then the node's.
    pub(crate) fn of_node(node: &Node) -> Self {
        Self::of(Asked::Node(node.clone()), node.pid())
    }

    fn of(asked: Asked, server: Option<u32>) -> Self {
        Self {
            asked,
            server,
            own_before: Process::own().own_memory(),
            server_before: server.and_then(|pid| Process::other(pid).own_memory()),
        }
    }

    /// Whether the server's process can be looked at.
    pub(crate) fn sees_server(&self) -> bool {
        self.server_before.is_some()
    }

    /// Starts the clock of a run over so many blocks. The caller's next step is its first request.
    ///
    /// # Errors
    /// If there is no thread to look at memory with, or the server does not answer.
    pub(crate) async fn start(&self, blocks: u64) -> Result<Running<'_>, CompareError> {
        // What an earlier run left to be said between client and server has been said when this is answered; a node is
        // asked one thing at a time.
        if let Asked::Server(client) = &self.asked {
            client.info().await?;
        }
        let (own, server) = (Process::own(), self.server.map(Process::other));
        let looking = Looking::start(self.server)?;
        let stride = u32::try_from(blocks / POINTS_MAX).unwrap_or(u32::MAX).max(1);
        let server_time = server.as_ref().and_then(Process::processor_time);
        let server_disk = server.as_ref().and_then(Process::read_from_disk);
        let own_time = own.processor_time();
        Ok(Running {
            meter: self,
            own,
            server,
            own_time,
            server_time,
            server_disk,
            looking,
            traffic: self.asked.traffic(),
            first_match: None,
            progress: Vec::new(),
            stride,
            started: Instant::now(),
        })
    }
}

impl Running<'_> {
    /// Something of the answer is in the wallet's hands.
    pub(crate) fn matched(&mut self) {
        let started = self.started;
        self.first_match.get_or_insert_with(|| started.elapsed());
    }

    /// The answer has come to this height.
    pub(crate) fn reached(&mut self, height: Height) {
        let last = self.progress.last().map(|point| point.height);
        if last.is_none_or(|last| height.0 >= last.saturating_add(self.stride)) {
            self.progress.push(ProgressPoint { height: height.0, received_bytes: self.received() });
        }
    }

    /// The answer is whole, up to this height.
    pub(crate) fn finish(mut self, last: Height) -> Run {
        let wall = self.started.elapsed();
        let client_cpu_us = self.own_time.as_ref().and_then(|then| self.own.processor_time_since(then));
        let server_cpu_us = self.server_time.as_ref().and_then(|then| self.server.as_ref()?.processor_time_since(then));
        let disk_now = self.server.as_ref().and_then(Process::read_from_disk);
        let now = self.meter.asked.traffic();
        self.progress.retain(|point| point.height < last.0);
        self.progress.push(ProgressPoint { height: last.0, received_bytes: self.received() });
        let Peaks { own, server } = self.looking.end();
        let above = |peak: Option<u64>, before: Option<u64>| Some(peak?.saturating_sub(before?));
        Run {
            wall_us: micros(wall),
            first_match_us: self.first_match.map(micros),
            client_cpu_us,
            server_cpu_us,
            client_peak_bytes: above(own, self.meter.own_before),
            server_peak_bytes: above(server, self.meter.server_before),
            server_disk_bytes: disk_now.zip(self.server_disk).map(|(now, then)| now.saturating_sub(then)),
            received_bytes: now.received.bytes.saturating_sub(self.traffic.received.bytes),
            sent_bytes: now.sent.bytes.saturating_sub(self.traffic.sent.bytes),
            received_messages: now.received.messages.saturating_sub(self.traffic.received.messages),
            sent_messages: now.sent.messages.saturating_sub(self.traffic.sent.messages),
            progress: self.progress,
        }
    }

    fn received(&self) -> u64 {
        self.meter.asked.traffic().received.bytes.saturating_sub(self.traffic.received.bytes)
    }
}

/// The most that was seen, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Peaks {
    own: Option<u64>,
    server: Option<u64>,
}

/// A thread that looks at memory until it is told to end.
struct Looking {
    end: mpsc::Sender<()>,
    thread: JoinHandle<Peaks>,
}

impl Looking {
    fn start(server: Option<u32>) -> Result<Self, CompareError> {
        let (end, ended) = mpsc::channel();
        let look = move || {
            let (own, server) = (Process::own(), server.map(Process::other));
            let (mut peaks, mut is_over) = (Peaks::default(), false);
            loop {
                peaks.own = peaks.own.max(own.own_memory());
                peaks.server = peaks.server.max(server.as_ref().and_then(Process::own_memory));
                if is_over {
                    return peaks;
                }
                // Once more after the end, so that the shortest run is looked at twice.
                is_over = ended.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout);
            }
        };
        let thread = std::thread::Builder::new().name("memory".to_owned()).spawn(look).map_err(CompareError::Thread)?;
        Ok(Self { end, thread })
    }

    fn end(self) -> Peaks {
        // Dropping it ends the thread as well as telling it.
        drop(self.end);
        self.thread.join().unwrap_or_default()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
