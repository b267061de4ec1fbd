//! The self-description of a server: its features, its chain, its limits, its metrics.

mod chain_info;
mod info;
mod limits;
mod metrics;
mod node_link;

pub use self::chain_info::{ChainInfo, ChainSource, ChainState, ReadingProgress};
pub use self::info::{Feature, PROTOCOL_VERSION, ServerInfo};
pub use self::limits::Limits;
pub(crate) use self::limits::for_each_limit;
pub use self::metrics::Metrics;
pub use self::node_link::{NodeHeight, NodeLink, NodeLinkState, NodeTip};
