//! What a server says about itself: what it can do, which chain it sees, what it allows.

use bitcoin::{BlockHash, Network};

use crate::position::Height;
use crate::report::{BlockId, FailureKind, RefusalReason};

/// The version of the protocol that this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// What a server is and what it sees at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The version of its protocol; grows only when an old client would misread it.
    pub protocol_version: u32,
    /// Its name and version, for people.
    pub software: String,
    /// The network of its chain; the default signet and custom ones are both [`Network::Signet`].
    pub network: Network,
    /// What it can do beyond what every server of this protocol version can.
    pub features: Vec<Feature>,
    /// The chain that it sees.
    pub chain: ChainInfo,
    /// What it allows a client.
    pub limits: Limits,
    /// Whether it is in touch with its node.
    pub node: NodeLink,
    /// What it did since it started.
    pub figures: Figures,
}

/// Something that a server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// Scans for a watch set.
    Scan,
    /// Ships whole blocks.
    Blocks,
    /// Ranges that begin at a time.
    Birthday,
    /// Keychains watched by their gap limit, and scans that go on where others ended.
    GapRule,
    /// Scans that give coins in place of history.
    Coins,
    /// Raw transactions and merkle branches.
    Proofs,
    /// Locators: where to go on, ranges that begin after one, and marks on the way.
    Locator,
    /// One block a call, matched against what travels in the call.
    MatchBlock,
    /// A call that waits for the tip to change.
    WaitTip,
    /// Something that this version does not know.
    Unknown,
}

/// The chain that a server sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainInfo {
    /// The network's genesis block.
    pub genesis: BlockHash,
    /// Whether it can be scanned.
    pub state: ChainState,
    /// The tip of the active chain; none while no block is known.
    pub tip: Option<BlockId>,
    /// The lowest height from which every block up to the tip is on disk.
    pub lowest_height: Height,
    /// Who says which chain is active.
    pub source: ChainSource,
    /// How far the reading of block files is.
    pub reading: ReadingProgress,
}

/// Whether a server's chain can be scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainState {
    /// The block files are being read for the first time since the server started; scans wait for it.
    Reading,
    /// It can.
    Ready,
    /// The block files could not be read; the next scan tries again.
    Failed,
    /// A state that this version does not know.
    Unknown,
}

/// Who says which chain is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainSource {
    /// The block files: the most work, not confirmed by a node.
    Files,
    /// The node itself.
    Node,
    /// A source that this version does not know.
    Unknown,
}

/// Whether a server is in touch with the node whose block files it reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeLink {
    /// How it is.
    pub state: NodeLinkState,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// The tip that the node named last.
    pub tip: Option<NodeTip>,
    /// Why the link is lost or refused, or what it waits for, for people; else empty.
    pub reason: String,
}

impl NodeLink {
    /// What the node says of its tip.
    #[must_use]
    pub fn height(&self) -> NodeHeight {
        match (self.state, self.tip) {
            (NodeLinkState::Off | NodeLinkState::Absent, _) => NodeHeight::NotAsked,
            (NodeLinkState::Connected, Some(tip)) => NodeHeight::Height(tip.height),
            _ => NodeHeight::Unreachable,
        }
    }
}

/// How the link to a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeLinkState {
    /// The server was told not to ask a node.
    #[default]
    Off,
    /// There is no socket where the node's is looked for.
    Absent,
    /// A node listens and has not answered yet.
    Connecting,
    /// The node says which chain is active.
    Connected,
    /// There was a link, or nobody listens on the socket; it is tried again.
    Lost,
    /// What listens is no node that can be asked; it is tried again.
    Refused,
    /// A state that this version does not know.
    Unknown,
}

/// The tip of a node's active chain, as it names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeTip {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
}

/// How far the reading of block files is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadingProgress {
    /// Bytes of block files read or skipped over so far.
    pub bytes_done: u64,
    /// Bytes of block files in all.
    pub bytes_total: u64,
}

