//! Counts what a client keeps open, which the transport beneath the objects does not.
//!
//! The transport keeps a table entry, and until it is answered the message, for each call until the client says that it
//! is finished with it; a client that never says so, or whose calls wait for ever, would grow that table without end. So
//! the messages of a connection are looked at as they pass: which calls are opened, answered and finished, what they
//! hold, how many capabilities they bring. Nothing is ever changed or held up; what is too much ends the connection, with
//! the reason. A client library that finishes what it asks, as all do, never gets near.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use capnp::capability::Promise;
use capnp::message::{Builder, HeapAllocator};
use capnp_rpc::rpc_capnp::message;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{Connection, FlowController, IncomingMessage, OutgoingMessage, VatNetwork};
use futures::TryFutureExt;

use crate::session::guard::account::Held;
use crate::session::guard::intake::Intake;
use crate::session::guard::limits::SessionLimits;

/// The calls of one connection that are open.
pub(crate) struct Meter {
    intake: Rc<Intake>,
    calls_max: u32,
    capabilities_max: u32,
    open: RefCell<Open>,
}

#[derive(Default)]
struct Open {
    calls: HashMap<u32, Call>,
    /// Of all calls together.
    capabilities: u32,
}

/// A call from when it arrives until it is both answered and finished.
struct Call {
    /// Its message, until it is answered.
    message: Option<Held>,
    /// What it brought, until it is answered: what an object keeps of it, that object's limits bound.
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
        let held = self.intake.take();
        match incoming.get_body()?.get_as::<message::Reader<'_>>()?.which() {
            Ok(message::Call(call)) => {
                let call = call?;
                let capabilities = call.get_params()?.get_cap_table()?.len();
                self.opened(call.get_question_id(), held, capabilities)
            }
            Ok(message::Bootstrap(bootstrap)) => self.opened(bootstrap?.get_question_id(), held, 0),
            Ok(message::Finish(finish)) => {
                self.change(finish?.get_question_id(), |call| call.is_finished = true);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn opened(&self, question: u32, message: Option<Held>, capabilities: u32) -> capnp::Result<()> {
        let mut open = self.open.borrow_mut();
        open.capabilities = open.capabilities.saturating_add(capabilities);
        if open.capabilities > self.capabilities_max {
            let max = self.capabilities_max;
            let reason = format!("calls that are not answered brought more than {max} capabilities");
            return Err(capnp::Error::overloaded(reason));
        }
        // Of a number that is in use, the transport complains.
        open.calls.insert(question, Call { message, capabilities, is_answered: false, is_finished: false });
        if open.calls.len() > self.calls_max as usize {
            let max = self.calls_max;
            let reason = format!("more than {max} calls are open: finish those that are answered");
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

    /// Changes what is known of a call, and forgets one that is through.
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

/// A network of two whose messages are counted.
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
            tracing::error!(%error, "an answer cannot be counted: this is a defect of rescan-server");
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
