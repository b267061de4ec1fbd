//! Shared by the benches: named inputs larger than any cache, the read that everything is compared
//! with, watch sets of a stated size, and interleaved rounds.

pub mod other_libraries;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bitcoin::consensus::deserialize;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Block, OutPoint, ScriptBuf, Txid};
use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::report::Origin;
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::matching::{BlockPlace, Matcher};
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};
use rescan_fixtures::bulk::{BulkBlocks, BulkSpec, Busyness, ChainLength, Shape};

/// Whether to measure: `cargo test` runs benches too, and only `cargo bench` passes `--bench`.
#[must_use]
pub fn is_measuring() -> bool {
    std::env::args().any(|arg| arg == "--bench")
}

/// Whether `RESCAN_BENCH_SHORT` is set: benches then show that they run, on inputs too small to
/// measure anything.
#[must_use]
pub fn is_short() -> bool {
    std::env::var_os("RESCAN_BENCH_SHORT").is_some()
}

/// Bytes of an input: more than any cache holds.
#[must_use]
pub fn input_bytes() -> u64 {
    if is_short() { 20_000_000 } else { 1_000_000_000 }
}

/// Scripts watched where a bench does not vary them.
pub const WATCHED_SCRIPTS: u32 = 20_000;
/// Outpoints watched where a bench does not vary them.
pub const WATCHED_OUTPOINTS: u32 = 10_000;
/// The obfuscation key of XORed inputs; its bytes are distinct, and none is zero.
pub const KEY: [u8; 8] = [0x1f, 0xa2, 0x35, 0xc8, 0x5b, 0xee, 0x71, 0x94];
/// Bytes between two repeated blocks, like the header of a record.
const RECORD_PREFIX_BYTES: usize = 8;

/// Contiguous blocks in memory, in the clear and XORed.
#[derive(Debug)]
pub struct Input {
    /// Its name in tables.
    pub name: &'static str,
    clear: Vec<u8>,
    masked: Vec<u8>,
    /// Start and size of each block, in bytes.
    spans: Vec<(usize, usize)>,
}

/// Whether to read an input in the clear or XORed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// In the clear.
    Clear,
    /// XORed, as a fresh datadir has them.
    Masked,
}

impl Input {
    /// Random transactions of the shape of mainnet's, or small ones only.
    #[must_use]
    pub fn bulk(name: &'static str, shape: Shape) -> Self {
        let mut spec = BulkSpec::new(ChainLength::Bytes(input_bytes()));
        spec.shape = shape;
        spec.busyness = Busyness::Absent;
        let BulkBlocks { bytes, spans, .. } = BulkBlocks::new(spec);
        let spans = spans.into_iter().map(|span| (span.start, span.len())).collect();
        Self::new(name, bytes, spans)
    }

    /// Real blocks, repeated at offsets that shift modulo eight.
    #[must_use]
    pub fn repeated(name: &'static str, blocks: &[Vec<u8>]) -> Self {
        let mut bytes = Vec::new();
        let mut spans = Vec::new();
        for (block, turn) in blocks.iter().cycle().zip(0_usize..) {
            if bytes.len() as u64 >= input_bytes() {
                break;
            }
            let gap = RECORD_PREFIX_BYTES + usize::from(turn % blocks.len() == 0);
            bytes.resize(bytes.len() + gap, 0);
            spans.push((bytes.len(), block.len()));
            bytes.extend_from_slice(block);
        }
        Self::new(name, bytes, spans)
    }

    fn new(name: &'static str, clear: Vec<u8>, spans: Vec<(usize, usize)>) -> Self {
        let mut masked = clear.clone();
        ObfuscationKey::from_bytes(KEY).apply(&mut masked);
        Self { name, clear, masked, spans }
    }

