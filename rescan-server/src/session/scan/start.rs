//! The start of a scan for a watch set: finds the watch set, makes the plan.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use rescan_core::position::Height;
use rescan_core::report::{KeychainUse, Refusal, RefusalReason};
use rescan_core::request::ScanOptions;
use rescan_core::rescan_capnp::watch_set;

use crate::scan::{LookaheadConfig, Scan, ScanPlan, ScannedPart, SegmentSize};
use crate::session::scan::pinned_range::{PinnedRange, StartError};
use crate::session::scan::state::{ScanState, ScanStep};
use crate::session::shared::Shared;
use crate::session::watch_set::compile::{CompileError, WatchedSet};
use crate::session::watch_set::registry::WatchSets;

/// Finds the watch set behind a capability, and waits until it is compiled. Sets `keychain_count` as soon as it is found,
/// and shows the progress of its derivation in that of the scan.
///
/// The capability may be a promise that the client never resolves. That costs the client one of its scans, and no other
/// client anything.
pub(crate) async fn find_watch_set(
    watch_sets: Rc<WatchSets>,
    given: watch_set::Client,
    keychain_count: Rc<Cell<u32>>,
    state: Rc<ScanState>,
) -> Result<WatchedSet, StartError> {
    // The result keeps the watch set alive while the scan waits for it.
    let watch_set = watch_sets.find(given).await.ok_or_else(|| {
        StartError::Refused(Refusal {
            reason: RefusalReason::ForeignWatchSet,
            position: 0,
            detail: "the watch set does not belong to this connection".to_owned(),
        })
    })?;
    keychain_count.set(watch_set.keychain_count());
    if let Some(derivation) = watch_set.derivation() {
        state.enter(ScanStep::Deriving(Some(derivation)));
    }
    watch_set.compiled().await.map_err(|error| match error {
        CompileError::Refused(refusal) => StartError::Refused(refusal),
        CompileError::Failed(failure) => StartError::Failed(failure),
    })
}

/// Starts a scan. Refuses a resumed scan whose coverage does not fit the watch set.
pub(crate) fn start_scan(
    shared: &Shared,
    state: &ScanState,
    request: &ScanOptions,
    watched: WatchedSet,
    pinned: PinnedRange,
) -> Result<Option<Scan>, Refusal> {
    let keychain_count = watched.keychains.len();
    let before_use = watched.keychains.iter().map(|keychain| keychain.rule.limit(KeychainUse::Unused));
    let watched_through: Vec<Option<u32>> = match pinned.scanned {
        Some(scanned) if scanned.watched_through.len() != keychain_count => {
            let found = scanned.watched_through.len();
            let detail = format!("expected the coverage of {keychain_count} keychains, found that of {found}");
            return Err(Refusal { reason: RefusalReason::BadCoverage, position: 0, detail });
        }
        Some(scanned) => scanned.watched_through,
        None => before_use.collect(),
    };
    let through = match pinned.walked {
        Some(walked) => walked.first().0.checked_sub(1).map(Height).filter(|through| *through >= pinned.range.first()),
        None => Some(pinned.range.last()),
    };
    let plan = ScanPlan {
        snapshot: pinned.chain,
        range: pinned.range,
        scanned: through.map(|through| ScannedPart { through, watched_through }),
        watch: watched.watch,
        keychains: watched.keychains,
        scripts_max: state.hold(watched.reservation).min(shared.limits.scripts_per_watch_set_max),
        verify: request.verify,
        deliver: request.deliver,
        extras: request.extras,
        segment_size: SegmentSize::default(),
        lookahead: LookaheadConfig::default(),
    };
    Ok(Some(Scan::start(&shared.pool, Arc::clone(&shared.chain), plan, state.cancel_handle())))
}
