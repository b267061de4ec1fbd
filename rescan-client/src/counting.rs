//! What crosses a connection's socket, counted where it is read and written: bytes, and the Cap'n Proto messages in them.
//!
//! It reads the framing of messages and nothing else of them, and checks nothing: their reader does.
//!
//! Invariant: what is counted does not depend on the portions in which the stream is read or written.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use rescan_core::framing::{Framing, FramingEvent};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What crossed a connection's socket since it was connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// What was read.
    pub received: ByteCount,
    /// What was written.
    pub sent: ByteCount,
}

/// What crossed in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteCount {
    /// All bytes, those of messages that are under way included.
    pub bytes: u64,
    /// Cap'n Proto messages that crossed to their last byte.
    pub messages: u64,
}

/// Counts that the connection raises and anyone reads.
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
        // Relaxed: the counts order nothing. Whoever holds a message also sees the bytes that made it, since it came
        // to them through a channel.
        ByteCount { bytes: self.0.bytes.load(Ordering::Relaxed), messages: self.0.messages.load(Ordering::Relaxed) }
    }

    fn add(&self, portion: &[u8], framing: &mut Framing) {
        self.0.bytes.fetch_add(widen(portion.len()), Ordering::Relaxed);
        self.0.messages.fetch_add(messages_ended(framing, portion), Ordering::Relaxed);
    }
}

/// A reader or writer that counts what passes.
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

impl<R: AsyncRead + Unpin> AsyncRead for Counting<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buffer);
        let read = buffer.filled().get(before..).unwrap_or_default();
        this.count.add(read, &mut this.framing);
        polled
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Counting<W> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, bytes))?;
        this.count.add(bytes.get(..written).unwrap_or(bytes), &mut this.framing);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

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
            let mut heard = vec![0; message.len()];
            far.read_exact(&mut heard).await.expect("it is heard");
            far.write_all(&heard[..heard.len() - 1]).await.expect("it is said");
        };
        let ask = async {
            writer.write_all(&message).await.expect("it is said");
            let mut heard = vec![0; message.len() - 1];
            reader.read_exact(&mut heard).await.expect("it is heard");
        };
        tokio::join!(echo, ask);
        let received = ByteCount { bytes: bytes - 1, messages: 0 };
        assert_eq!(count.get(), Traffic { received, sent: ByteCount { bytes, messages: 1 } });
    }
}