/// What a server allows a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A larger message ends the connection; in bytes.
    pub message_bytes_max: u64,
    /// Connections at a time, of all clients together.
    pub connections_max: u32,
    /// Scans at a time on one connection, block shipments included.
    pub scans_per_connection_max: u32,
    /// Watch sets alive at a time on one connection.
    pub watch_sets_per_connection_max: u32,
    /// Scripts of one watch set, given and derived together.
    pub scripts_per_watch_set_max: u64,
    /// Given outpoints of one watch set.
    pub outpoints_per_watch_set_max: u64,
    /// Bytes of the descriptors and scripts that are given to one watch set. From here on, 0 where a server does not say.
    pub entry_bytes_per_watch_set_max: u64,
    /// Scripts and outpoints in all watch sets and scans of one connection, derived ones included.
    pub watched_per_connection_max: u64,
    /// As many may all connections watch together, beyond what each has for itself.
    pub watched_pool: u64,
    /// Scans at a time of all connections together.
    pub scans_max: u32,
    /// Calls of one connection that are not yet answered, or not yet finished by the client.
    pub calls_open_max: u32,
    /// Calls of one connection that wait for something to happen on the server.
    pub calls_waiting_max: u32,
    /// Capabilities that came with calls of one connection which are not yet answered.
    pub capabilities_max: u32,
    /// Bytes of messages of one connection that have half arrived, or whose calls are not yet answered.
    pub unanswered_bytes_max: u64,
    /// As many may all connections have of those together, beyond what each has for itself.
    pub unanswered_bytes_pool: u64,
    /// A wallet that takes nothing of its scan for so long has it cancelled; in milliseconds.
    pub stalled_after_millis: u32,
    /// A client that reads nothing for so long loses its connection; in milliseconds.
    pub unread_after_millis: u32,
    /// A message that takes so long to arrive costs its client the connection; in milliseconds.
    pub message_after_millis: u32,
}

/// What a server did since it started, and what is so at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Scans that were called for, shipments of blocks included.
    pub scans_begun: u64,
    /// Those that came to the end of their range.
    pub scans_complete: u64,
    /// Those that were told to end early, or whose wallet took nothing.
    pub scans_cancelled: u64,
    /// Those whose range has blocks that are pruned away.
    pub scans_pruned: u64,
    /// Those beneath which the chain was reorganised.
    pub scans_reorganised: u64,
    /// Those that were never begun: the caller's mistake.
    pub scans_refused: u64,
    /// Those that something broke.
    pub scans_failed: u64,
    /// Those whose wallet left, or let go of them.
    pub scans_abandoned: u64,
    /// Calls about one block.
    pub block_matches: u64,
    /// Blocks that scans have been through.
    pub blocks_walked: u64,
    /// Their size, in bytes.
    pub bytes_walked: u64,
    /// How fast the scan that ended last walked its blocks, in bytes per second; 0 before the first.
    pub last_scan_bytes_per_second: u64,
    /// Transactions that were reported by scans which came to an outcome.
    pub transactions_reported: u64,
    /// Connections at the moment.
    pub connections_now: u32,
    /// Connections that were let in.
    pub connections_accepted: u64,
    /// Those turned away because the server had as many as it takes.
    pub connections_turned_away: u64,
    /// Those closed at once because another user's.
    pub connections_of_other_users: u64,
    /// Those ended because the peer broke the protocol.
    pub connections_broken: u64,
    /// How often a watch set, a scan or a call about one block was refused, and why; what never happened is not listed.
    pub refusals: Vec<(RefusalReason, u64)>,
    /// How often a scan, a call about one block or a look at the block files failed, and in which way; likewise.
    pub failures: Vec<(FailureKind, u64)>,
    /// What the node says of its tip.
    pub node_tip: NodeHeight,
}

impl Figures {
    /// Scans that have not ended.
    #[must_use]
    pub fn scans_under_way(&self) -> u64 {
        let ended = [
            self.scans_complete,
            self.scans_cancelled,
            self.scans_pruned,
            self.scans_reorganised,
            self.scans_refused,
            self.scans_failed,
            self.scans_abandoned,
        ];
        ended.iter().fold(self.scans_begun, |left, ended| left.saturating_sub(*ended))
    }
}

/// What a node says of its tip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeHeight {
    /// No node is asked.
    #[default]
    NotAsked,
    /// It does not answer at the moment.
    Unreachable,
    /// The height that it last said.
    Height(Height),
}

impl NodeHeight {
    /// By how many blocks a chain that ends at `tip` is behind the node's; none where that is not known.
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
