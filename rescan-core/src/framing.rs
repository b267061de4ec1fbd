//! The framing of a stream of Cap'n Proto messages: the position at which each message begins and ends.
//!
//! It reads segment tables alone: a reader learns the size of a message before it allocates it. It never parses message
//! content. The transport refuses a malformed table; this parser then ignores the rest of the stream.
//!
//! Invariant: the events do not depend on the portions in which the stream arrives.
//!
//! Source: "Serialization Over a Stream" in Cap'n Proto's encoding specification (capnproto.org/encoding.html).

/// The transport refuses a table of this many segments or more, so a larger one is not worth keeping.
const SEGMENTS_MAX: u32 = 512;

const WORD_BYTES: u64 = 8;

/// An event in a stream of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingEvent {
    /// A segment table is complete. The message has this many bytes, its table included.
    Announced(u64),
    /// The last byte of the message has arrived.
    Complete,
}

/// An incremental parser of message framing.
#[derive(Debug, Default)]
pub struct Framing {
    part: Part,
}

#[derive(Debug)]
enum Part {
    /// The bytes of a segment table so far; empty between two messages.
    Table(Vec<u8>),
    /// The number of segment bytes still missing.
    Segments(u64),
    /// A table was malformed. The rest of the stream is ignored.
    Lost,
}

impl Default for Part {
    fn default() -> Self {
        Self::Table(Vec::new())
    }
}

impl Framing {
    /// Whether a message has arrived in part.
    #[must_use]
    pub fn is_within_message(&self) -> bool {
        match &self.part {
            Part::Table(table) => !table.is_empty(),
            Part::Segments(_) => true,
            Part::Lost => false,
        }
    }

    /// Consumes `bytes` up to the next event, or all of them if there is none.
    pub fn next_event(&mut self, bytes: &mut &[u8]) -> Option<FramingEvent> {
        match &mut self.part {
            Part::Table(table) => {
                let announced = take_table(table, bytes)?;
                let length = table.len() as u64; // at most 2 KiB
                self.part = announced.map_or(Part::Lost, Part::Segments);
                announced.map(|segments| FramingEvent::Announced(length.saturating_add(segments)))
            }
            Part::Segments(missing) => {
                let taken = bytes.len().min(usize::try_from(*missing).unwrap_or(usize::MAX));
                *bytes = bytes.get(taken..).unwrap_or_default();
                *missing -= taken as u64; // at most `missing`
                (*missing == 0).then(|| {
                    self.part = Part::default();
                    FramingEvent::Complete
                })
            }
            Part::Lost => {
                *bytes = &[];
                None
            }
        }
    }
}

/// Fills a segment table. Returns the number of bytes of all segments once the table is complete; the inner `None` means
/// that the table has too many segments.
fn take_table(table: &mut Vec<u8>, bytes: &mut &[u8]) -> Option<Option<u64>> {
    let mut fill = |table: &mut Vec<u8>, length: usize| {
        let missing = length.saturating_sub(table.len());
        let (taken, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        table.extend_from_slice(taken);
        *bytes = rest;
        table.len() >= length
    };
    if !fill(table, 4) {
        return None;
    }
    let [a, b, c, d, ..] = table[..] else { return None };
    let Some(segments) = u32::from_le_bytes([a, b, c, d]).checked_add(1).filter(|count| *count < SEGMENTS_MAX) else {
        return Some(None);
    };
    // The count and the sizes, padded to whole words.
    let length = (4 + 4 * segments as usize).next_multiple_of(8); // at most 2 KiB
    if !fill(table, length) {
        return None;
    }
    let sizes = table.chunks_exact(4).skip(1).take(segments as usize);
    let words = sizes.map(|size| size.try_into().map_or(0, |size| u64::from(u32::from_le_bytes(size)))).sum::<u64>();
    Some(Some(words * WORD_BYTES))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use capnp::message::{self, AllocationStrategy, HeapAllocator};
    use proptest::prelude::*;

    use super::*;

    /// A message with segments of these sizes in words.
    fn framed(segments: &[u32]) -> Vec<u8> {
        let mut bytes = u32::try_from(segments.len() - 1).unwrap().to_le_bytes().to_vec();
        segments.iter().for_each(|words| bytes.extend(words.to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.resize(bytes.len() + 8 * segments.iter().sum::<u32>() as usize, 0xff);
        bytes
    }

    fn events(framing: &mut Framing, mut bytes: &[u8]) -> Vec<FramingEvent> {
        std::iter::from_fn(|| framing.next_event(&mut bytes)).collect()
    }

    proptest! {
        #[test]
        fn every_message_is_announced_and_completed_however_the_stream_is_cut(
            messages in prop::collection::vec(prop::collection::vec(0_u32..40, 1..9), 1..8),
            cut in 1_usize..200,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|segments| framed(segments)).collect();
            let mut framing = Framing::default();
            let found: Vec<FramingEvent> = stream.chunks(cut).flat_map(|chunk| events(&mut framing, chunk)).collect();
            let expected = messages.iter().flat_map(|it| [FramingEvent::Announced(framed(it).len() as u64), FramingEvent::Complete]);
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
            prop_assert!(!framing.is_within_message());
        }

        #[test]
        fn noise_is_never_too_much(noise in prop::collection::vec(any::<u8>(), 0..4_000), cut in 1_usize..300) {
            let mut framing = Framing::default();
            noise.chunks(cut).for_each(|chunk| drop(events(&mut framing, chunk)));
        }
    }

    /// A message as the `capnp` crate writes it, of about `words` words, in segments of `first_segment` words at first.
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

    /// The lengths of the messages in a stream, found by the parser of the `capnp` crate.
    fn parsed(mut stream: &[u8]) -> Vec<u64> {
        let mut lengths = Vec::new();
        while !stream.is_empty() {
            let before = stream.len();
            capnp::serialize::read_message_from_flat_slice(&mut stream, message::ReaderOptions::new()).unwrap();
            lengths.push((before - stream.len()) as u64);
        }
        lengths
    }

    proptest! {
        #[test]
        fn the_messages_are_those_that_the_capnp_parser_finds(
            messages in prop::collection::vec((0..400_u32, 1..200_u32), 0..6),
            cut in 1_usize..500,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|(words, first)| written(*words, *first)).collect();
            let mut framing = Framing::default();
            let found: Vec<FramingEvent> = stream.chunks(cut).flat_map(|chunk| events(&mut framing, chunk)).collect();
            let expected = parsed(&stream).into_iter().flat_map(|length| [FramingEvent::Announced(length), FramingEvent::Complete]);
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn part_of_a_message_is_within_it() {
        let mut framing = Framing::default();
        assert!(!framing.is_within_message());
        let whole = framed(&[3]);
        assert_eq!(events(&mut framing, &whole[..3]), []);
        assert!(framing.is_within_message());
        assert_eq!(events(&mut framing, &whole[3..20]), [FramingEvent::Announced(32)]);
        assert!(framing.is_within_message());
        assert_eq!(events(&mut framing, &whole[20..]), [FramingEvent::Complete]);
    }
}
