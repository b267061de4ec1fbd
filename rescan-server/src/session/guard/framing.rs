//! Where one message ends and the next begins, in a stream of Cap'n Proto messages.
//!
//! It looks at segment tables alone, to know how much a message announces before that much is allocated, and never at
//! what a message says. What is not a segment table is for the transport to refuse: from there on this knows nothing.
//!
//! Source: "Serialization Over a Stream" in Cap'n Proto's encoding specification.

/// The most segments that the transport takes, so that a table of more is not worth keeping.
const SEGMENTS_MAX: u32 = 512;

const WORD_BYTES: u64 = 8;

/// What the bytes so far come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message begins that has so many bytes, its segment table included.
    Announced(u64),
    /// All of it is there.
    Complete,
}

/// How far a stream of messages is.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    part: Part,
}

#[derive(Debug)]
enum Part {
    /// In a segment table, or between two messages where it is empty.
    Table(Vec<u8>),
    /// In the segments, of which so many bytes are missing.
    Segments(u64),
    /// No table came where one should have.
    Lost,
}

impl Default for Part {
    fn default() -> Self {
        Self::Table(Vec::new())
    }
}

impl Framing {
    /// Whether something of a message is there and something of it is missing.
    pub(crate) fn is_within(&self) -> bool {
        match &self.part {
            Part::Table(table) => !table.is_empty(),
            Part::Segments(_) => true,
            Part::Lost => false,
        }
    }

    /// Takes `bytes` up to the next event; all of them if there is none.
    pub(crate) fn next_event(&mut self, bytes: &mut &[u8]) -> Option<Event> {
        match &mut self.part {
            Part::Table(table) => {
                let announced = take_table(table, bytes)?;
                let length = table.len() as u64; // at most 2 KiB
                self.part = announced.map_or(Part::Lost, Part::Segments);
                announced.map(|segments| Event::Announced(length.saturating_add(segments)))
            }
            Part::Segments(missing) => {
                let taken = bytes.len().min(usize::try_from(*missing).unwrap_or(usize::MAX));
                *bytes = bytes.get(taken..).unwrap_or_default();
                *missing -= taken as u64; // at most `missing`
                (*missing == 0).then(|| {
                    self.part = Part::default();
                    Event::Complete
                })
            }
            Part::Lost => {
                *bytes = &[];
                None
            }
        }
    }
}

/// Fills a segment table. Once it is whole: how many bytes all segments have, or none if there cannot be so many segments.
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
    use proptest::prelude::*;

    use super::*;

    /// A message with segments of these sizes in words.
    fn message(segments: &[u32]) -> Vec<u8> {
        let mut bytes = u32::try_from(segments.len() - 1).unwrap().to_le_bytes().to_vec();
        segments.iter().for_each(|words| bytes.extend(words.to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.resize(bytes.len() + 8 * segments.iter().sum::<u32>() as usize, 0xff);
        bytes
    }

    fn events(framing: &mut Framing, mut bytes: &[u8]) -> Vec<Event> {
        std::iter::from_fn(|| framing.next_event(&mut bytes)).collect()
    }

    proptest! {
        #[test]
        fn every_message_is_announced_and_completed_however_the_stream_is_cut(
            messages in prop::collection::vec(prop::collection::vec(0_u32..40, 1..9), 1..8),
            cut in 1_usize..200,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|segments| message(segments)).collect();
            let mut framing = Framing::default();
            let found: Vec<Event> = stream.chunks(cut).flat_map(|chunk| events(&mut framing, chunk)).collect();
            let expected = messages.iter().flat_map(|it| [Event::Announced(message(it).len() as u64), Event::Complete]);
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
            prop_assert!(!framing.is_within());
        }

        #[test]
        fn noise_is_never_too_much(noise in prop::collection::vec(any::<u8>(), 0..4_000), cut in 1_usize..300) {
            let mut framing = Framing::default();
            noise.chunks(cut).for_each(|chunk| drop(events(&mut framing, chunk)));
        }
    }

    #[test]
    fn part_of_a_message_is_within_it() {
        let mut framing = Framing::default();
        assert!(!framing.is_within());
        let whole = message(&[3]);
        assert_eq!(events(&mut framing, &whole[..3]), []);
        assert!(framing.is_within());
        assert_eq!(events(&mut framing, &whole[3..20]), [Event::Announced(32)]);
        assert!(framing.is_within());
        assert_eq!(events(&mut framing, &whole[20..]), [Event::Complete]);
    }
}
