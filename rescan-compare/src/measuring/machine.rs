//! The machine, as the operating system describes it.

use std::fs;

use procfs::prelude::*;
use procfs::{CpuInfo, Meminfo};

use crate::comparison::Machine;

impl Machine {
    /// This machine, as far as it is visible from here.
    pub(crate) fn this() -> Self {
        let processor = CpuInfo::current().ok().and_then(|info| info.model_name(0).map(ToOwned::to_owned));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let kernel = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        Self {
            processor: processor.unwrap_or_else(|| "unknown".to_owned()),
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            memory_bytes: Meminfo::current().ok().map(|info| info.mem_total),
            system: format!("{} {}", kernel("ostype").trim(), kernel("osrelease").trim()).trim().to_owned(),
        }
    }
}
