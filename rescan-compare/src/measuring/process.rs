//! A process's use of processor time, memory and disk, from the kernel.
//!
//! A process that is invisible, as from within a container, has no figures; that is no error.

use std::collections::HashMap;
use std::time::Duration;

use procfs::process;
use rustix::time::{ClockId, clock_gettime};

/// A process. Its folder in `/proc` stays open: another process that later gets its number is not
/// taken for it.
#[derive(Debug)]
pub(crate) struct Process {
    files: Option<process::Process>,
    is_own: bool,
}

/// A process's processor time at one moment, for the difference to a later one.
#[derive(Debug)]
pub(crate) enum ProcessorTime {
    /// Nanoseconds.
    Whole(u64),
    /// Nanoseconds of each thread by its number.
    Threads(HashMap<i32, u64>),
    /// Ticks of the kernel's clock, mostly hundredths of a second.
    Ticks(u64),
}

impl Process {
    /// This process.
    pub(crate) fn own() -> Self {
        Self { files: process::Process::myself().ok(), is_own: true }
    }

    /// The process with this number.
    pub(crate) fn other(pid: u32) -> Self {
        Self { files: i32::try_from(pid).ok().and_then(|pid| process::Process::new(pid).ok()), is_own: false }
    }

    /// None if the process is invisible.
    pub(crate) fn processor_time(&self) -> Option<ProcessorTime> {
        if self.is_own {
            return Some(ProcessorTime::Whole(own_nanoseconds()));
        }
        let files = self.files.as_ref()?;
        // The kernel counts a whole process in hundredths of a second, and each thread in
        // nanoseconds.
        threads(files).map(ProcessorTime::Threads).or_else(|| {
            let stat = files.stat().ok()?;
            Some(ProcessorTime::Ticks(stat.utime.saturating_add(stat.stime)))
        })
    }

    /// Its processor time since then, in microseconds.
    pub(crate) fn processor_time_since(&self, then: &ProcessorTime) -> Option<u64> {
        let nanoseconds = match (self.processor_time()?, then) {
            (ProcessorTime::Whole(now), ProcessorTime::Whole(then)) => now.saturating_sub(*then),
            // Time of threads that ended meanwhile is lost: a server's work is done by threads that
            // stay.
            (ProcessorTime::Threads(now), ProcessorTime::Threads(then)) => now
                .into_iter()
                .map(|(thread, now)| now.saturating_sub(then.get(&thread).copied().unwrap_or(0)))
                .fold(0, u64::saturating_add),
            (ProcessorTime::Ticks(now), ProcessorTime::Ticks(then)) => {
                now.saturating_sub(*then).saturating_mul(1_000_000_000).checked_div(procfs::ticks_per_second())?
            }
            _ => return None,
        };
        Some(nanoseconds / 1_000)
    }

    /// Bytes read for it from disk since it started, through maps and otherwise; reads from the
    /// page cache do not count.
    pub(crate) fn read_from_disk(&self) -> Option<u64> {
        Some(self.files.as_ref()?.io().ok()?.read_bytes)
    }

    /// Its resident memory without mapped files, which belong to the page cache, in bytes. The
    /// kernel's figure may lag by some pages a processor.
    pub(crate) fn own_memory(&self) -> Option<u64> {
        let pages = self.files.as_ref()?.statm().ok()?;
        Some(pages.resident.saturating_sub(pages.shared).saturating_mul(procfs::page_size()))
    }
}

/// Of all threads of this process, ended ones included.
fn own_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let time = Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0));
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// None if the kernel does not count so finely.
fn threads(files: &process::Process) -> Option<HashMap<i32, u64>> {
    let mut used = HashMap::new();
    for thread in files.tasks().ok()? {
        // A thread may end after it was listed.
        let Ok(thread) = thread else { continue };
        if let Ok(schedule) = thread.schedstat() {
            used.insert(thread.tid, schedule.sum_exec_runtime);
        }
    }
    (!used.is_empty()).then_some(used)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    fn work_until(process: &Process, then: &ProcessorTime, micros: u64) -> bool {
        let mut sum = 0_u64;
        while process.processor_time_since(then).is_some_and(|used| used < micros) {
            sum = (0..100_000).fold(sum, |sum, number| black_box(sum.wrapping_add(number)));
        }
        process.processor_time_since(then).is_some_and(|used| used >= micros)
    }

    #[test]
    fn work_shows_as_processor_time_of_this_process_from_within_and_from_without() {
        for process in [Process::own(), Process::other(std::process::id())] {
            let then = process.processor_time().expect("this process is visible");
            assert!(work_until(&process, &then, 30_000), "{process:?}");
        }
    }

    #[test]
    fn written_allocations_show_as_memory() {
        const BYTES: usize = 64 << 20;
        let process = Process::own();
        let before = process.own_memory().expect("this process is visible");
        let held = black_box(vec![1_u8; BYTES]);
        let during = process.own_memory().expect("this process is visible");
        // Other tests of this binary allocate and free meanwhile.
        assert!(during > before + held.len() as u64 / 2, "{before} {during}");
    }

    #[test]
    fn a_missing_process_has_no_figures() {
        let missing = Process::other(u32::MAX);
        assert!(missing.processor_time().is_none() && missing.own_memory().is_none());
    }
}
