//! The traffic of a connection, counted at its socket: bytes, and the Cap'n Proto messages in them.
//!
//! It parses the framing of messages only, and checks nothing: their reader does.
//!
//! Invariant: the counts do not depend on the portions in which the stream is read or written.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead, AsyncWrite};
use rescan_core::framing::{Framing, FramingEvent};
use tokio::io::{AsyncRead as TokioRead, AsyncWrite as TokioWrite, ReadBuf};

/// The traffic of a connection since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From the server.
    pub received: ByteCount,
    /// To the server.
    pub sent: ByteCount,
}

/// The traffic in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteCount {
    /// All bytes, those of incomplete messages included.
    pub bytes: u64,
    /// Complete Cap'n Proto messages.
    pub messages: u64,
}

/// Counters that the connection raises and its handles read.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrafficCount {
    pub(crate) received: ByteCounter,
    pub(crate) sent: ByteCounter,
}

impl TrafficCount {
    pub(crate) fn get(&self) -> Traffic {
        Traffic { received: self.received.get(), sent: self.sent.get() }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ByteCounter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    messages: AtomicU64,
}

impl ByteCounter {
    pub(crate) fn get(&self) -> ByteCount {
        // Relaxed: the counts order nothing. The receiver of a message also sees the count of its bytes, since it got it
        // through a channel.
        ByteCount { bytes: self.0.bytes.load(Ordering::Relaxed), messages: self.0.messages.load(Ordering::Relaxed) }
    }

    fn add(&self, portion: &[u8], framing: &mut Framing) {
        self.0.bytes.fetch_add(widen(portion.len()), Ordering::Relaxed);
        self.0.messages.fetch_add(messages_ended(framing, portion), Ordering::Relaxed);
    }
}

/// Counts the bytes of a reader or writer, and turns tokio's traits into those that `capnp-rpc` takes.
pub(crate) struct Counting<S> {
    inner: S,
    count: ByteCounter,
    framing: Framing,
}

impl<S> Counting<S> {
    pub(crate) fn new(inner: S, count: ByteCounter) -> Self {
        Self { inner, count, framing: Framing::default() }
    }
}

impl<R: TokioRead + Unpin> AsyncRead for Counting<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut buffer))?;
        this.count.add(buffer.filled(), &mut this.framing);
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl<W: TokioWrite + Unpin> AsyncWrite for Counting<W> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, bytes))?;
        this.count.add(bytes.get(..written).unwrap_or(bytes), &mut this.framing);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The number of messages whose last byte is in this portion of the stream.
fn messages_ended(framing: &mut Framing, mut portion: &[u8]) -> u64 {
    let events = std::iter::from_fn(|| framing.next_event(&mut portion));
    widen(events.filter(|event| *event == FramingEvent::Complete).count())
}

fn widen(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use capnp::message::{self, AllocationStrategy, HeapAllocator};
    use futures::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A message as it stands on a stream, of about so many words, in segments of that size at first.
    fn written(words: u32, first_segment: u32) -> Vec<u8> {
        let allocator =
            HeapAllocator::new().first_segment_words(first_segment).allocation_strategy(AllocationStrategy::FixedSize);
        let mut message = message::Builder::new(allocator);
        let mut list = message.initn_root::<capnp::data_list::Builder<'_>>(words.div_ceil(8));
        for index in 0..list.reborrow().len() {
            list.set(index, &[7; 64]);
        }
        capnp::serialize::write_message_to_words(&message)
    }

    fn taken(stream: &[u8], cuts: &[usize]) -> Vec<u64> {
        let mut framing = Framing::default();
        let mut ends = vec![0];
        ends.extend(cuts.iter().map(|cut| cut % (stream.len() + 1)));
        ends.push(stream.len());
        ends.sort_unstable();
        ends.windows(2).map(|pair| messages_ended(&mut framing, &stream[pair[0]..pair[1]])).collect()
    }

    #[test]
    fn a_message_counts_with_its_last_byte_and_not_before() {
        for (words, first) in [(100, 1_000), (100, 40), (400, 30)] {
            let stream = written(words, first);
            let last = stream.len() - 1;
            assert_eq!(taken(&stream, &[last]), [0, 1], "{} segments", stream[0] + 1);
        }
    }

    #[test]
    fn a_message_of_an_empty_segment_ends_with_its_table() {
        assert_eq!(taken(&[0; 16], &[3, 8]), [0, 1, 1]);
    }

    #[tokio::test]
    async fn both_directions_count_what_passes() {
        let (near, mut far) = tokio::io::duplex(64);
        let (reader, writer) = tokio::io::split(near);
        let count = TrafficCount::default();
        let mut reader = Counting::new(reader, count.received.clone());
        let mut writer = Counting::new(writer, count.sent.clone());
        let message = written(200, 50);
        let bytes = message.len() as u64;
        let echo = async {
            let mut echoed = vec![0; message.len()];
            tokio::io::AsyncReadExt::read_exact(&mut far, &mut echoed).await.expect("it is read");
            tokio::io::AsyncWriteExt::write_all(&mut far, &echoed[..echoed.len() - 1]).await.expect("it is written");
        };
        let ask = async {
            writer.write_all(&message).await.expect("it is written");
            let mut echoed = vec![0; message.len() - 1];
            reader.read_exact(&mut echoed).await.expect("it is read");
        };
        tokio::join!(echo, ask);
        let received = ByteCount { bytes: bytes - 1, messages: 0 };
        assert_eq!(count.get(), Traffic { received, sent: ByteCount { bytes, messages: 1 } });
    }
}
