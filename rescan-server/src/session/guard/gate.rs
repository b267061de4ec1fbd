//! Stops reading from a client that does not read its answers.
//!
//! The transport queues answers without bound, so a client that sends calls and reads nothing could fill the server's
//! memory. While the socket accepts no writes, the server does not read from it either, and further calls wait in the
//! client's socket buffer. A client that reads while it writes, as every Cap'n Proto implementation does, never notices.
//! The watchdog limits the time.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures::io::{AsyncRead, AsyncWrite};

use crate::session::guard::intake::Intake;

/// Whether the socket accepts writes.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// The time since which it accepts no writes; none while it does.
    shut: Cell<Option<Instant>>,
    /// The reader that waits for it to open.
    reader: RefCell<Option<Waker>>,
}

impl Gate {
    /// The time for which the socket has accepted no writes.
    pub(crate) fn shut_for(&self) -> Option<Duration> {
        self.shut.get().map(|since| since.elapsed())
    }

    /// Records the result of a write.
    fn record<T>(&self, written: Poll<T>) -> Poll<T> {
        let shut = written.is_pending().then(|| self.shut.get().unwrap_or_else(Instant::now));
        self.shut.set(shut);
        if written.is_ready()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        written
    }
}

/// The reading half, which waits while the writing half is blocked.
#[derive(Debug)]
pub(crate) struct GatedReader<R> {
    gate: Rc<Gate>,
    intake: Rc<Intake>,
    inner: R,
}

/// The writing half.
#[derive(Debug)]
pub(crate) struct GatedWriter<W> {
    gate: Rc<Gate>,
    inner: W,
}

/// Puts a gate between the two halves of a connection.
pub(crate) fn gated<R, W>(
    gate: &Rc<Gate>,
    intake: &Rc<Intake>,
    reader: R,
    writer: W,
) -> (GatedReader<R>, GatedWriter<W>) {
    let reader = GatedReader { gate: Rc::clone(gate), intake: Rc::clone(intake), inner: reader };
    (reader, GatedWriter { gate: Rc::clone(gate), inner: writer })
}

impl<R: AsyncRead + Unpin> AsyncRead for GatedReader<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.gate.shut.get().is_some() {
            self.gate.reader.replace(Some(cx.waker().clone()));
            self.intake.restart_clock();
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.inner).poll_read(cx, into);
        if let Poll::Ready(Ok(count)) = read {
            self.intake.read(into.get(..count).unwrap_or_default())?;
        }
        read
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for GatedWriter<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.gate.record(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.gate.record(flushed)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.inner).poll_close(cx);
        self.gate.record(closed)
    }
}

impl<W> Drop for GatedWriter<W> {
    fn drop(&mut self) {
        // There will be no more writes; the reader must see the end.
        let _ = self.gate.record(Poll::Ready(()));
    }
}
