//! Metrics in the text format of Prometheus.
//!
//! Names follow its conventions: the program first, the unit last, counters with `_total`. A metric without a value is
//! left out, never reported as 0.

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
use rescan_core::server_info::{Metrics, NodeHeight};

use super::counters::Counters;

/// The present values of all metrics.
pub(super) fn render(counters: &Arc<Counters>) -> String {
    let mut registry = Registry::with_prefix("rescan");
    registry
        .register_collector(Box::new(Snapshot { metrics: counters.snapshot(), chain_height: counters.chain_height() }));
    let mut text = String::new();
    // A write to a string never fails.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

/// The values of one scrape.
#[derive(Debug)]
struct Snapshot {
    metrics: Metrics,
    chain_height: Option<Height>,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_scans(&mut encoder)?;
        self.encode_connections(&mut encoder)?;
        self.encode_refusals_and_failures(&mut encoder)?;
        self.encode_chain(&mut encoder)
    }
}

impl Snapshot {
    fn encode_scans(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        counter(
            encoder,
            "scans_begun",
            "Scans that clients called for, block shipments included",
            metrics.scans_begun,
        )?;
        let ended = [
            ("complete", metrics.scans_complete),
            ("cancelled", metrics.scans_cancelled),
            ("pruned", metrics.scans_pruned),
            ("reorganised", metrics.scans_reorganised),
            ("refused", metrics.scans_refused),
            ("failed", metrics.scans_failed),
            ("abandoned", metrics.scans_abandoned),
        ];
        counters(encoder, "scans_ended", "Scans that ended, by outcome", "outcome", ended)?;
        gauge(encoder, "scans_under_way", "Scans that have not ended", metrics.scans_under_way())?;
        counter(encoder, "block_matches", "Calls about one block", metrics.block_matches)?;
        counter(encoder, "blocks_walked", "Blocks that scans have walked", metrics.blocks_walked)?;
        counter(encoder, "walked_bytes", "The size of those blocks in bytes", metrics.bytes_walked)?;
        let rate = metrics.last_scan_bytes_per_second;
        gauge(encoder, "last_scan_bytes_per_second", "The speed of the scan that ended last", rate)?;
        let help = "Transactions reported by scans that reached an outcome";
        counter(encoder, "transactions_reported", help, metrics.transactions_reported)
    }

    fn encode_connections(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        gauge(encoder, "connections", "Connections at the moment", metrics.connections_now.into())?;
        counter(encoder, "connections_accepted", "Connections that were accepted", metrics.connections_accepted)?;
        let refused =
            [("too_many", metrics.connections_turned_away), ("other_user", metrics.connections_of_other_users)];
        counters(encoder, "connections_refused", "Connections that were refused", "reason", refused)?;
        let help = "Connections ended because the peer broke the protocol";
        counter(encoder, "connections_broken", help, metrics.connections_broken)
    }

    fn encode_refusals_and_failures(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let refused = RefusalReason::KNOWN.map(|reason| (reason.name(), count_of(&self.metrics.refusals, reason)));
        counters(
            encoder,
            "refusals",
            "Watch sets, scans and calls about one block that were refused",
            "reason",
            refused,
        )?;
        let failed = FailureKind::KNOWN.map(|kind| (kind.name(), count_of(&self.metrics.failures, kind)));
        counters(
            encoder,
            "failures",
            "Scans, calls about one block and refreshes of the chain that failed",
            "kind",
            failed,
        )
    }

    fn encode_chain(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(height) = self.chain_height {
            gauge(encoder, "chain_height", "The height of the chain that is served", height.0.into())?;
        }
        let node_tip = self.metrics.node_tip;
        match node_tip {
            NodeHeight::NotAsked => return Ok(()),
            NodeHeight::Unreachable => gauge(encoder, "node_link", "Whether the node answers", 0)?,
            NodeHeight::Height(height) => {
                gauge(encoder, "node_link", "Whether the node answers", 1)?;
                gauge(encoder, "node_height", "The height of the node's tip, as last reported", height.0.into())?;
            }
        }
        match node_tip.lag_blocks(self.chain_height) {
            Some(lag) => gauge(
                encoder,
                "chain_lag_blocks",
                "Blocks that the node has and the server does not serve yet",
                lag.into(),
            ),
            None => Ok(()),
        }
    }
}

fn count_of<T: PartialEq + Copy>(counts: &[(T, u64)], occurrence: T) -> u64 {
    counts.iter().find(|(known, _)| *known == occurrence).map_or(0, |(_, count)| *count)
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
    for (name, value) in values {
        ConstCounter::new(value).encode(family.encode_family(&[(label, name)])?)?;
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    // No count here exceeds 63 bits.
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_line_with_its_help_and_the_text_ends_with_eof() {
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
    fn an_unknown_value_is_left_out_and_not_reported_as_zero() {
        let counters: Arc<Counters> = Arc::default();
        let unknown = render(&counters);
        for name in ["chain_height", "node_link", "node_height", "chain_lag_blocks"] {
            assert!(!unknown.contains(name), "{unknown}");
        }
        counters.set_node_tip(NodeHeight::Unreachable);
        let down = render(&counters);
        assert!(down.contains("rescan_node_link 0\n") && !down.contains("chain_lag_blocks"), "{down}");
        counters.set_node_tip(NodeHeight::Height(Height(9)));
        let up = render(&counters);
        assert!(up.contains("rescan_node_link 1\n") && up.contains("rescan_chain_lag_blocks 10\n"), "{up}");
    }
}
