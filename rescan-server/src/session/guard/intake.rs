//! What is on its way in on one connection: the memory that messages announce, and how long they take to arrive.
//!
//! A message is allocated before it is there, and a call holds its message until it is answered. So a client that sends
//! the beginnings of messages, or calls that wait, could hold any amount: each message is held in the connection's
//! account from its first words on, and goes on to whoever takes it from the transport.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rescan_core::framing::{Framing, FramingEvent};

use crate::session::guard::account::{Account, Full, Held};

/// The messages of one connection until they are taken from the transport.
#[derive(Debug)]
pub(crate) struct Intake {
    account: Rc<Account>,
    message_bytes_max: u64,
    framing: RefCell<Framing>,
    arriving: RefCell<Option<Held>>,
    arrived: RefCell<VecDeque<Held>>,
    /// When the message that is arriving began.
    since: Cell<Option<Instant>>,
}

impl Intake {
    pub(crate) fn new(account: Rc<Account>, message_bytes_max: u64) -> Rc<Self> {
        Rc::new(Self {
            account,
            message_bytes_max,
            framing: RefCell::default(),
            arriving: RefCell::default(),
            arrived: RefCell::default(),
            since: Cell::default(),
        })
    }

    /// Takes note of what was read from the socket.
    ///
    /// # Errors
    /// If there is no room for what it announces. The connection cannot go on from there.
    pub(crate) fn read(&self, mut bytes: &[u8]) -> io::Result<()> {
        let mut framing = self.framing.borrow_mut();
        let is_new = !framing.is_within_message();
        let mut began = false;
        while let Some(event) = framing.next_event(&mut bytes) {
            match event {
                // What is too large is for the transport to refuse, which does so before it allocates.
                FramingEvent::Announced(size) if size > self.message_bytes_max.saturating_add(4_096) => {}
                FramingEvent::Announced(size) => {
                    self.arriving.replace(Some(self.account.hold(size).map_err(|full| overloaded(full, size))?));
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

    /// What is held of the oldest message that was not taken yet.
    pub(crate) fn take(&self) -> Option<Held> {
        self.arrived.borrow_mut().pop_front()
    }

    /// Gives the message that is arriving all its time again, because it was not listened to.
    pub(crate) fn begin_anew(&self) {
        if self.since.get().is_some() {
            self.since.set(Some(Instant::now()));
        }
    }

    /// For how long a message has been arriving.
    pub(crate) fn arriving_for(&self) -> Option<Duration> {
        self.since.get().map(|since| since.elapsed())
    }
}

fn overloaded(full: Full, size: u64) -> io::Error {
    let whose = match full {
        Full::Connection => "this connection's calls that wait for answers",
        Full::Server => "what all connections have sent and is not answered",
    };
    io::Error::other(format!("no room for a message of {size} bytes beside {whose}: try again later"))
}
