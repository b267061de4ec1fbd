//! From what a client asked for to a scan that runs: its watch set found, its plan made.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use rescan_core::position::Height;
use rescan_core::report::{KeychainUse, Refusal, RefusalReason};
use rescan_core::request::ScanRequest;
use rescan_core::rescan_capnp::watch_set as watch_set_capnp;

use crate::scan::{LookaheadConfig, Scan, ScanPlan, ScannedPart, SegmentSize};
use crate::session::scan::control::Control;
use crate::session::scan::job::{Early, Pinned};
use crate::session::watch_set::sealing::{SealError, Sealed};
use crate::session::{Session, Shared};

/// Sets a scan going. Refused where what it is said to go on from does not fit the watch set.
pub(crate) fn start_scan(
    shared: &Shared,
    control: &Control,
    request: &ScanRequest,
    sealed: Sealed,
    pinned: Pinned,
) -> Result<Option<Scan>, Refusal> {
    let keychain_count = sealed.keychains.len();
    let before_use = sealed.keychains.iter().map(|keychain| keychain.rule.limit(KeychainUse::Unused));
    let watched_through: Vec<Option<u32>> = match pinned.covered {
        Some(covered) if covered.watched_through.len() != keychain_count => {
            let found = covered.watched_through.len();
            let detail = format!("expected what was covered of {keychain_count} keychains, found it of {found}");
            return Err(Refusal { reason: RefusalReason::BadCoverage, position: 0, detail });
        }
        Some(covered) => covered.watched_through,
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
        watch: sealed.watch,
        keychains: sealed.keychains,
        scripts_max: control.watch(sealed.held).min(shared.limits.scripts_per_watch_set_max),
        verify: request.verify,
        deliver: request.deliver,
        extras: request.extras,
        segment_size: SegmentSize::default(),
        lookahead: LookaheadConfig::default(),
    };
    Ok(Some(Scan::start(&shared.pool, Arc::clone(&shared.chain), plan, control.cancel_handle())))
}

/// Finds the watch set behind a capability that a client gave back, and waits until it is derived.
///
/// The capability may be a promise that the client never keeps; that costs it one of its scans and nobody else. How many
/// keychains there are is told as soon as it is found.
pub(crate) async fn prepare(
    session: Rc<Session>,
    given: watch_set_capnp::Client,
    keychain_count: Rc<Cell<u32>>,
) -> Result<Sealed, Early> {
    let resolved = capnp::capability::get_resolved_cap(given).await;
    let found = session.watch_sets.borrow().get_local_server_of_resolved(&resolved);
    // The capability is held for as long as the scan waits for it, so that the watch set does not vanish beneath it.
    let watch_set = found.ok_or_else(|| {
        Early::Refused(Refusal {
            reason: RefusalReason::ForeignWatchSet,
            position: 0,
            detail: "the watch set is not one that this connection was given".to_owned(),
        })
    })?;
    keychain_count.set(watch_set.keychain_count());
    watch_set.sealed().await.map_err(|error| match error {
        SealError::Refused(refusal) => Early::Refused(refusal),
        SealError::Failed(failure) => Early::Failed(failure),
    })
}
