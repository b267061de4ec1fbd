//! Metrics on the wire, where their field is `figures`.

use super::ending::{read_kind, read_reason, write_kind, write_reason};
use super::{WireError, list_length, newer};
use crate::for_each_counter;
use crate::position::Height;
use crate::rescan_capnp::figures::{self, node_tip};
use crate::server_info::{Metrics, NodeHeight};

pub(super) fn read_metrics(reader: figures::Reader<'_>) -> Result<Metrics, WireError> {
    let refusals =
        reader.get_refusals()?.iter().map(|counted| (read_reason(counted.get_reason()), counted.get_count()));
    let failures = reader.get_failures()?.iter().map(|counted| (read_kind(counted.get_kind()), counted.get_count()));
    let node_tip = match reader.get_node_tip().which().map_err(newer("figures.nodeTip"))? {
        node_tip::NotAsked(()) => NodeHeight::NotAsked,
        node_tip::Unreachable(()) => NodeHeight::Unreachable,
        node_tip::Height(height) => NodeHeight::Height(Height(height)),
    };
    macro_rules! metrics {
        ($($(#[$doc:meta])* $name:ident, $get:ident, $set:ident;)*) => {
            Metrics {
                $($name: reader.$get(),)*
                connections_now: reader.get_connections_now(),
                refusals: refusals.collect(),
                failures: failures.collect(),
                node_tip,
            }
        };
    }
    Ok(for_each_counter!(metrics))
}

pub(super) fn write_metrics(metrics: &Metrics, mut builder: figures::Builder<'_>) -> Result<(), WireError> {
    macro_rules! set_counters {
        ($($(#[$doc:meta])* $name:ident, $get:ident, $set:ident;)*) => {
            $(builder.$set(metrics.$name);)*
        };
    }
    for_each_counter!(set_counters);
    builder.set_connections_now(metrics.connections_now);
    let length = list_length("figures.refusals", metrics.refusals.len())?;
    let mut refusals = builder.reborrow().init_refusals(length);
    for (index, (reason, count)) in (0..length).zip(&metrics.refusals) {
        let mut counted = refusals.reborrow().get(index);
        counted.set_reason(write_reason(*reason)?);
        counted.set_count(*count);
    }
    let length = list_length("figures.failures", metrics.failures.len())?;
    let mut failures = builder.reborrow().init_failures(length);
    for (index, (kind, count)) in (0..length).zip(&metrics.failures) {
        let mut counted = failures.reborrow().get(index);
        counted.set_kind(write_kind(*kind)?);
        counted.set_count(*count);
    }
    let mut node_tip = builder.init_node_tip();
    match metrics.node_tip {
        NodeHeight::NotAsked => node_tip.set_not_asked(()),
        NodeHeight::Unreachable => node_tip.set_unreachable(()),
        NodeHeight::Height(height) => node_tip.set_height(height.0),
    }
    Ok(())
}
