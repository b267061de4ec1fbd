//! Figures as the text that Prometheus reads.
//!
//! Names follow its customs: the program first, the unit last, counters in `_total`. A figure that has no value at the
//! moment is left out, and so never told as 0.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use rescan_core::position::Height;
use rescan_core::report::{FailureKind, RefusalReason};
use rescan_core::server_info::{Figures, NodeHeight};

use crate::figures::LiveFigures;

/// All figures as they are now.
pub(super) fn render(figures: &Arc<LiveFigures>) -> String {
    let mut registry = Registry::with_prefix("rescan");
    registry.register_collector(Box::new(Told { figures: figures.now(), chain_height: figures.chain_height() }));
    let mut text = String::new();
    // A string takes whatever is written to it.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

/// What is told once.
#[derive(Debug)]
struct Told {
    figures: Figures,
    chain_height: Option<Height>,
}

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_scans(&mut encoder)?;
        self.encode_connections(&mut encoder)?;
        self.encode_troubles(&mut encoder)?;
        self.encode_chain(&mut encoder)
    }
}

impl Told {
    fn encode_scans(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let figures = &self.figures;
        counter(
            encoder,
            "scans_begun",
            "Scans that were called for, shipments of blocks included",
            figures.scans_begun,
        )?;
        let ended = [
            ("complete", figures.scans_complete),
            ("cancelled", figures.scans_cancelled),
            ("pruned", figures.scans_pruned),
            ("reorganised", figures.scans_reorganised),
            ("refused", figures.scans_refused),
            ("failed", figures.scans_failed),
            ("abandoned", figures.scans_abandoned),
        ];
        counters(encoder, "scans_ended", "Scans that ended, by what came of them", "outcome", ended)?;
        gauge(encoder, "scans_under_way", "Scans that have not ended", figures.scans_under_way())?;
        counter(encoder, "block_matches", "Calls about one block", figures.block_matches)?;
        counter(encoder, "blocks_walked", "Blocks that scans have been through", figures.blocks_walked)?;
        counter(encoder, "walked_bytes", "Their size in bytes", figures.bytes_walked)?;
        let rate = figures.last_scan_bytes_per_second;
        gauge(encoder, "last_scan_bytes_per_second", "How fast the scan that ended last walked", rate)?;
        let help = "Transactions reported by scans that came to an outcome";
        counter(encoder, "transactions_reported", help, figures.transactions_reported)
    }

    fn encode_connections(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let figures = &self.figures;
        gauge(encoder, "connections", "Connections at the moment", figures.connections_now.into())?;
        counter(encoder, "connections_accepted", "Connections that were let in", figures.connections_accepted)?;
        let refused =
            [("too_many", figures.connections_turned_away), ("other_user", figures.connections_of_other_users)];
        counters(encoder, "connections_refused", "Connections that were not let in", "reason", refused)?;
        let help = "Connections ended because the peer broke the protocol";
        counter(encoder, "connections_broken", help, figures.connections_broken)
    }

    fn encode_troubles(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let refused = RefusalReason::KNOWN.map(|reason| (reason.name(), count_of(&self.figures.refusals, reason)));
        counters(
            encoder,
            "refusals",
            "Watch sets, scans and calls about one block that were refused",
            "reason",
            refused,
        )?;
        let failed = FailureKind::KNOWN.map(|kind| (kind.name(), count_of(&self.figures.failures, kind)));
        counters(encoder, "failures", "Scans, calls about one block and looks at the files that failed", "kind", failed)
    }

    fn encode_chain(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(height) = self.chain_height {
            gauge(encoder, "chain_height", "The tip of the chain that is served", height.0.into())?;
        }
        let node_tip = self.figures.node_tip;
        match node_tip {
            NodeHeight::NotAsked => return Ok(()),
            NodeHeight::Unreachable => gauge(encoder, "node_link", "Whether the node answers", 0)?,
            NodeHeight::Height(height) => {
                gauge(encoder, "node_link", "Whether the node answers", 1)?;
                gauge(encoder, "node_height", "The node's tip, as it last said", height.0.into())?;
            }
        }
        match node_tip.lag_blocks(self.chain_height) {
            Some(lag) => {
                gauge(encoder, "chain_lag_blocks", "Blocks that the node has and are not served yet", lag.into())
            }
            None => Ok(()),
        }
    }
}

fn count_of<T: PartialEq + Copy>(counts: &[(T, u64)], what: T) -> u64 {
    counts.iter().find(|(known, _)| *known == what).map_or(0, |(_, count)| *count)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}

fn counters<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: [(&str, u64); N],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (what, value) in values {
        ConstCounter::new(value).encode(family.encode_family(&[(label, what)])?)?;
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    // Beyond what a gauge holds lies nothing that is counted here.
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_line_with_its_help_and_the_text_ends_as_it_must() {
        let text = render(&Arc::default());
        for line in [
            "rescan_scans_begun_total 0",
            "rescan_scans_ended_total{outcome=\"abandoned\"} 0",
            "rescan_scans_under_way 0",
            "rescan_blocks_walked_total 0",
            "rescan_walked_bytes_total 0",
            "rescan_last_scan_bytes_per_second 0",
            "rescan_connections 0",
            "rescan_connections_refused_total{reason=\"too_many\"} 0",
            "rescan_refusals_total{reason=\"bad_descriptor\"} 0",
            "rescan_failures_total{kind=\"corrupt_block\"} 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        let names = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(text.lines().filter(|line| line.starts_with("# HELP")).count(), names, "{text}");
    }

    #[test]
    fn what_is_not_known_is_left_out_and_not_told_as_nothing() {
        let figures: Arc<LiveFigures> = Arc::default();
        let unknown = render(&figures);
        for name in ["chain_height", "node_link", "node_height", "chain_lag_blocks"] {
            assert!(!unknown.contains(name), "{unknown}");
        }
        figures.node_link(NodeHeight::Unreachable);
        let down = render(&figures);
        assert!(down.contains("rescan_node_link 0\n") && !down.contains("chain_lag_blocks"), "{down}");
        figures.node_link(NodeHeight::Height(Height(9)));
        let up = render(&figures);
        assert!(up.contains("rescan_node_link 1\n") && up.contains("rescan_chain_lag_blocks 10\n"), "{up}");
    }
}
