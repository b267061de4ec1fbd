//! The configuration of a server, validated once. Nothing here touches a disk.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::chain::ChainConfig;
use crate::metrics::MetricsAddress;
use crate::session::guard::limits::SessionLimits;

/// The configuration of a server.
#[derive(Debug)]
pub struct ServerConfig {
    /// The block files to serve.
    pub chain: ChainConfig,
    /// The socket for clients.
    pub socket: PathBuf,
    /// The node's IPC socket; none to ignore the node.
    pub node_socket: Option<PathBuf>,
    /// The number of threads that scan.
    pub workers: NonZeroUsize,
    /// The limits for clients.
    pub limits: SessionLimits,
    /// The address of the metrics; none to disable them.
    pub metrics: Option<MetricsAddress>,
}
