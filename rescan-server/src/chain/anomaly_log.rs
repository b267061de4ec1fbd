//! Warnings for the operator about doubts that block files alone cannot settle.

use rescan_core::chain::selection::ChainAnomalies;

/// Logs each anomaly of the selected chain.
pub(super) fn warn(anomalies: &ChainAnomalies) {
    let ChainAnomalies { rooted_and_rootless, contested_from, unplaced_blocks, refused_blocks } = *anomalies;
    if let Some(height) = rooted_and_rootless {
        tracing::warn!(
            height = height.0,
            "blocks from this height on have no link to those below: normal during the background sync of an assumeutxo node; \
             otherwise one of the two parts may be stale, and only the node knows which"
        );
    }
    if let Some(height) = contested_from {
        tracing::warn!(
            height = height.0,
            "two chains claim the heights from here on, and one has no link to genesis; selected the one with more work; only \
             the node knows which is active"
        );
    }
    if unplaced_blocks > 0 {
        tracing::warn!(
            blocks = unplaced_blocks,
            "skipped blocks without known ancestors, since their coinbases prove no height; check for missing block files"
        );
    }
    if refused_blocks > 0 {
        tracing::warn!(
            blocks = refused_blocks,
            "skipped blocks with an invalid difficulty for their parent; the node would reject them too"
        );
    }
}
