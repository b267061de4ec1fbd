//! Ends a stalled connection: the client does not read its answers, or sends only part of a message.
//!
//! An idle client without pending answers may stay forever: it costs one descriptor.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::session::guard::gate::Gate;
use crate::session::guard::intake::Intake;
use crate::session::guard::limits::SessionLimits;

/// Checks per deadline: a deadline is exceeded by a quarter at most.
const CHECKS_PER_DEADLINE: u32 = 4;

/// The reason to end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stall {
    /// Its client reads nothing.
    Unread(Duration),
    /// Only part of a message arrived.
    PartialMessage(Duration),
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(after) => write!(f, "its client has read nothing for {} s", after.as_secs()),
            Self::PartialMessage(after) => write!(f, "only part of a message has arrived in {} s", after.as_secs()),
        }
    }
}

/// Waits until a connection stalls; forever if it does not.
pub(crate) async fn stalled(gate: Rc<Gate>, intake: Rc<Intake>, limits: SessionLimits) -> Stall {
    let SessionLimits { unread_after, message_after, .. } = limits;
    let mut checks = interval((unread_after.min(message_after) / CHECKS_PER_DEADLINE).max(Duration::from_millis(1)));
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        checks.tick().await;
        match (gate.shut_for(), intake.arriving_for()) {
            (Some(time), _) if time >= unread_after => return Stall::Unread(time),
            // While the gate is shut, no message can arrive.
            (None, Some(time)) if time >= message_after => return Stall::PartialMessage(time),
            _ => {}
        }
    }
}
