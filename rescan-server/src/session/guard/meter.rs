//! Counts the open calls of a client, which the transport does not limit.
//!
//! The transport keeps a table entry for each call until the client finishes it, and the message until it is answered. A
//! client that never sends `Finish`, or whose calls wait forever, would grow that table without end. So the meter inspects
//! the messages of a connection as they pass: the calls that are opened, answered and finished, their messages, and their
//! capabilities. It never changes or delays a message; an excess ends the connection with the reason. A client library
//! that finishes its calls, as all do, stays far below the limits.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use capnp::capability::Promise;
use capnp::message::{Builder, HeapAllocator};
use capnp_rpc::rpc_capnp::message;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{Connection, FlowController, IncomingMessage, OutgoingMessage, VatNetwork};
use futures::TryFutureExt;

use crate::session::guard::budget::Reservation;
use crate::session::guard::intake::Intake;
use crate::session::guard::limits::SessionLimits;

/// The open calls of one connection.
pub(crate) struct Meter {
    intake: Rc<Intake>,
    calls_max: u32,
    capabilities_max: u32,
    open: RefCell<Open>,
}

#[derive(Default)]
struct Open {
    calls: HashMap<u32, Call>,
    /// The sum over all calls.
    capabilities: u32,
}

/// A call from its arrival until it is both answered and finished.
struct Call {
    /// The reservation for its message, until it is answered.
    message: Option<Reservation>,
    /// The capabilities in it, until it is answered. An object that keeps some of them has its own limits.
    capabilities: u32,
    is_answered: bool,
    is_finished: bool,
}

impl Meter {
    pub(crate) fn new(intake: Rc<Intake>, limits: &SessionLimits) -> Rc<Self> {
        let (calls_max, capabilities_max) = (limits.calls_open_max, limits.capabilities_max);
        Rc::new(Self { intake, calls_max, capabilities_max, open: RefCell::default() })
    }

    fn received(&self, incoming: &dyn IncomingMessage) -> capnp::Result<()> {
        let reservation = self.intake.take();
        match incoming.get_body()?.get_as::<message::Reader<'_>>()?.which() {
            Ok(message::Call(call)) => {
                let call = call?;
                let capabilities = call.get_params()?.get_cap_table()?.len();
                self.opened(call.get_question_id(), reservation, capabilities)
            }
            Ok(message::Bootstrap(bootstrap)) => self.opened(bootstrap?.get_question_id(), reservation, 0),
            Ok(message::Finish(finish)) => {
                self.change(finish?.get_question_id(), |call| call.is_finished = true);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn opened(&self, question: u32, message: Option<Reservation>, capabilities: u32) -> capnp::Result<()> {
        let mut open = self.open.borrow_mut();
        open.capabilities = open.capabilities.saturating_add(capabilities);
        if open.capabilities > self.capabilities_max {
            let max = self.capabilities_max;
            let reason = format!("unanswered calls hold more than {max} capabilities");
            return Err(capnp::Error::overloaded(reason));
        }
        // The transport refuses a question id that is in use.
        open.calls.insert(question, Call { message, capabilities, is_answered: false, is_finished: false });
        if open.calls.len() > self.calls_max as usize {
            let max = self.calls_max;
            let reason = format!("more than {max} calls are open: finish the answered ones");
            return Err(capnp::Error::overloaded(reason));
        }
        Ok(())
    }

    fn sent(&self, outgoing: &dyn OutgoingMessage) -> capnp::Result<()> {
        if let Ok(message::Return(answer)) = outgoing.get_body_as_reader()?.get_as::<message::Reader<'_>>()?.which() {
            let answer = answer?;
            let needs_no_finish = answer.get_no_finish_needed();
            let released = self.change(answer.get_answer_id(), |call| {
                call.is_answered = true;
                call.is_finished |= needs_no_finish;
                drop(call.message.take());
                std::mem::take(&mut call.capabilities)
            });
            let mut open = self.open.borrow_mut();
            open.capabilities = open.capabilities.saturating_sub(released.unwrap_or_default());
        }
        Ok(())
    }

    /// Updates a call, and removes it once it is answered and finished.
    fn change<T>(&self, question: u32, change: impl FnOnce(&mut Call) -> T) -> Option<T> {
        let mut open = self.open.borrow_mut();
        let call = open.calls.get_mut(&question)?;
        let changed = change(call);
        if call.is_answered && call.is_finished {
            open.calls.remove(&question);
        }
        Some(changed)
    }
}

/// A two-party network with counted messages.
pub(crate) struct MeteredNetwork<N> {
    pub(crate) inner: N,
    pub(crate) meter: Rc<Meter>,
}

impl<N: VatNetwork<Side>> VatNetwork<Side> for MeteredNetwork<N> {
    fn connect(&mut self, host: Side) -> Option<Box<dyn Connection<Side>>> {
        self.inner.connect(host).map(metered(&self.meter))
    }

