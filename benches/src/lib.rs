//! What benches share: named inputs larger than any cache, the reading that everything is compared with, and a watch set
//! of a stated size.

pub mod peers;

use bitcoin::consensus::deserialize;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Block, OutPoint, ScriptBuf, Txid};
use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::report::Origin;
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::matching::{BlockPlace, Matcher};
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};
use rescan_fixtures::bulk::{BulkBlocks, BulkSpec, Busyness, ChainLength, Shape};

/// Whether benches are only to show that they run, on inputs that measure nothing: `RESCAN_BENCH_SHORT` is set.
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
/// The key of an input under XOR; no byte of it is zero or equals another.
const KEY: [u8; 8] = [0x1f, 0xa2, 0x35, 0xc8, 0x5b, 0xee, 0x71, 0x94];
/// Bytes between two repeated blocks, as a record has them before a block.
const RECORD_PREFIX_BYTES: usize = 8;

/// Blocks in one stretch of memory, in the clear and under a key.
#[derive(Debug)]
pub struct Input {
    /// What it is.
    pub name: &'static str,
    clear: Vec<u8>,
    masked: Vec<u8>,
    /// Start and size of each block, in bytes.
    spans: Vec<(usize, usize)>,
}

/// Whether an input's bytes lie as they are or under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// As they are.
    Clear,
    /// XORed, as a fresh datadir has them.
    Masked,
}

impl Input {
    /// Random transactions in the shape of mainnet's, or small ones only.
    #[must_use]
    pub fn bulk(name: &'static str, shape: Shape) -> Self {
        let mut spec = BulkSpec::new(ChainLength::Bytes(input_bytes()));
        spec.shape = shape;
        spec.busyness = Busyness::Absent;
        let BulkBlocks { bytes, spans, .. } = BulkBlocks::new(spec);
        let spans = spans.into_iter().map(|span| (span.start, span.len())).collect();
        Self::new(name, bytes, spans)
    }

    /// Real blocks, one after another again and again, at offsets that shift modulo eight.
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

    /// Bytes of the blocks.
    #[must_use]
    pub fn block_bytes(&self) -> u64 {
        self.spans.iter().map(|(_, size)| *size as u64).sum()
    }

    /// A script that each `stride`th block pays, from the midst of the block.
    ///
    /// # Panics
    /// If a block is malformed: inputs are made of whole blocks.
    #[must_use]
    pub fn scripts_of_every(&self, stride: usize) -> Vec<ScriptBuf> {
        let script = |block: RawBlock<'_>| {
            let block: Block = deserialize(block.bytes()).expect("inputs are whole blocks");
            let midst = block.txdata.into_iter().flat_map(|transaction| transaction.output);
            let mut scripts: Vec<ScriptBuf> = midst.map(|output| output.script_pubkey).collect();
            scripts.swap_remove(scripts.len() / 2)
        };
        self.blocks(Masking::Clear).step_by(stride).map(script).collect()
    }

    /// Reads every byte in order: what any walk is compared with. XOR of 64-bit words, unrolled to 64 bytes.
    #[must_use]
    pub fn read(&self) -> u64 {
        xor_of(&self.clear)
    }

    /// Walks every block against `watch` and says how many transactions matched.
    ///
    /// # Panics
    /// If a block is malformed: inputs are made of whole blocks.
    #[must_use]
    pub fn walk(&self, masking: Masking, watch: &WatchSet) -> usize {
        let mut coins = CoinMap::new(watch);
        let mut matcher = Matcher::new(watch);
        let matches =
            |block| matcher.match_block(block, BlockPlace::Later, &mut coins).expect("inputs are whole blocks").len();
        self.blocks(masking).map(matches).sum()
    }
}

/// The XOR of all 64-bit words, unrolled to 64 bytes: reading, and no more.
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

/// A script that no block has.
#[must_use]
pub fn strange_script(number: u32) -> ScriptBuf {
    let mut script = vec![0x51, 0x20]; // a p2tr output
    script.extend_from_slice(&strange_bytes("script", number));
    script.into()
}

fn strange_bytes(what: &str, number: u32) -> [u8; 32] {
    sha256::Hash::hash(format!("{what} {number}").as_bytes()).to_byte_array()
}

/// A watch set of scripts and outpoints that no block has.
#[must_use]
pub fn strangers(scripts: u32, outpoints: u32) -> WatchSet {
    strangers_and(&[], scripts, outpoints)
}

/// A watch set of a wallet's `own` scripts, and of others and outpoints that no block has.
///
/// # Panics
/// If a script of the wallet's own cannot be watched.
#[must_use]
pub fn strangers_and(own: &[ScriptBuf], others: u32, outpoints: u32) -> WatchSet {
    let mut builder = WatchSetBuilder::new();
    for (script, number) in (0..others).map(strange_script).chain(own.iter().cloned()).zip(0..) {
        builder.add_script(script.as_bytes(), Origin::Script(number)).expect("it can be watched");
    }
    for number in 0..outpoints {
        let txid = Txid::from_byte_array(strange_bytes("outpoint", number));
        builder.add_outpoint(OutPoint { txid, vout: number % 8 }, None, Origin::Outpoint(number));
    }
    builder.build()
}
