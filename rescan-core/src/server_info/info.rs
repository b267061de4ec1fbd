//! The answer to `info`.

use bitcoin::Network;

use super::{ChainInfo, Limits, Metrics, NodeLink};

/// The version of the protocol that this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// A server and its present state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The version of its protocol; grows only when an old client would misread it.
    pub protocol_version: u32,
    /// Its name and version, for people.
    pub software: String,
    /// The network of its chain; the default signet and custom ones are both [`Network::Signet`].
    pub network: Network,
    /// Its abilities beyond those of every server of this protocol version.
    pub features: Vec<Feature>,
    /// The state of its chain.
    pub chain: ChainInfo,
    /// Its limits for clients.
    pub limits: Limits,
    /// The state of its link to the node.
    pub node: NodeLink,
    /// Counts since it started. `figures` on the wire and in JSON.
    pub metrics: Metrics,
}

/// An ability of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Feature {
    /// Scans for a watch set.
    Scan,
    /// Shipments of whole blocks.
    Blocks,
    /// Ranges that begin at a time.
    Birthday,
    /// Keychains watched by their gap limit, and scans that resume earlier ones.
    GapRule,
    /// Scans that deliver coins in place of history.
    Coins,
    /// Raw transactions and merkle branches.
    Proofs,
    /// Locators: resume points, ranges that begin after a locator, and progress marks.
    Locator,
    /// One block a call, matched against entries in the call.
    MatchBlock,
    /// A call that waits for a new tip.
    WaitTip,
    /// `WatchSet.progress`, and the scripts in [`Progress`](crate::report::Progress).
    WatchSetProgress,
    /// A feature that this version does not know.
    Unknown,
}