    /// The blocks.
    pub fn blocks(&self, masking: Masking) -> impl Iterator<Item = RawBlock<'_>> {
        let (bytes, key) = match masking {
            Masking::Clear => (&self.clear, ObfuscationKey::CLEAR),
            Masking::Masked => (&self.masked, ObfuscationKey::from_bytes(KEY)),
        };
        self.spans
            .iter()
            .map(move |(start, size)| RawBlock::new(&bytes[*start..start + size], key.advanced(*start as u64)))
    }

    /// The bytes of all blocks.
    #[must_use]
    pub fn block_bytes(&self) -> u64 {
        self.spans.iter().map(|(_, size)| *size as u64).sum()
    }

    /// A script from the middle of each `stride`th block.
    ///
    /// # Panics
    /// If a block is malformed: inputs consist of whole blocks.
    #[must_use]
    pub fn scripts_of_every(&self, stride: usize) -> Vec<ScriptBuf> {
        let script = |block: RawBlock<'_>| {
            let block: Block = deserialize(block.bytes()).expect("inputs are whole blocks");
            let outputs = block.txdata.into_iter().flat_map(|transaction| transaction.output);
            let mut scripts: Vec<ScriptBuf> = outputs.map(|output| output.script_pubkey).collect();
            scripts.swap_remove(scripts.len() / 2)
        };
        self.blocks(Masking::Clear).step_by(stride).map(script).collect()
    }

    /// Reads every byte in order: the baseline of any walk.
    #[must_use]
    pub fn read(&self) -> u64 {
        xor_of(&self.clear)
    }

    /// Walks every block against `watch` and returns the number of matches.
    ///
    /// # Panics
    /// If a block is malformed: inputs consist of whole blocks.
    #[must_use]
    pub fn walk(&self, masking: Masking, watch: &WatchSet) -> usize {
        let mut coins = CoinMap::new(watch);
        let mut matcher = Matcher::new(watch);
        let matches =
            |block| matcher.match_block(block, BlockPlace::Later, &mut coins).expect("inputs are whole blocks").len();
        self.blocks(masking).map(matches).sum()
    }
}

/// The XOR of all 64-bit words, unrolled to 64 bytes: it reads, and no more.
#[must_use]
pub fn xor_of(bytes: &[u8]) -> u64 {
    let mut lanes = [0_u64; 8];
    for chunk in bytes.chunks_exact(64) {
        for (lane, word) in lanes.iter_mut().zip(chunk.chunks_exact(8)) {
            *lane ^= u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]);
        }
    }
    lanes.iter().fold(0, |all, lane| all ^ lane)
}

/// A script that no block pays.
#[must_use]
pub fn absent_script(number: u32) -> ScriptBuf {
    let mut script = vec![0x51, 0x20]; // P2TR
    script.extend_from_slice(&absent_bytes("script", number));
    script.into()
}

fn absent_bytes(kind: &str, number: u32) -> [u8; 32] {
    sha256::Hash::hash(format!("{kind} {number}").as_bytes()).to_byte_array()
}

/// A watch set of scripts and outpoints that occur in no block.
#[must_use]
pub fn absent_watch_set(scripts: u32, outpoints: u32) -> WatchSet {
    watch_set_with(&[], scripts, outpoints)
}

/// A watch set of a wallet's `own` scripts, and of `others` and outpoints that occur in no block.
///
/// # Panics
/// If a script of the wallet cannot be watched.
#[must_use]
pub fn watch_set_with(own: &[ScriptBuf], others: u32, outpoints: u32) -> WatchSet {
    let mut builder = WatchSetBuilder::new();
    for (script, number) in (0..others).map(absent_script).chain(own.iter().cloned()).zip(0..) {
        builder.add_script(script.as_bytes(), Origin::Script(number)).expect("it can be watched");
    }
    for number in 0..outpoints {
        let txid = Txid::from_byte_array(absent_bytes("outpoint", number));
        builder.add_outpoint(OutPoint { txid, vout: number % 8 }, None, Origin::Outpoint(number));
    }
    builder.build()
}

/// The median time of each arm. Rounds are interleaved: on a shared machine, a ratio needs its two
/// sides side by side.
///
/// # Panics
/// Never: each arm runs at least once.
#[must_use]
pub fn medians<const ARMS: usize>(arms: [&dyn Fn() -> usize; ARMS]) -> [Duration; ARMS] {
    let rounds = if is_short() { 1 } else { 9 };
    let mut times = [const { Vec::new() }; ARMS];
    for _ in 0..rounds {
        for (arm, times) in arms.iter().zip(&mut times) {
            let start = Instant::now();
            black_box(arm());
            times.push(start.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[rounds / 2]
    })
}
