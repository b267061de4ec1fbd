//! A thread that samples the memory of both processes during a run.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::process::Process;
use crate::error::CompareError;

/// The time between two samples. One sample costs some microseconds.
const SAMPLE_EVERY: Duration = Duration::from_millis(10);

/// The highest samples, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peaks {
    pub(super) own: Option<u64>,
    pub(super) server: Option<u64>,
}

/// The sampling thread. Peaks between two samples are missed.
pub(super) struct MemorySampler {
    end: mpsc::Sender<()>,
    thread: JoinHandle<Peaks>,
}

impl MemorySampler {
    pub(super) fn start(server: Option<u32>) -> Result<Self, CompareError> {
        let (end, ended) = mpsc::channel();
        let sample = move || {
            let (own, server) = (Process::own(), server.map(Process::other));
            let (mut peaks, mut is_over) = (Peaks::default(), false);
            loop {
                peaks.own = peaks.own.max(own.own_memory());
                peaks.server = peaks.server.max(server.as_ref().and_then(Process::own_memory));
                if is_over {
                    return peaks;
                }
                // One more sample after the end: the shortest run has two.
                is_over = ended.recv_timeout(SAMPLE_EVERY) != Err(RecvTimeoutError::Timeout);
            }
        };
        let thread =
            std::thread::Builder::new().name("memory".to_owned()).spawn(sample).map_err(CompareError::Thread)?;
        Ok(Self { end, thread })
    }

    pub(super) fn end(self) -> Peaks {
        // The thread also ends when the channel closes.
        drop(self.end);
        self.thread.join().unwrap_or_default()
    }
}
