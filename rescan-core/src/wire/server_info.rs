//! The self-description of a server, on the wire.

use bitcoin::Network;
use bitcoin::hashes::Hash;

use super::metrics::{read_metrics, write_metrics};
use super::report::{read_block_id, write_block_id};
use super::{WireError, list_length, newer, read_block_hash};
use crate::position::Height;
use crate::rescan_capnp::{self as capnp_types, chain_info, limits, node_link, node_tip, server_info};
use crate::server_info::{
    ChainInfo, ChainSource, ChainState, Feature, Limits, NodeLink, NodeLinkState, NodeTip, ReadingProgress, ServerInfo,
    for_each_limit,
};

/// Reads the self-description of a server.
///
/// # Errors
/// [`WireError`] if the message is malformed, or names a network that this version does not know.
pub fn read_server_info(reader: server_info::Reader<'_>) -> Result<ServerInfo, WireError> {
    let network = match reader.get_network().map_err(newer("network"))? {
        capnp_types::Network::Main => Network::Bitcoin,
        capnp_types::Network::Testnet3 => Network::Testnet,
        capnp_types::Network::Testnet4 => Network::Testnet4,
        capnp_types::Network::Signet => Network::Signet,
        capnp_types::Network::Regtest => Network::Regtest,
    };
    let features = reader.get_features()?.iter().map(|feature| match feature {
        Ok(capnp_types::Feature::Scan) => Feature::Scan,
        Ok(capnp_types::Feature::Blocks) => Feature::Blocks,
        Ok(capnp_types::Feature::Birthday) => Feature::Birthday,
        Ok(capnp_types::Feature::GapRule) => Feature::GapRule,
        Ok(capnp_types::Feature::Coins) => Feature::Coins,
        Ok(capnp_types::Feature::Proofs) => Feature::Proofs,
        Ok(capnp_types::Feature::Locator) => Feature::Locator,
        Ok(capnp_types::Feature::MatchBlock) => Feature::MatchBlock,
        Ok(capnp_types::Feature::WaitTip) => Feature::WaitTip,
        Ok(capnp_types::Feature::WatchSetProgress) => Feature::WatchSetProgress,
        Err(capnp::NotInSchema(_)) => Feature::Unknown,
    });
    Ok(ServerInfo {
        protocol_version: reader.get_protocol_version(),
        software: reader.get_software()?.to_str()?.to_owned(),
        network,
        features: features.collect(),
        chain: read_chain_info(reader.get_chain()?)?,
        limits: read_limits(reader.get_limits()?),
        node: read_node_link(reader.get_node()?)?,
        metrics: read_metrics(reader.get_figures()?)?,
    })
}

/// Writes the self-description of a server.
///
/// # Errors
/// [`WireError::Unsayable`] for a value that was itself read as unknown.
pub fn write_server_info(info: &ServerInfo, mut builder: server_info::Builder<'_>) -> Result<(), WireError> {
    builder.set_protocol_version(info.protocol_version);
    builder.set_software(&info.software);
    builder.set_network(match info.network {
        Network::Bitcoin => capnp_types::Network::Main,
        Network::Testnet => capnp_types::Network::Testnet3,
        Network::Testnet4 => capnp_types::Network::Testnet4,
        Network::Signet => capnp_types::Network::Signet,
        Network::Regtest => capnp_types::Network::Regtest,
    });
    let length = list_length("features", info.features.len())?;
    let mut features = builder.reborrow().init_features(length);
    for (index, feature) in (0..length).zip(&info.features) {
        features.set(
            index,
            match feature {
                Feature::Scan => capnp_types::Feature::Scan,
                Feature::Blocks => capnp_types::Feature::Blocks,
                Feature::Birthday => capnp_types::Feature::Birthday,
                Feature::GapRule => capnp_types::Feature::GapRule,
                Feature::Coins => capnp_types::Feature::Coins,
                Feature::Proofs => capnp_types::Feature::Proofs,
                Feature::Locator => capnp_types::Feature::Locator,
                Feature::MatchBlock => capnp_types::Feature::MatchBlock,
                Feature::WaitTip => capnp_types::Feature::WaitTip,
                Feature::WatchSetProgress => capnp_types::Feature::WatchSetProgress,
                Feature::Unknown => return Err(WireError::Unsayable { field: "features" }),
            },
        );
    }
    write_chain_info(&info.chain, builder.reborrow().init_chain())?;
    write_limits(&info.limits, builder.reborrow().init_limits());
    write_node_link(&info.node, builder.reborrow().init_node())?;
    write_metrics(&info.metrics, builder.init_figures())
}

