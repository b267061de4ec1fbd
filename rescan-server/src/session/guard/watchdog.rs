//! Ends a connection that has come to a halt: one whose client reads nothing of what there is to send, or sends the
//! beginning of a message and no more.
//!
//! A client that says nothing and is owed nothing may stay for as long as it likes: it costs a descriptor.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::session::guard::gate::Gate;
use crate::session::guard::intake::Intake;
use crate::session::guard::limits::SessionLimits;

/// How often a deadline is looked at within its time: it is kept to a quarter.
const LOOKS_PER_DEADLINE: u32 = 4;

/// Why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halted {
    /// Its client takes nothing.
    Unread(Duration),
    /// It sent part of a message.
    HalfSaid(Duration),
}

impl fmt::Display for Halted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(after) => write!(f, "its client has read nothing for {} s", after.as_secs()),
            Self::HalfSaid(after) => write!(f, "part of a message came, and no more of it for {} s", after.as_secs()),
        }
    }
}

/// Waits until a connection has come to a halt; for ever while it goes on.
pub(crate) async fn halted(gate: Rc<Gate>, intake: Rc<Intake>, limits: SessionLimits) -> Halted {
    let SessionLimits { unread_after, message_after, .. } = limits;
    let mut look = interval((unread_after.min(message_after) / LOOKS_PER_DEADLINE).max(Duration::from_millis(1)));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        match (gate.shut_for(), intake.arriving_for()) {
            (Some(time), _) if time >= unread_after => return Halted::Unread(time),
            // What is not listened to cannot arrive.
            (None, Some(time)) if time >= message_after => return Halted::HalfSaid(time),
            _ => {}
        }
    }
}
