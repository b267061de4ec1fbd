//! The link between a server and the node whose block files it reads.

use bitcoin::BlockHash;

use crate::position::Height;

/// The state of a server's link to its node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct NodeLink {
    /// Its state.
    pub state: NodeLinkState,
    /// The time of the last change of state, in seconds since 1970.
    pub since: u64,
    /// The last tip that the node reported.
    #[cfg_attr(feature = "serde", serde(flatten, serialize_with = "flat_tip"))]
    pub tip: Option<NodeTip>,
    /// The reason why the link is lost, refused or not ready yet, for people; else empty.
    pub reason: String,
}

impl NodeLink {
    /// The height of the node's tip, as far as the link knows it.
    #[must_use]
    pub fn height(&self) -> NodeHeight {
        match (self.state, self.tip) {
            (NodeLinkState::Off | NodeLinkState::Absent, _) => NodeHeight::NotAsked,
            (NodeLinkState::Connected, Some(tip)) => NodeHeight::Height(tip.height),
            _ => NodeHeight::Unreachable,
        }
    }
}

/// Writes `tip_height` and `tip_hash`, both null without a tip.
#[cfg(feature = "serde")]
fn flat_tip<S: serde::Serializer>(tip: &Option<NodeTip>, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;

    let mut fields = serializer.serialize_map(Some(2))?;
    fields.serialize_entry("tip_height", &tip.map(|tip| tip.height.0))?;
    fields.serialize_entry("tip_hash", &tip.map(|tip| tip.hash.to_string()))?;
    fields.end()
}

/// A state of the link to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NodeLinkState {
    /// The server is configured without a node.
    #[default]
    Off,
    /// No socket exists at the node's path.
    Absent,
    /// A node listens and has not answered yet.
    Connecting,
    /// The node reports its active chain.
    Connected,
    /// The link broke, or no process listens on the socket; the server retries.
    Lost,
    /// The listening process is not an acceptable node; the server retries.
    Refused,
    /// A state that this version does not know.
    Unknown,
}

/// The tip of a node's active chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeTip {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
}

/// The height of a node's tip, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeHeight {
    /// No node is configured or present.
    #[default]
    NotAsked,
    /// The node does not answer at the moment.
    Unreachable,
    /// The height that the node reported last.
    Height(Height),
}

impl NodeHeight {
    /// The number of blocks by which a chain that ends at `tip` lags behind the node; none if the node's height is
    /// unknown.
    #[must_use]
    pub fn lag_blocks(self, tip: Option<Height>) -> Option<u32> {
        match self {
            Self::Height(height) => Some(tip.map_or(height.0.saturating_add(1), |tip| height.0.saturating_sub(tip.0))),
            Self::NotAsked | Self::Unreachable => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_lags_by_the_blocks_that_the_node_has_and_it_has_not() {
        let node = NodeHeight::Height(Height(10));
        assert_eq!(node.lag_blocks(Some(Height(7))), Some(3));
        assert_eq!(node.lag_blocks(Some(Height(12))), Some(0), "the node went back");
        assert_eq!(node.lag_blocks(None), Some(11), "the genesis block too");
        assert_eq!(NodeHeight::Unreachable.lag_blocks(Some(Height(7))), None);
    }
}
