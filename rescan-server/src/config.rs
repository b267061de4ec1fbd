//! What a server is told, checked once. Nothing here touches a disk.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::chain::ChainConfig;
use crate::metrics::MetricsAddress;
use crate::session::guard::limits::SessionLimits;

/// What a server is told.
#[derive(Debug)]
pub struct ServerConfig {
    /// Which block files to serve.
    pub chain: ChainConfig,
    /// Where clients connect.
    pub socket: PathBuf,
    /// Where the node answers over IPC; none if it is not to be asked.
    pub node_socket: Option<PathBuf>,
    /// How many threads scan.
    pub workers: NonZeroUsize,
    /// What clients may use.
    pub limits: SessionLimits,
    /// Where metrics are told, if anywhere.
    pub metrics: Option<MetricsAddress>,
}
