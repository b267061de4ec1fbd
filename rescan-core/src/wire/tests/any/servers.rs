//! Arbitrary server information.

use bitcoin::Network;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{block_hashes, block_ids, heights};
use crate::report::{FailureKind, RefusalReason};
use crate::server_info::*;

pub(crate) fn server_infos() -> impl Strategy<Value = ServerInfo> {
    let network = prop::sample::select(vec![
        Network::Bitcoin,
        Network::Testnet,
        Network::Testnet4,
        Network::Signet,
        Network::Regtest,
    ]);
    let features = vec(
        prop::sample::select(vec![
            Feature::Scan,
            Feature::Blocks,
            Feature::Birthday,
            Feature::GapRule,
            Feature::Coins,
            Feature::Proofs,
            Feature::Locator,
            Feature::MatchBlock,
            Feature::WaitTip,
            Feature::WatchSetProgress,
        ]),
        0..4,
    );
    let state = prop::sample::select(vec![ChainState::Reading, ChainState::Ready, ChainState::Failed]);
    let source = prop::sample::select(vec![ChainSource::Files, ChainSource::Node]);
    let chain = (block_hashes(), state, option::of(block_ids()), heights(), source, any::<[u64; 2]>()).prop_map(
        |(genesis, state, tip, lowest_height, source, [bytes_done, bytes_total])| ChainInfo {
            genesis,
            state,
            tip,
            lowest_height,
            source,
            reading: ReadingProgress { bytes_done, bytes_total },
        },
    );
    let limits = (any::<[u64; 8]>(), any::<[u32; 10]>()).prop_map(|(wide, narrow)| Limits {
        message_bytes_max: wide[0],
        connections_max: narrow[0],
        scans_per_connection_max: narrow[1],
        watch_sets_per_connection_max: narrow[2],
        scripts_per_watch_set_max: wide[1],
        outpoints_per_watch_set_max: wide[2],
        entry_bytes_per_watch_set_max: wide[3],
        watched_per_connection_max: wide[4],
        watched_pool: wide[5],
        scans_max: narrow[3],
        calls_open_max: narrow[4],
        calls_waiting_max: narrow[5],
        capabilities_max: narrow[6],
        unanswered_bytes_max: wide[6],
        unanswered_bytes_pool: wide[7],
        stalled_after_millis: narrow[7],
        unread_after_millis: narrow[8],
        message_after_millis: narrow[9],
    });
    (any::<u32>(), ".{0,20}", network, features, chain, limits, node_links(), metrics()).prop_map(
        |(protocol_version, software, network, features, chain, limits, node, metrics)| ServerInfo {
            protocol_version,
            software,
            network,
            features,
            chain,
            limits,
            node,
            metrics,
        },
    )
}

fn node_links() -> impl Strategy<Value = NodeLink> {
    let state = prop::sample::select(vec![
        NodeLinkState::Off,
        NodeLinkState::Absent,
        NodeLinkState::Connecting,
        NodeLinkState::Connected,
        NodeLinkState::Lost,
        NodeLinkState::Refused,
    ]);
    let tip = option::of((heights(), block_hashes()).prop_map(|(height, hash)| NodeTip { height, hash }));
    (state, any::<u64>(), tip, ".{0,20}").prop_map(|(state, since, tip, reason)| NodeLink { state, since, tip, reason })
}

fn metrics() -> impl Strategy<Value = Metrics> {
    let refusals = vec((prop::sample::select(RefusalReason::KNOWN.to_vec()), any::<u64>()), 0..4);
    let failures = vec((prop::sample::select(FailureKind::KNOWN.to_vec()), any::<u64>()), 0..4);
    let node_tip =
        prop_oneof![Just(NodeHeight::NotAsked), Just(NodeHeight::Unreachable), heights().prop_map(NodeHeight::Height)];
    (any::<[u64; 17]>(), any::<u32>(), refusals, failures, node_tip).prop_map(
        |(counts, connections_now, refusals, failures, node_tip)| Metrics {
            scans_begun: counts[0],
            scans_complete: counts[1],
            scans_cancelled: counts[2],
            scans_pruned: counts[3],
            scans_reorganised: counts[4],
            scans_refused: counts[5],
            scans_failed: counts[6],
            scans_abandoned: counts[7],
            block_matches: counts[8],
            blocks_walked: counts[9],
            bytes_walked: counts[10],
            last_scan_bytes_per_second: counts[11],
            transactions_reported: counts[12],
            connections_accepted: counts[13],
            connections_turned_away: counts[14],
            connections_of_other_users: counts[15],
            connections_broken: counts[16],
            connections_now,
            refusals,
            failures,
            node_tip,
        },
    )
}
