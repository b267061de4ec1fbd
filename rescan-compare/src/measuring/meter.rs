//! Measures one run: wall time, processor time, waiting, memory, disk reads and traffic.
//!
//! A side's memory is its peak above the memory it held before any run. So memory that one run
//! leaves behind never counts in favour of the next.

use std::time::{Duration, Instant};

use rescan_client::{ByteCount, Client, Traffic};
use rescan_core::position::Height;

use super::memory::{MemorySampler, Peaks};
use super::process::{Process, ProcessorTime};
use crate::comparison::{ProgressPoint, Run};
use crate::error::CompareError;
use crate::node::Node;

/// Points of progress kept of a run, about.
const POINTS_MAX: u64 = 200;

/// Measures all runs against one server, or one node.
#[derive(Debug)]
pub(crate) struct Meter {
    peer: Peer,
    server: Option<u32>,
    own_before: Option<u64>,
    server_before: Option<u64>,
}

/// The answering side.
#[derive(Debug)]
enum Peer {
    Server(Box<Client>),
    Node(Node),
}

impl Peer {
    /// Traffic over its connections so far.
    fn traffic(&self) -> Traffic {
        match self {
            Self::Server(client) => client.traffic(),
            Self::Node(node) => {
                let traffic = node.traffic();
                Traffic {
                    received: ByteCount { bytes: traffic.received_bytes, messages: traffic.responses },
                    sent: ByteCount { bytes: traffic.sent_bytes, messages: traffic.requests },
                }
            }
        }
    }
}

/// A run in progress: made just before its first request, and finished just after the last of its
/// answer.
pub(crate) struct Running<'m> {
    meter: &'m Meter,
    own: Process,
    server: Option<Process>,
    own_time: Option<ProcessorTime>,
    server_time: Option<ProcessorTime>,
    server_disk: Option<u64>,
    memory: MemorySampler,
    traffic: Traffic,
    first_match: Option<Duration>,
    progress: Vec<ProgressPoint>,
    /// Heights between two points of progress.
    stride: u32,
    started: Instant,
}

impl Meter {
    /// For runs against the server of `client`. Memory that either process holds now is not counted
    /// later.
    pub(crate) fn of_server(client: &Client) -> Self {
        Self::new(Peer::Server(Box::new(client.clone())), client.server_process())
    }

    /// For runs against a node, whose figures then stand as the server's.
    pub(crate) fn of_node(node: &Node) -> Self {
        Self::new(Peer::Node(node.clone()), node.pid())
    }

    fn new(peer: Peer, server: Option<u32>) -> Self {
        Self {
            peer,
            server,
            own_before: Process::own().own_memory(),
            server_before: server.and_then(|pid| Process::other(pid).own_memory()),
        }
    }

    /// Whether the server's process is visible from here.
    pub(crate) fn sees_server(&self) -> bool {
        self.server_before.is_some()
    }

    /// Starts the clock of a run over `blocks` blocks. The caller's next step is its first request.
    ///
    /// # Errors
    /// If the sampling thread cannot start, or the server does not answer.
    pub(crate) async fn start(&self, blocks: u64) -> Result<Running<'_>, CompareError> {
        // The answer follows everything that an earlier run left in flight. A node handles one call
        // at a time.
        if let Peer::Server(client) = &self.peer {
            client.info().await?;
        }
        let (own, server) = (Process::own(), self.server.map(Process::other));
        let memory = MemorySampler::start(self.server)?;
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
            memory,
            traffic: self.peer.traffic(),
            first_match: None,
            progress: Vec::new(),
            stride,
            started: Instant::now(),
        })
    }
}

impl Running<'_> {
    /// The wallet has a part of the answer.
    pub(crate) fn matched(&mut self) {
        let started = self.started;
        self.first_match.get_or_insert_with(|| started.elapsed());
    }

    /// The answer is complete up to this height.
    pub(crate) fn reached(&mut self, height: Height) {
        let last = self.progress.last().map(|point| point.height);
        if last.is_none_or(|last| height.0 >= last.saturating_add(self.stride)) {
            self.progress.push(ProgressPoint { height: height.0, received_bytes: self.received() });
        }
    }

    /// The answer is complete, up to this last height.
    pub(crate) fn finish(mut self, last: Height) -> Run {
        let wall_us = micros(self.started.elapsed());
        let client_cpu_us = self.own_time.as_ref().and_then(|then| self.own.processor_time_since(then));
        let server_cpu_us = self.server_time.as_ref().and_then(|then| self.server.as_ref()?.processor_time_since(then));
        let disk_now = self.server.as_ref().and_then(Process::read_from_disk);
        let now = self.meter.peer.traffic();
        self.progress.retain(|point| point.height < last.0);
        self.progress.push(ProgressPoint { height: last.0, received_bytes: self.received() });
        let Peaks { own, server } = self.memory.end();
        let above = |peak: Option<u64>, before: Option<u64>| Some(peak?.saturating_sub(before?));
        Run {
            wall_us,
            first_match_us: self.first_match.map(micros),
            client_cpu_us,
            server_cpu_us,
            waiting_us: waiting(wall_us, client_cpu_us, server_cpu_us),
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
        self.meter.peer.traffic().received.bytes.saturating_sub(self.traffic.received.bytes)
    }
}

/// See [`Run::waiting_us`].
fn waiting(wall_us: u64, client_cpu_us: Option<u64>, server_cpu_us: Option<u64>) -> Option<u64> {
    Some(wall_us.saturating_sub(client_cpu_us?.saturating_add(server_cpu_us?)))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_the_wall_time_that_no_processor_time_explains() {
        assert_eq!(waiting(3_000, Some(200), Some(300)), Some(2_500));
        assert_eq!(waiting(3_000, Some(2_000), Some(2_000)), Some(0), "both computed at once");
        assert_eq!(waiting(3_000, Some(200), None), None);
    }
}
