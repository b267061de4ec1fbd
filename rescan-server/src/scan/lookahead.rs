//! Look-ahead: derives scripts beyond the gap limit while blocks are walked, and decides when to
//! watch them.
//!
//! `schedule` decides, from the gap rule and the position of the walk. `extension` derives. This
//! joins the two.
//!
//! Invariant: at most one derivation is in flight.

mod config;
mod extension;
mod schedule;

use std::sync::Arc;
use std::time::Instant;

use rescan_core::report::Failure;
use rescan_core::watching::watch_set::WatchSet;

use super::gap_rule::GapRule;

pub use self::config::LookaheadConfig;
pub(super) use self::extension::{Extension, ScriptDeriver, derivation_failure};
pub(super) use self::schedule::WalkPosition;

use self::extension::Derivation;
use self::schedule::Schedule;

/// The look-ahead of one scan.
#[derive(Debug)]
pub(super) struct Lookahead {
    deriver: ScriptDeriver,
    schedule: Schedule,
    derivation: Option<Derivation>,
    started: Instant,
}

impl Lookahead {
    /// The look-ahead of a scan that starts now.
    pub(super) fn new(deriver: ScriptDeriver, config: LookaheadConfig, rule: &GapRule) -> Self {
        Self { deriver, schedule: Schedule::new(config, rule), derivation: None, started: Instant::now() }
    }

    pub(super) fn deriver(&self) -> &ScriptDeriver {
        &self.deriver
    }

    /// The extension of `watch` to watch from now on, if one is due. Starts a derivation if one is
    /// needed, and waits for it only if the walk should not continue without it. If dropped while
    /// it waits, a later call waits for the same one.
    ///
    /// # Errors
    /// [`Failure`] if scripts within the gap limit cannot be derived or watched.
    pub(super) async fn extension(
        &mut self,
        rule: &GapRule,
        position: WalkPosition,
        watch: &Arc<WatchSet>,
    ) -> Result<Option<Extension>, Failure> {
        if self.derivation.is_none()
            && let Some(ranges) = self.schedule.begin(rule, position, self.started.elapsed())
        {
            self.derivation = Some(self.deriver.start(ranges, Arc::clone(watch)));
        }
        let Some(derivation) = &mut self.derivation else { return Ok(None) };
        if !schedule::is_due(rule, position, derivation.is_finished()) {
            return Ok(None);
        }
        let extension = derivation.finished().await;
        self.derivation = None;
        match extension {
            Ok(extension) => Ok(Some(extension)),
            Err(error) if rule.is_exhausted() => Err(derivation_failure(&error)),
            Err(_too_many) => {
                // No script within the gap limit is missing. Should the limit move further, fewer
                // are tried.
                self.schedule.shrink();
                Ok(None)
            }
        }
    }
}
