//! What the server says of itself and of its chain, unless a test has it say something else.

use rescan_client::bitcoin::hashes::Hash;
use rescan_client::bitcoin::{BlockHash, Network};
use rescan_client::position::Height;
use rescan_client::report::{BlockId, Ending, Phase, Progress};
use rescan_client::server_info::{
    ChainInfo, ChainSource, ChainState, Feature, Figures, Limits, NodeLink, ReadingProgress, ServerInfo,
};
use rescan_core::wire;

pub(crate) fn info() -> ServerInfo {
    ServerInfo {
        protocol_version: 1,
        software: "fake 1".to_owned(),
        network: Network::Regtest,
        features: vec![Feature::Scan, Feature::Blocks, Feature::Birthday],
        chain: ChainInfo {
            genesis: BlockHash::all_zeros(),
            state: ChainState::Ready,
            tip: None,
            lowest_height: Height(0),
            source: ChainSource::Files,
            reading: ReadingProgress::default(),
        },
        limits: Limits {
            message_bytes_max: 1 << 23,
            connections_max: 1,
            scans_per_connection_max: 1,
            watch_sets_per_connection_max: 1,
            scripts_per_watch_set_max: 1,
            outpoints_per_watch_set_max: 1,
            entry_bytes_per_watch_set_max: 1,
            watched_per_connection_max: 1,
            watched_pool: 1,
            scans_max: 1,
            calls_open_max: 1,
            calls_waiting_max: 1,
            capabilities_max: 1,
            unanswered_bytes_max: 1,
            unanswered_bytes_pool: 1,
            stalled_after_millis: 1,
            unread_after_millis: 1,
            message_after_millis: 1,
        },
        node: NodeLink::default(),
        figures: Figures::default(),
    }
}

/// The id that the fake gives the block at a height; those of 1,000 and above are outside its chain.
pub(crate) fn block_id(height: Height) -> Option<BlockId> {
    (height.0 < 1_000).then(|| BlockId { height, hash: BlockHash::from_byte_array([7; 32]), time: height.0 + 5 })
}

pub(crate) fn progress() -> Progress {
    Progress {
        phase: Phase::Walking,
        blocks_done: 1,
        blocks_total: 2,
        bytes_done: 3,
        bytes_total: 4,
        elapsed_micros: 5,
    }
}

pub(crate) fn flat_info(info: &ServerInfo) -> Vec<u8> {
    let mut message = capnp::message::Builder::new_default();
    wire::write_server_info(info, message.init_root()).unwrap();
    capnp::serialize::write_message_to_words(&message)
}

pub(crate) fn flat_ending(ending: &Ending) -> Vec<u8> {
    let mut message = capnp::message::Builder::new_default();
    wire::write_ending(ending, message.init_root()).unwrap();
    capnp::serialize::write_message_to_words(&message)
}
