//! SHA-256 on the SHA extensions of x86-64, two messages interleaved.
//!
//! `sha256rnds2` does two rounds. Its result is ready after four cycles, and one can start every
//! two. Two interleaved messages therefore take no longer than one, and a third gains nothing
//! (measured on Zen 4; benches/README.md). All code is generic over the number of lanes, because
//! the last message of a batch goes alone.
//!
//! Vector work is written as loops, not as closures for `map`: a closure has the target features of
//! its enclosing function, but `map` does not, and code that is not inlined costs ten times as
//! much.
//!
//! Instructions: Intel's Software Developer's Manual, volume 2, `SHA256RNDS2`, `SHA256MSG1`,
//! `SHA256MSG2`; the hash itself: FIPS 180-4. Values are loaded and stored through integers, which
//! the compiler turns into plain vector loads, so no pointer is needed.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_cvtsi128_si64, _mm_extract_epi64, _mm_set_epi32, _mm_set_epi64x,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    _mm_unpackhi_epi64, _mm_unpacklo_epi64,
};

use crate::Digest;
use crate::messages::{Block, Messages};
use crate::sha_ni::constants::{Four, INITIAL, PADDING_AFTER_32, ROUND, ROUND_OF_PADDING_AFTER_64};

mod constants;

/// Proves that this processor has the SHA extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShaNi(());

/// The work to do. A single entry point, so there is a single unsafe call.
enum Work<'a> {
    Messages(&'a Messages, &'a mut [Digest]),
    Pairs(&'a mut [Digest]),
}

/// The eight words of a SHA-256 in progress, in the order of the instructions.
#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

/// The sixteen words of a block, or of a message schedule at some round, four in each.
type Words = [__m128i; 4];

impl ShaNi {
    /// None if the processor lacks them.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse2")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        has.then_some(Self(()))
    }

    pub(crate) fn hash_messages(self, messages: &Messages, digests: &mut Vec<Digest>) {
        let before = digests.len();
        digests.resize(before + messages.len(), [0; 32]);
        self.run(Work::Messages(messages, &mut digests[before..]));
    }

    pub(crate) fn hash_pairs(self, level: &mut Vec<Digest>) {
        self.run(Work::Pairs(level));
        level.truncate(level.len() / 2);
    }

    #[expect(unsafe_code, reason = "code for a processor with SHA-NI is called from code for any")]
    fn run(self, work: Work<'_>) {
        // SAFETY: only `detect` makes a `ShaNi`, after it has found every feature that `run` is
        // compiled for.
        unsafe { run(work) }
    }
}

#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn run(work: Work<'_>) {
    match work {
        Work::Messages(messages, digests) => {
            hash_messages(messages, digests);
            hash_again(digests);
        }
        Work::Pairs(level) => hash_pairs(level),
    }
}

/// A message in progress, and the position of its hash.
struct Lane<'a> {
    rest: &'a [Block],
    digest: Option<&'a mut Digest>,
    state: State,
}

/// Writes the single SHA-256 of each message. Two messages are interleaved; when one ends, the next
/// takes its lane.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn hash_messages<'a>(messages: &'a Messages, digests: &'a mut [Digest]) {
    let mut queue = messages.padded().zip(digests);
    let mut start = || match queue.next() {
        Some((rest, digest)) => Lane { rest, digest: Some(digest), state: initial() },
        None => Lane { rest: &[], digest: None, state: initial() },
    };
    let (mut first, mut second) = (start(), start());
    loop {
        let in_step = first.rest.len().min(second.rest.len());
        if in_step == 0 {
            break;
        }
        let (first_blocks, first_rest) = first.rest.split_at(in_step);
        let (second_blocks, second_rest) = second.rest.split_at(in_step);
        let mut states = [first.state, second.state];
        for (one, other) in first_blocks.iter().zip(second_blocks) {
            compress(&mut states, [words_of(one), words_of(other)]);
        }
        [first.state, second.state] = states;
        (first.rest, second.rest) = (first_rest, second_rest);
        for lane in [&mut first, &mut second] {
            if lane.rest.is_empty() {
                lane.finish();
                *lane = start();
            }
        }
    }
    for mut lane in [first, second] {
        let mut states = [lane.state];
        for block in lane.rest {
            compress(&mut states, [words_of(block)]);
        }
        [lane.state] = states;
        lane.finish();
    }
}

