//! What a server counted, on the wire.

use super::ending::{read_kind, read_reason, write_kind, write_reason};
use super::{WireError, list_length, newer};
use crate::position::Height;
use crate::rescan_capnp::figures::{self, node_tip};
use crate::server_info::{Figures, NodeHeight};

pub(super) fn read_figures(reader: figures::Reader<'_>) -> Result<Figures, WireError> {
    let refusals =
        reader.get_refusals()?.iter().map(|counted| (read_reason(counted.get_reason()), counted.get_count()));
    let failures = reader.get_failures()?.iter().map(|counted| (read_kind(counted.get_kind()), counted.get_count()));
    Ok(Figures {
        scans_begun: reader.get_scans_begun(),
        scans_complete: reader.get_scans_complete(),
        scans_cancelled: reader.get_scans_cancelled(),
        scans_pruned: reader.get_scans_pruned(),
        scans_reorganised: reader.get_scans_reorganised(),
        scans_refused: reader.get_scans_refused(),
        scans_failed: reader.get_scans_failed(),
        scans_abandoned: reader.get_scans_abandoned(),
        block_matches: reader.get_block_matches(),
        blocks_walked: reader.get_blocks_walked(),
        bytes_walked: reader.get_bytes_walked(),
        last_scan_bytes_per_second: reader.get_last_scan_bytes_per_second(),
        transactions_reported: reader.get_transactions_reported(),
        connections_now: reader.get_connections_now(),
        connections_accepted: reader.get_connections_accepted(),
        connections_turned_away: reader.get_connections_turned_away(),
        connections_of_other_users: reader.get_connections_of_other_users(),
        connections_broken: reader.get_connections_broken(),
        refusals: refusals.collect(),
        failures: failures.collect(),
        node_tip: match reader.get_node_tip().which().map_err(newer("figures.nodeTip"))? {
            node_tip::NotAsked(()) => NodeHeight::NotAsked,
            node_tip::Unreachable(()) => NodeHeight::Unreachable,
            node_tip::Height(height) => NodeHeight::Height(Height(height)),
        },
    })
}

pub(super) fn write_figures(figures: &Figures, mut builder: figures::Builder<'_>) -> Result<(), WireError> {
    builder.set_scans_begun(figures.scans_begun);
    builder.set_scans_complete(figures.scans_complete);
    builder.set_scans_cancelled(figures.scans_cancelled);
    builder.set_scans_pruned(figures.scans_pruned);
    builder.set_scans_reorganised(figures.scans_reorganised);
    builder.set_scans_refused(figures.scans_refused);
    builder.set_scans_failed(figures.scans_failed);
    builder.set_scans_abandoned(figures.scans_abandoned);
    builder.set_block_matches(figures.block_matches);
    builder.set_blocks_walked(figures.blocks_walked);
    builder.set_bytes_walked(figures.bytes_walked);
    builder.set_last_scan_bytes_per_second(figures.last_scan_bytes_per_second);
    builder.set_transactions_reported(figures.transactions_reported);
    builder.set_connections_now(figures.connections_now);
    builder.set_connections_accepted(figures.connections_accepted);
    builder.set_connections_turned_away(figures.connections_turned_away);
    builder.set_connections_of_other_users(figures.connections_of_other_users);
    builder.set_connections_broken(figures.connections_broken);
    let length = list_length("figures.refusals", figures.refusals.len())?;
    let mut refusals = builder.reborrow().init_refusals(length);
    for (index, (reason, count)) in (0..length).zip(&figures.refusals) {
        let mut counted = refusals.reborrow().get(index);
        counted.set_reason(write_reason(*reason)?);
        counted.set_count(*count);
    }
    let length = list_length("figures.failures", figures.failures.len())?;
    let mut failures = builder.reborrow().init_failures(length);
    for (index, (kind, count)) in (0..length).zip(&figures.failures) {
        let mut counted = failures.reborrow().get(index);
        counted.set_kind(write_kind(*kind)?);
        counted.set_count(*count);
    }
    let mut node_tip = builder.init_node_tip();
    match figures.node_tip {
        NodeHeight::NotAsked => node_tip.set_not_asked(()),
        NodeHeight::Unreachable => node_tip.set_unreachable(()),
        NodeHeight::Height(height) => node_tip.set_height(height.0),
    }
    Ok(())
}