fn read_chain_info(reader: chain_info::Reader<'_>) -> Result<ChainInfo, WireError> {
    let reading = reader.get_reading()?;
    Ok(ChainInfo {
        genesis: read_block_hash("chain.genesis", reader.get_genesis()?)?,
        state: match reader.get_state() {
            Ok(capnp_types::ChainState::Reading) => ChainState::Reading,
            Ok(capnp_types::ChainState::Ready) => ChainState::Ready,
            Ok(capnp_types::ChainState::Failed) => ChainState::Failed,
            Err(capnp::NotInSchema(_)) => ChainState::Unknown,
        },
        tip: if reader.has_tip() { read_block_id(reader.get_tip()?)? } else { None },
        lowest_height: Height(reader.get_lowest_height()),
        source: match reader.get_source() {
            Ok(capnp_types::ChainSource::Files) => ChainSource::Files,
            Ok(capnp_types::ChainSource::Node) => ChainSource::Node,
            Err(capnp::NotInSchema(_)) => ChainSource::Unknown,
        },
        reading: ReadingProgress { bytes_done: reading.get_bytes_done(), bytes_total: reading.get_bytes_total() },
    })
}

fn write_chain_info(chain: &ChainInfo, mut builder: chain_info::Builder<'_>) -> Result<(), WireError> {
    builder.set_genesis(&chain.genesis.to_byte_array());
    builder.set_state(match chain.state {
        ChainState::Reading => capnp_types::ChainState::Reading,
        ChainState::Ready => capnp_types::ChainState::Ready,
        ChainState::Failed => capnp_types::ChainState::Failed,
        ChainState::Unknown => return Err(WireError::Unsayable { field: "chain.state" }),
    });
    if let Some(tip) = &chain.tip {
        write_block_id(tip, builder.reborrow().init_tip());
    }
    builder.set_lowest_height(chain.lowest_height.0);
    builder.set_source(match chain.source {
        ChainSource::Files => capnp_types::ChainSource::Files,
        ChainSource::Node => capnp_types::ChainSource::Node,
        ChainSource::Unknown => return Err(WireError::Unsayable { field: "chain.source" }),
    });
    let mut reading = builder.init_reading();
    reading.set_bytes_done(chain.reading.bytes_done);
    reading.set_bytes_total(chain.reading.bytes_total);
    Ok(())
}

fn read_node_link(reader: node_link::Reader<'_>) -> Result<NodeLink, WireError> {
    let tip = reader.has_tip().then(|| reader.get_tip()).transpose()?;
    let read_tip = |tip: node_tip::Reader<'_>| {
        let hash = read_block_hash("node.tip.hash", tip.get_hash()?)?;
        Ok::<_, WireError>(NodeTip { height: Height(tip.get_height()), hash })
    };
    Ok(NodeLink {
        state: match reader.get_state() {
            Ok(capnp_types::NodeLinkState::Off) => NodeLinkState::Off,
            Ok(capnp_types::NodeLinkState::Absent) => NodeLinkState::Absent,
            Ok(capnp_types::NodeLinkState::Connecting) => NodeLinkState::Connecting,
            Ok(capnp_types::NodeLinkState::Connected) => NodeLinkState::Connected,
            Ok(capnp_types::NodeLinkState::Lost) => NodeLinkState::Lost,
            Ok(capnp_types::NodeLinkState::Refused) => NodeLinkState::Refused,
            Err(capnp::NotInSchema(_)) => NodeLinkState::Unknown,
        },
        since: reader.get_since_seconds(),
        tip: tip.map(read_tip).transpose()?,
        reason: reader.get_reason()?.to_str()?.to_owned(),
    })
}

fn write_node_link(node: &NodeLink, mut builder: node_link::Builder<'_>) -> Result<(), WireError> {
    builder.set_state(match node.state {
        NodeLinkState::Off => capnp_types::NodeLinkState::Off,
        NodeLinkState::Absent => capnp_types::NodeLinkState::Absent,
        NodeLinkState::Connecting => capnp_types::NodeLinkState::Connecting,
        NodeLinkState::Connected => capnp_types::NodeLinkState::Connected,
        NodeLinkState::Lost => capnp_types::NodeLinkState::Lost,
        NodeLinkState::Refused => capnp_types::NodeLinkState::Refused,
        NodeLinkState::Unknown => return Err(WireError::Unsayable { field: "node.state" }),
    });
    builder.set_since_seconds(node.since);
    if let Some(tip) = &node.tip {
        let mut written = builder.reborrow().init_tip();
        written.set_height(tip.height.0);
        written.set_hash(&tip.hash.to_byte_array());
    }
    builder.set_reason(&node.reason);
    Ok(())
}

fn read_limits(reader: limits::Reader<'_>) -> Limits {
    macro_rules! limits {
        ($($(#[$doc:meta])* $name:ident: $type:ty, $get:ident, $set:ident;)*) => {
            Limits { $($name: reader.$get(),)* }
        };
    }
    for_each_limit!(limits)
}

fn write_limits(limits: &Limits, mut builder: limits::Builder<'_>) {
    macro_rules! set_limits {
        ($($(#[$doc:meta])* $name:ident: $type:ty, $get:ident, $set:ident;)*) => {
            $(builder.$set(limits.$name);)*
        };
    }
    for_each_limit!(set_limits);
}
