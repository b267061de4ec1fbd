//! What crosses a connection's socket, counted where it is read and written: bytes, and the Cap'n Proto messages in them.
//!
//! Messages are told apart by their framing alone (capnproto.org/encoding.html, "Serialization Over a Stream"): a table
//! with the sizes of the segments, and then the segments. Nothing else of them is looked at, and nothing is checked:
//! that is for whoever reads them.
//!
//! Invariant: what is counted does not depend on the portions in which the stream is read or written.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

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
        self.0.messages.fetch_add(framing.take(portion), Ordering::Relaxed);
    }
}

/// Where in the framing of a stream of messages its reader stands.
#[derive(Debug)]
struct Framing {
    /// What is being read.
    part: Part,
    /// The bytes of the number that is being read, and how many of them are there.
    number: [u8; 4],
    number_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The number of segments less one.
    SegmentCount,
    /// The size of a segment in words: so many sizes are still to come, this one included, and so many bytes follow the
    /// table as far as it is known.
    SegmentSize { left: u64, padded: bool, body: u64 },
    /// So many bytes of padding and segments.
    Body(u64),
}

const WORD_BYTES: u64 = 8;
const NUMBER_BYTES: u64 = 4;

impl Default for Framing {
    fn default() -> Self {
        Self { part: Part::SegmentCount, number: [0; 4], number_bytes: 0 }
    }
}

impl Framing {
    /// Goes on through a portion of the stream; how many messages end in it.
    fn take(&mut self, mut portion: &[u8]) -> u64 {
        let mut ended = 0;
        while !portion.is_empty() {
            if let Part::Body(left) = self.part {
                let step = portion.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                portion = &portion[step..];
                self.part = Part::Body(left.saturating_sub(widen(step)));
            } else {
                let step = portion.len().min(self.number.len() - self.number_bytes);
                self.number[self.number_bytes..][..step].copy_from_slice(&portion[..step]);
                self.number_bytes += step;
                portion = &portion[step..];
                if self.number_bytes == self.number.len() {
                    self.number_bytes = 0;
                    self.part = self.part.after(u32::from_le_bytes(self.number));
                }
            }
            if self.part == Part::Body(0) {
                self.part = Part::SegmentCount;
                ended += 1;
            }
        }
        ended
    }
}

impl Part {
    /// What follows a number of the table.
    fn after(self, number: u32) -> Self {
        match self {
            Self::SegmentCount => {
                let count = u64::from(number).saturating_add(1);
                // With the count, an even number of sizes leaves the table half a word short.
                Self::SegmentSize { left: count, padded: count.is_multiple_of(2), body: 0 }
            }
            Self::SegmentSize { left, padded, body } => {
                let body = body.saturating_add(u64::from(number).saturating_mul(WORD_BYTES));
                match left.saturating_sub(1) {
                    0 => Self::Body(if padded { body.saturating_add(NUMBER_BYTES) } else { body }),
                    left => Self::SegmentSize { left, padded, body },
                }
            }
            body @ Self::Body(_) => body,
        }
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

fn widen(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use capnp::message::{self, AllocationStrategy, HeapAllocator};
    use proptest::prelude::*;
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

    /// How many messages stand in a stream by the parser of the `capnp` crate.
    fn parsed(mut stream: &[u8]) -> u64 {
        let mut count = 0;
        while !stream.is_empty() {
            capnp::serialize::read_message_from_flat_slice(&mut stream, message::ReaderOptions::new())
                .expect("the stream is whole messages");
            count += 1;
        }
        count
    }

    fn taken(stream: &[u8], cuts: &[usize]) -> Vec<u64> {
        let mut framing = Framing::default();
        let mut ends = vec![0];
        ends.extend(cuts.iter().map(|cut| cut % (stream.len() + 1)));
        ends.push(stream.len());
        ends.sort_unstable();
        ends.windows(2).map(|pair| framing.take(&stream[pair[0]..pair[1]])).collect()
    }

    proptest! {
        #[test]
        fn any_split_of_reads_counts_the_messages_that_a_parser_finds(
            messages in prop::collection::vec((0..400_u32, 1..200_u32), 0..6),
            cuts in prop::collection::vec(any::<usize>(), 0..40),
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|(words, first)| written(*words, *first)).collect();
            prop_assert_eq!(taken(&stream, &cuts).iter().sum::<u64>(), parsed(&stream));
            let each: Vec<usize> = (0..stream.len()).collect();
            prop_assert_eq!(taken(&stream, &each).iter().sum::<u64>(), parsed(&stream));
        }
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
