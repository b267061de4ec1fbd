//! Incoming messages of one connection: the memory that they announce, and the time that they take to arrive.
//!
//! The transport allocates a message before it arrives, and a call keeps its message until it is answered. A client that
//! sends the beginnings of messages, or calls that wait, could thus use any amount of memory. So every message is reserved
//! in the connection's budget from its segment table on, and the reservation moves to the reader of the message.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rescan_core::framing::{Framing, FramingEvent};

use crate::session::guard::budget::{Budget, Exhausted, Reservation};

/// The messages of one connection until the meter takes them.
#[derive(Debug)]
pub(crate) struct Intake {
    budget: Rc<Budget>,
    message_bytes_max: u64,
    framing: RefCell<Framing>,
    arriving: RefCell<Option<Reservation>>,
    arrived: RefCell<VecDeque<Reservation>>,
    /// The time at which the arriving message began.
    since: Cell<Option<Instant>>,
}

impl Intake {
    pub(crate) fn new(budget: Rc<Budget>, message_bytes_max: u64) -> Rc<Self> {
        Rc::new(Self {
            budget,
            message_bytes_max,
            framing: RefCell::default(),
            arriving: RefCell::default(),
            arrived: RefCell::default(),
            since: Cell::default(),
        })
    }

    /// Records bytes that were read from the socket.
    ///
    /// # Errors
    /// If the budget has no room for an announced message. The connection cannot continue.
    pub(crate) fn read(&self, mut bytes: &[u8]) -> io::Result<()> {
        let mut framing = self.framing.borrow_mut();
        let is_new = !framing.is_within_message();
        let mut began = false;
        while let Some(event) = framing.next_event(&mut bytes) {
            match event {
                // The transport refuses a message that is too large, before it allocates.
                FramingEvent::Announced(size) if size > self.message_bytes_max.saturating_add(4_096) => {}
                FramingEvent::Announced(size) => {
                    let reservation = self.budget.reserve(size).map_err(|exhausted| overloaded(exhausted, size))?;
                    self.arriving.replace(Some(reservation));
                }
                FramingEvent::Complete => {
                    began = true;
                    self.arrived.borrow_mut().extend(self.arriving.take());
                }
            }
        }
        if !framing.is_within_message() {
            self.since.set(None);
        } else if is_new || began {
            self.since.set(Some(Instant::now()));
        }
        Ok(())
    }

    /// The reservation of the oldest message that was not taken yet.
    pub(crate) fn take(&self) -> Option<Reservation> {
        self.arrived.borrow_mut().pop_front()
    }

    /// Restarts the time of the arriving message, because the server did not read meanwhile.
    pub(crate) fn restart_clock(&self) {
        if self.since.get().is_some() {
            self.since.set(Some(Instant::now()));
        }
    }

    /// The time for which a message has been arriving.
    pub(crate) fn arriving_for(&self) -> Option<Duration> {
        self.since.get().map(|since| since.elapsed())
    }
}

fn overloaded(exhausted: Exhausted, size: u64) -> io::Error {
    let others = match exhausted {
        Exhausted::Connection => "the unanswered calls of this connection",
        Exhausted::Server => "the unanswered messages of all connections",
    };
    io::Error::other(format!("no room for a message of {size} bytes beside {others}: try again later"))
}
