//! The only line of `rescan info`: the server, its chain, its limits, its metrics.
//!
//! The names and the order of the fields are a contract. Those of `limits`, `node` and `figures` come from the serde
//! implementations of `rescan-core`.

use rescan_client::server_info::{ChainSource, ChainState, Feature, Limits, Metrics, NodeLink, ServerInfo};
use serde::Serialize;

use super::{Line, network_name};

/// The fields of the line.
#[derive(Debug, Serialize)]
pub(crate) struct InfoLine {
    software: String,
    protocol_version: u32,
    network: &'static str,
    features: Vec<Feature>,
    chain_state: ChainState,
    chain_source: ChainSource,
    genesis_hash: String,
    tip_height: Option<u32>,
    tip_hash: Option<String>,
    tip_time: Option<u32>,
    lowest_height: u32,
    reading_bytes_done: u64,
    reading_bytes_total: u64,
    limits: Limits,
    node: NodeLink,
    figures: FiguresField,
}

/// The metrics, and the lag that follows from them and the tip.
#[derive(Debug, Serialize)]
struct FiguresField {
    #[serde(flatten)]
    metrics: Metrics,
    lag_blocks: Option<u32>,
}

/// The only line of `rescan info`.
pub(crate) fn info(info: &ServerInfo) -> Line {
    let tip = info.chain.tip.as_ref();
    Line::Info(Box::new(InfoLine {
        software: info.software.clone(),
        protocol_version: info.protocol_version,
        network: network_name(info.network),
        // Features newer than this program have no name here.
        features: info.features.iter().copied().filter(|feature| *feature != Feature::Unknown).collect(),
        chain_state: info.chain.state,
        chain_source: info.chain.source,
        genesis_hash: info.chain.genesis.to_string(),
        tip_height: tip.map(|tip| tip.height.0),
        tip_hash: tip.map(|tip| tip.hash.to_string()),
        tip_time: tip.map(|tip| tip.time),
        lowest_height: info.chain.lowest_height.0,
        reading_bytes_done: info.chain.reading.bytes_done,
        reading_bytes_total: info.chain.reading.bytes_total,
        limits: info.limits,
        node: info.node.clone(),
        figures: FiguresField {
            metrics: info.metrics.clone(),
            lag_blocks: info.metrics.node_tip.lag_blocks(tip.map(|tip| tip.height)),
        },
    }))
}