    fn accept(&mut self) -> Promise<Box<dyn Connection<Side>>, capnp::Error> {
        Promise::from_future(self.inner.accept().map_ok(metered(&self.meter)))
    }

    fn drive_until_shutdown(&mut self) -> Promise<(), capnp::Error> {
        self.inner.drive_until_shutdown()
    }
}

fn metered(meter: &Rc<Meter>) -> impl FnOnce(Box<dyn Connection<Side>>) -> Box<dyn Connection<Side>> + 'static {
    let meter = Rc::clone(meter);
    move |inner| Box::new(MeteredConnection { inner, meter })
}

struct MeteredConnection {
    inner: Box<dyn Connection<Side>>,
    meter: Rc<Meter>,
}

impl Connection<Side> for MeteredConnection {
    fn get_peer_vat_id(&self) -> Side {
        self.inner.get_peer_vat_id()
    }

    fn new_outgoing_message(&mut self, first_segment_words: u32) -> Box<dyn OutgoingMessage> {
        let inner = self.inner.new_outgoing_message(first_segment_words);
        Box::new(MeteredMessage { inner, meter: Rc::clone(&self.meter) })
    }

    fn receive_incoming_message(&mut self) -> Promise<Option<Box<dyn IncomingMessage>>, capnp::Error> {
        let meter = Rc::clone(&self.meter);
        let received = self.inner.receive_incoming_message();
        Promise::from_future(async move {
            let incoming = received.await?;
            incoming.as_deref().map_or(Ok(()), |incoming| meter.received(incoming))?;
            Ok(incoming)
        })
    }

    fn new_stream(&mut self) -> (Box<dyn FlowController>, Promise<(), capnp::Error>) {
        self.inner.new_stream()
    }

    fn shutdown(&mut self, result: capnp::Result<()>) -> Promise<(), capnp::Error> {
        self.inner.shutdown(result)
    }
}

struct MeteredMessage {
    inner: Box<dyn OutgoingMessage>,
    meter: Rc<Meter>,
}

impl OutgoingMessage for MeteredMessage {
    fn get_body(&mut self) -> capnp::Result<capnp::any_pointer::Builder<'_>> {
        self.inner.get_body()
    }

    fn get_body_as_reader(&self) -> capnp::Result<capnp::any_pointer::Reader<'_>> {
        self.inner.get_body_as_reader()
    }

    fn send(self: Box<Self>) -> (Promise<(), capnp::Error>, Rc<Builder<HeapAllocator>>) {
        if let Err(error) = self.meter.sent(&*self.inner) {
            tracing::error!(%error, "cannot count an answer: this is a defect of rescan-server");
        }
        self.inner.send()
    }

    fn take(self: Box<Self>) -> Builder<HeapAllocator> {
        self.inner.take()
    }

    fn size_in_words(&self) -> usize {
        self.inner.size_in_words()
    }
}
