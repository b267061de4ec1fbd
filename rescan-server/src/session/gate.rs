//! Stops listening to a client that does not read what it is told.
//!
//! The transport queues answers without bound, so that a client that sends calls and reads nothing could fill the
//! server's memory. Where the socket takes no more, nothing more is read from it either, and the client's calls wait in
//! its own socket buffer. A client that reads while it writes, as every Cap'n Proto implementation does, never notices.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::io::{AsyncRead, AsyncWrite};

/// Whether the socket takes what is written to it.
#[derive(Debug, Default)]
struct Gate {
    is_shut: Cell<bool>,
    /// The reader that waits for it to open.
    reader: RefCell<Option<Waker>>,
}

impl Gate {
    /// Takes note of what came of a write.
    fn after<T>(&self, written: Poll<T>) -> Poll<T> {
        self.is_shut.set(written.is_pending());
        if written.is_ready()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        written
    }
}

/// The reading half, which waits while the writing half is stuck.
#[derive(Debug)]
pub(super) struct GatedReader<R> {
    gate: Rc<Gate>,
    inner: R,
}

/// The writing half.
#[derive(Debug)]
pub(super) struct GatedWriter<W> {
    gate: Rc<Gate>,
    inner: W,
}

/// Puts a gate between the two halves of a connection.
pub(super) fn gated<R, W>(reader: R, writer: W) -> (GatedReader<R>, GatedWriter<W>) {
    let gate = Rc::new(Gate::default());
    (GatedReader { gate: Rc::clone(&gate), inner: reader }, GatedWriter { gate, inner: writer })
}

impl<R: AsyncRead + Unpin> AsyncRead for GatedReader<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.gate.is_shut.get() {
            self.gate.reader.replace(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_read(cx, into)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for GatedWriter<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.gate.after(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.gate.after(flushed)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.inner).poll_close(cx);
        self.gate.after(closed)
    }
}

impl<W> Drop for GatedWriter<W> {
    fn drop(&mut self) {
        // Nobody writes any more; the reader must learn of the end.
        let _ = self.gate.after(Poll::Ready(()));
    }
}
