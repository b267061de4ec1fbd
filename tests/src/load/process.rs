//! A server process's resources, from the kernel.

use std::fs;
use std::io;

/// A process's resources at one moment, or the maximum of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Anonymous memory, without file maps, in bytes (`RssAnon`).
    pub anonymous_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub descriptors: u64,
    /// Mapped areas, anonymous ones included.
    pub maps: u64,
    /// Mapped areas of files: block files and the program itself.
    pub file_maps: u64,
}

impl Sample {
    /// Looks at process `pid`.
    ///
    /// # Errors
    /// If it is gone, or belongs to somebody else.
    pub fn of(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            value.trim().trim_end_matches(" kB").parse().unwrap_or(0_u64)
        };
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64; // usize has at most 64 bits
        Ok(Self {
            anonymous_bytes: field("RssAnon:") * 1_024,
            threads: field("Threads:"),
            descriptors,
            maps: maps.lines().count() as u64, // likewise
            file_maps: maps.lines().filter(|line| line.contains(" /")).count() as u64, // likewise
        })
    }

    /// The most of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            anonymous_bytes: self.anonymous_bytes.max(other.anonymous_bytes),
            threads: self.threads.max(other.threads),
            descriptors: self.descriptors.max(other.descriptors),
            maps: self.maps.max(other.maps),
            file_maps: self.file_maps.max(other.file_maps),
        }
    }
}
