//! What a server says about itself: what it can do, which chain it sees, what it allows.

use bitcoin::{BlockHash, Network};

use crate::position::Height;
use crate::report::BlockId;

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