impl Lane<'_> {
    #[inline]
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    fn finish(&mut self) {
        if let Some(digest) = &mut self.digest {
            **digest = bytes_of(hash_words(self.state));
        }
    }
}

/// Replaces each digest by its SHA-256.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn hash_again(digests: &mut [Digest]) {
    let (twos, last) = digests.as_chunks_mut::<2>();
    for two in twos {
        *two = hash_hashes([hash_words_of(&two[0]), hash_words_of(&two[1])]);
    }
    for one in last {
        [*one] = hash_hashes([hash_words_of(one)]);
    }
}

/// Writes the double SHA-256 of each two neighbours over the first half of `level`.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn hash_pairs(level: &mut [Digest]) {
    let mut parents = 0;
    let mut at = 0;
    while let Some(four) = level.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let [a, b, c, d] = *four;
        let above = hash_64([[a, b], [c, d]]);
        level[parents..parents + 2].copy_from_slice(&above); // behind what was read
        (parents, at) = (parents + 2, at + 4);
    }
    if let Some(two) = level.get(at..).and_then(|rest| rest.first_chunk::<2>()) {
        [level[parents]] = hash_64([*two]);
    }
}

/// The double SHA-256 of messages of 64 bytes. Their padding is a separate, constant block, whose
/// schedule is computed at compile time.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn hash_64<const LANES: usize>(messages: [[Digest; 2]; LANES]) -> [Digest; LANES] {
    let mut schedule = [[vector([0; 4]); 4]; LANES];
    for (words, [left, right]) in schedule.iter_mut().zip(&messages) {
        let ([a, b], [c, d]) = (hash_words_of(left), hash_words_of(right));
        *words = [a, b, c, d];
    }
    let mut states = [initial(); LANES];
    compress(&mut states, schedule);
    let before = states;
    for words in ROUND_OF_PADDING_AFTER_64 {
        four_rounds(&mut states, [vector(words); LANES]);
    }
    add(&mut states, before);
    let mut hashes = [[vector([0; 4]); 2]; LANES];
    for (words, state) in hashes.iter_mut().zip(states) {
        *words = hash_words(state);
    }
    hash_hashes(hashes)
}

/// The SHA-256 of hashes, given as words.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn hash_hashes<const LANES: usize>(hashes: [[__m128i; 2]; LANES]) -> [Digest; LANES] {
    let [padding, length] = PADDING_AFTER_32;
    let mut schedule = [[vector([0; 4]); 4]; LANES];
    for (words, [first, second]) in schedule.iter_mut().zip(hashes) {
        *words = [first, second, vector(padding), vector(length)];
    }
    let mut states = [initial(); LANES];
    compress(&mut states, schedule);
    let mut digests = [[0; 32]; LANES];
    for (digest, state) in digests.iter_mut().zip(states) {
        *digest = bytes_of(hash_words(state));
    }
    digests
}

/// Processes one block for each of `states`.
///
/// Never inlined: two lanes fill the sixteen registers. Inlined into a loop, the compiler kept a
/// state on the stack, within the critical chain: 38 instead of 20 ns a block. The compiler treats
/// `never` as a hint and inlines the single lane, which does no harm. After a change of the loops,
/// run the bench `proof`.
#[inline(never)]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn compress<const LANES: usize>(states: &mut [State; LANES], mut schedule: [Words; LANES]) {
    let before = *states;
    let [first, later @ ..] = &ROUND;
    for (four, constants) in first.iter().enumerate() {
        add_and_do_four_rounds(states, &schedule, four, *constants);
    }
    for quarter in later {
        for (four, constants) in quarter.iter().enumerate() {
            for words in &mut schedule {
                words[four] = next_words(words, four);
            }
            add_and_do_four_rounds(states, &schedule, four, *constants);
        }
    }
    add(states, before);
}

