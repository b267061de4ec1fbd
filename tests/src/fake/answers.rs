//! The server's description of itself and of its chain, unless a test replaces it.

use rescan_client::bitcoin::hashes::Hash;
use rescan_client::bitcoin::{Amount, BlockHash, Network, ScriptBuf, Txid};
use rescan_client::position::{Height, HeightRange};
use rescan_client::report::{
    BlockId, BlockReport, Ending, Origin, Outcome, Phase, Progress, Received, Summary, TransactionReport,
};
use rescan_client::server_info::{
    ChainInfo, ChainSource, ChainState, Feature, Limits, Metrics, NodeLink, ReadingProgress, ServerInfo,
};
use rescan_core::wire;

use super::Step;

pub fn info() -> ServerInfo {
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
        metrics: Metrics::default(),
    }
}

/// The id of the fake's block at a height; heights of 1,000 and above are outside its chain.
pub fn block_id(height: Height) -> Option<BlockId> {
    (height.0 < 1_000).then(|| BlockId { height, hash: BlockHash::from_byte_array([7; 32]), time: height.0 + 5 })
}

pub fn progress() -> Progress {
    Progress {
        phase: Phase::Walking,
        scripts_derived: 0,
        scripts_total: 0,
        blocks_done: 1,
        blocks_total: 2,
        bytes_done: 3,
        bytes_total: 4,
        elapsed_micros: 5,
    }
}

pub fn flat_info(info: &ServerInfo) -> Vec<u8> {
    let mut message = capnp::message::Builder::new_default();
    wire::write_server_info(info, message.init_root()).unwrap();
    capnp::serialize::write_message_to_words(&message)
}

pub fn flat_ending(ending: &Ending) -> Vec<u8> {
    let mut message = capnp::message::Builder::new_default();
    wire::write_ending(ending, message.init_root()).unwrap();
    capnp::serialize::write_message_to_words(&message)
}

pub fn report(height: u32, script_bytes: usize) -> BlockReport {
    let received = Received {
        vout: 0,
        value: Amount::from_sat(1),
        script_pubkey: ScriptBuf::from(vec![0x51; script_bytes]),
        origins: vec![Origin::Script(0)],
    };
    let (tx_index, txid, raw, merkle_branch) = (0, Txid::all_zeros(), None, None);
    let transaction = TransactionReport { tx_index, txid, received: vec![received], spent: vec![], raw, merkle_branch };
    BlockReport {
        height: Height(height),
        hash: BlockHash::all_zeros(),
        time: 0,
        is_late: false,
        header: None,
        transactions: vec![transaction],
    }
}

pub fn summary(outcome: Outcome) -> Summary {
    Summary {
        outcome,
        range: HeightRange::new(Height(0), Height(9)).unwrap(),
        tip: BlockId { height: Height(9), hash: BlockHash::all_zeros(), time: 0 },
        transactions: 2,
        unspent_count: 2,
        unspent: Amount::from_sat(2),
        keychains: vec![],
        watched_through: vec![],
        blocks_scanned: 10,
        bytes_scanned: 1_000,
        prepare_micros: 0,
        elapsed_micros: 1,
        locator: vec![],
        passes: 1,
    }
}

pub fn complete() -> Step {
    Step::End(Ending::Summary(summary(Outcome::Complete)))
}
