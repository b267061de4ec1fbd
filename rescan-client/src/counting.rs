//! How many bytes came in: counted where they are read from the socket, whatever they turn out to be.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// A count that the reader raises and anyone reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByteCount(Arc<AtomicU64>);

impl ByteCount {
    pub(crate) fn get(&self) -> u64 {
        // Relaxed: the count orders nothing. Whoever holds a message also sees the bytes that made it, since it came
        // to them through a channel.
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A reader that counts what it reads.
pub(crate) struct CountingReader<R> {
    inner: R,
    count: ByteCount,
}

impl<R> CountingReader<R> {
    pub(crate) fn new(inner: R, count: ByteCount) -> Self {
        Self { inner, count }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for CountingReader<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.count.add(buffer.filled().len().saturating_sub(before));
        polled
    }
}