/// The four words of the message schedule that follow the sixteen in `words`, the oldest of which
/// are at `oldest`.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn next_words(words: &Words, oldest: usize) -> __m128i {
    let (a, b, c, d) = (words[oldest], words[(oldest + 1) % 4], words[(oldest + 2) % 4], words[(oldest + 3) % 4]);
    _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8(d, c, 4)), d)
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn add_and_do_four_rounds<const LANES: usize>(
    states: &mut [State; LANES],
    schedule: &[Words; LANES],
    four: usize,
    constants: Four,
) {
    let mut sums = [vector(constants); LANES];
    for (sum, words) in sums.iter_mut().zip(schedule) {
        *sum = _mm_add_epi32(*sum, words[four]);
    }
    four_rounds(states, sums);
}

/// Four rounds; `words` are those of the schedule with the round constants added.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn four_rounds<const LANES: usize>(states: &mut [State; LANES], words: [__m128i; LANES]) {
    for (state, words) in states.iter_mut().zip(words) {
        state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, words);
    }
    for (state, words) in states.iter_mut().zip(words) {
        state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, _mm_shuffle_epi32(words, 0x0e));
    }
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn add<const LANES: usize>(states: &mut [State; LANES], before: [State; LANES]) {
    for (state, before) in states.iter_mut().zip(before) {
        state.abef = _mm_add_epi32(state.abef, before.abef);
        state.cdgh = _mm_add_epi32(state.cdgh, before.cdgh);
    }
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn initial() -> State {
    let [a, b, c, d, e, f, g, h] = INITIAL;
    State { abef: vector([f, e, b, a]), cdgh: vector([h, g, d, c]) }
}

/// The words a to h of a finished hash, in that order.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn hash_words(State { abef, cdgh }: State) -> [__m128i; 2] {
    let (badc, fehg) = (_mm_unpackhi_epi64(abef, cdgh), _mm_unpacklo_epi64(abef, cdgh));
    [_mm_shuffle_epi32(badc, 0xb1), _mm_shuffle_epi32(fehg, 0xb1)]
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn words_of(block: &Block) -> Words {
    let (four, _) = block.as_chunks::<16>();
    [load(&four[0]), load(&four[1]), load(&four[2]), load(&four[3])]
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn hash_words_of(digest: &Digest) -> [__m128i; 2] {
    let (two, _) = digest.as_chunks::<16>();
    [load(&two[0]), load(&two[1])]
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn bytes_of(words: [__m128i; 2]) -> Digest {
    let mut digest = [0; 32];
    for (bytes, words) in digest.as_chunks_mut::<16>().0.iter_mut().zip(words) {
        let words = swapped(words);
        let (low, high) = (_mm_cvtsi128_si64(words), _mm_extract_epi64(words, 1));
        bytes[..8].copy_from_slice(&low.to_le_bytes());
        bytes[8..].copy_from_slice(&high.to_le_bytes());
    }
    digest
}

/// Four words from big-endian bytes.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn load(bytes: &[u8; 16]) -> __m128i {
    let [low, high] = [0, 1].map(|half| i64::from_le_bytes(bytes.as_chunks::<8>().0[half]));
    swapped(_mm_set_epi64x(high, low))
}

/// Reverses the bytes of each word.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn swapped(words: __m128i) -> __m128i {
    _mm_shuffle_epi8(words, _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203))
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn vector(words: [u32; 4]) -> __m128i {
    let [a, b, c, d] = words.map(u32::cast_signed);
    _mm_set_epi32(d, c, b, a)
}
