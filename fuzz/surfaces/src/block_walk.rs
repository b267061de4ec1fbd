//! One block: the walk, the views, the match and the proof, against their slow counterpart and the
//! `bitcoin` crate.
//!
//! Input: eight bytes of key, one byte for the block's offset in a file, and the block without
//! obfuscation. Some blocks pass the walk but not the `bitcoin` crate (for example, lengths not in
//! their shortest form). For those, only the two readers of this project must agree.

use std::collections::HashSet;

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{Amount, Block, OutPoint, ScriptBuf, Txid};
use rescan_core::blocks::cursor::{Cursor, Malformed};
use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::blocks::proof::{Prover, Unproven};
use rescan_core::blocks::transaction::TxView;
use rescan_core::blocks::walk::{Probe, SHORT_SCRIPT_BYTES, TxBounds, walk};
use rescan_core::chain::coinbase_height::coinbase_height;
use rescan_core::position::Height;
use rescan_core::report::{Origin, TransactionReport};
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::matching::{BlockPlace, Matcher};
use rescan_core::watching::watch_set::{SCRIPT_BYTES_MAX, WatchSet, WatchSetBuilder};
use rescan_fixtures::oracle::{self, Watched};

/// Offset of the merkle root in a block, in bytes.
const MERKLE_ROOT: std::ops::Range<usize> = 36..68;

/// Walks, matches and proves a block with every reader.
///
/// # Panics
/// If two readers disagree on a block.
pub fn block_walk(data: &[u8]) {
    let Some((key, rest)) = data.split_first_chunk::<8>() else { return };
    let Some((offset, clear)) = rest.split_first() else { return };
    let key = ObfuscationKey::from_bytes(*key).advanced(u64::from(*offset));
    let mut masked = clear.to_vec();
    key.apply(&mut masked);
    let (raw, plain) = (RawBlock::new(&masked, key), RawBlock::clear(clear));

    let seen = Seen::of(raw);
    assert_eq!(seen, Seen::of(plain), "a key changes nothing");
    let views = views(clear);
    assert_eq!(seen.outcome.is_ok(), views.is_ok(), "the walk says {:?}, the cursor {:?}", seen.outcome, views.err());
    if let Ok(views) = &views {
        seen.assert_is(views);
    }
    // The bitcoin crate accepts blocks that Bitcoin Core does not: without transactions, and with
    // transactions without inputs.
    let has_inputs = |block: &Block| block.txdata.iter().all(|transaction| !transaction.input.is_empty());
    let block = deserialize::<Block>(clear).ok().filter(|block| !block.txdata.is_empty() && has_inputs(block));
    if let Some(block) = &block {
        let views = views.as_ref().expect("what the bitcoin crate reads is read");
        assert_views_are(views, block);
        if let Some(height) = pushed_height(block) {
            assert_eq!(coinbase_height(clear), Some(height));
        }
    }
    let _ = coinbase_height(clear);

    match_both(raw, plain, views.as_deref(), block.as_ref());
    prove_both(raw, plain, views.as_deref(), block.as_ref());
}

/// Everything that a walk passes to its probe.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    inputs: Vec<(u64, u32)>,
    outputs: Vec<SeenOutput>,
    bounds: Vec<TxBounds>,
    outcome: Result<(), Malformed>,
}

#[derive(Debug, PartialEq, Eq)]
enum SeenOutput {
    Word(u64),
    Short(Vec<u8>),
}

impl Seen {
    fn of(block: RawBlock<'_>) -> Self {
        let mut seen = Self { inputs: Vec::new(), outputs: Vec::new(), bounds: Vec::new(), outcome: Ok(()) };
        let outcome = walk(block, &mut seen);
        Self { outcome, ..seen }
    }

    fn assert_is(&self, views: &[TxView<'_>]) {
        let prevouts = views.iter().flat_map(TxView::inputs).map(|input| input.prevout);
        let inputs: Vec<(u64, u32)> = prevouts.map(|prevout| (txid_word(&prevout), prevout.vout)).collect();
        assert_eq!(self.inputs, inputs);
        let outputs = views.iter().flat_map(TxView::outputs).map(|output| seen_output(output.script_pubkey));
        assert_eq!(self.outputs, outputs.collect::<Vec<_>>());
        let indexes = self.bounds.iter().map(|bounds| bounds.tx_index);
        assert!(indexes.eq((0..).take(views.len())), "every transaction is shown, in order");
        assert!(self.bounds.windows(2).all(|pair| pair[0].end == pair[1].start), "they follow each other");
    }
}

impl Probe for Seen {
    fn input(&mut self, txid_word: u64, vout: u32) -> bool {
        self.inputs.push((txid_word, vout));
        true
    }

    fn output(&mut self, word: u64) -> bool {
        self.outputs.push(SeenOutput::Word(word));
        true
    }

    fn short_output(&mut self, script: &[u8]) -> bool {
        self.outputs.push(SeenOutput::Short(script.to_vec()));
        true
    }

    fn found(&mut self, transaction: TxBounds) {
        self.bounds.push(transaction);
    }
}

fn seen_output(script: &[u8]) -> SeenOutput {
    match script.len().checked_sub(SHORT_SCRIPT_BYTES) {
        Some(at) => SeenOutput::Word(u64::from_le_bytes(*script[at..].first_chunk().expect("ten bytes are left"))),
        None => SeenOutput::Short(script.to_vec()),
    }
}

fn txid_word(outpoint: &OutPoint) -> u64 {
    u64::from_le_bytes(*outpoint.txid.as_byte_array().first_chunk().expect("a txid has 32 bytes"))
}

/// The transactions of a block without obfuscation, read field by field.
fn views(clear: &[u8]) -> Result<Vec<TxView<'_>>, Malformed> {
    let mut cursor = Cursor::new(clear);
    cursor.take(80)?;
    let count = cursor.compact_size()?;
    if count == 0 {
        return Err(Malformed::NoTransactions);
    }
    let mut views = Vec::new();
    for _ in 0..count {
        let start = cursor.position();
        let view = TxView::read(&mut cursor, clear)?;
        let whole = TxView::parse(&clear[start..cursor.position()]).expect("it was read from there");
        assert_eq!(whole.txid(), view.txid());
        views.push(view);
    }
    match cursor.is_at_end() {
        true => Ok(views),
        false => Err(Malformed::TrailingBytes { end: cursor.position(), size: clear.len() }),
    }
}

fn assert_views_are(views: &[TxView<'_>], block: &Block) {
    assert_eq!(views.len(), block.txdata.len());
    for (view, transaction) in views.iter().zip(&block.txdata) {
        assert_eq!(view.txid(), transaction.compute_txid());
        let prevouts = transaction.input.iter().map(|input| input.previous_output);
        assert!(view.inputs().map(|input| input.prevout).eq(prevouts));
        let outputs = transaction.output.iter().map(|output| (output.value.to_sat(), output.script_pubkey.as_bytes()));
        assert!(view.outputs().map(|output| (output.value_sat, output.script_pubkey)).eq(outputs));
    }
}

/// The height at the start of the coinbase, if it is pushed as Bitcoin Core pushes it.
fn pushed_height(block: &Block) -> Option<Height> {
    let script = block.txdata.first()?.input.first()?.script_sig.as_bytes();
    let number = match script.first()? {
        opcode @ 0x51..=0x60 => i64::from(opcode - 0x50),
        _ => pushed_number(script)?,
    };
    let pushed = ScriptBuf::builder().push_int(number).into_script();
    let height = u32::try_from(number).ok().filter(|height| *height > 0)?;
    script.starts_with(pushed.as_bytes()).then_some(Height(height))
}

/// The number in a push of one to five bytes, in any form.
fn pushed_number(script: &[u8]) -> Option<i64> {
    let (&size, rest) = script.split_first()?;
    let bytes = rest.get(..usize::from(size)).filter(|bytes| (1..=5).contains(&bytes.len()))?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | i64::from(*byte)))
}

/// The watch set: every third script of the block, and the first coin that its last transaction
/// spends.
fn watched(views: &[TxView<'_>]) -> Watched {
    let scripts = views.iter().flat_map(TxView::outputs).map(|output| output.script_pubkey).step_by(3);
    let scripts = scripts.filter(|script| (1..=SCRIPT_BYTES_MAX).contains(&script.len())).take(16);
    let outpoint = views.last().and_then(|view| view.inputs().next()).map(|input| (input.prevout, None));
    Watched {
        scripts: scripts.map(|script| ScriptBuf::from_bytes(script.to_vec())).collect(),
        outpoints: outpoint.into_iter().collect(),
    }
}

fn compiled(watched: &Watched) -> WatchSet {
    let mut builder = WatchSetBuilder::new();
    for (number, script) in (0..).zip(&watched.scripts) {
        builder.add_script(script.as_bytes(), Origin::Script(number)).expect("a script of fit size");
    }
    for (number, (outpoint, _)) in (0..).zip(&watched.outpoints) {
        builder.add_outpoint(*outpoint, None, Origin::Outpoint(number));
    }
    builder.build()
}

fn match_both(raw: RawBlock<'_>, plain: RawBlock<'_>, views: Result<&[TxView<'_>], &Malformed>, block: Option<&Block>) {
    let watched = watched(views.unwrap_or_default());
    let watch = compiled(&watched);
    let matched = |block| Matcher::new(&watch).match_block(block, BlockPlace::Later, &mut CoinMap::new(&watch));
    let reports = matched(raw);
    assert_eq!(reports, matched(plain), "a key changes no match");
    assert_eq!(reports.is_ok(), views.is_ok());
    let (Ok(reports), Some(block)) = (reports, block) else { return };
    // No valid block spends a coin twice or has a transaction twice, and the oracle assumes valid
    // blocks.
    let mut prevouts = block.txdata.iter().flat_map(|tx| &tx.input).map(|input| input.previous_output);
    let mut seen = HashSet::new();
    let mut txids = HashSet::new();
    if prevouts.all(|prevout| seen.insert(prevout)) && block.txdata.iter().all(|tx| txids.insert(tx.compute_txid())) {
        let answer = oracle::scan([(1, block)], &watched);
        assert_eq!(told(&reports), answer.transactions.iter().map(told_by_oracle).collect::<Vec<_>>());
    }
}

/// A match in the form that the oracle has too.
type Told = (u32, Txid, Vec<(u32, Amount, ScriptBuf)>, Vec<(u32, OutPoint, Option<Amount>)>);

fn told(reports: &[TransactionReport]) -> Vec<Told> {
    let one = |report: &TransactionReport| {
        let received = report.received.iter().map(|it| (it.vout, it.value, it.script_pubkey.clone())).collect();
        let spent = report.spent.iter().map(|it| (it.vin, it.prevout, it.value)).collect();
        (report.tx_index, report.txid, received, spent)
    };
    reports.iter().map(one).collect()
}

fn told_by_oracle(matched: &oracle::MatchedTransaction) -> Told {
    let received = matched.received.iter();
    let received = received.map(|it| (it.vout, it.output.value, it.output.script_pubkey.clone())).collect();
    let spent = matched.spent.iter().map(|it| (it.vin, it.prevout, it.output.as_ref().map(|output| output.value)));
    (matched.tx_index, matched.txid, received, spent.collect())
}

fn prove_both(raw: RawBlock<'_>, plain: RawBlock<'_>, views: Result<&[TxView<'_>], &Malformed>, block: Option<&Block>) {
    let mut prover = Prover::default();
    let proven = prover.prove(raw, &[]);
    assert_eq!(proven, Prover::default().prove(plain, &[]), "a key changes no proof");
    let Ok(views) = views else {
        assert!(matches!(proven, Err(Unproven::Malformed(_))), "{proven:?}");
        return;
    };
    let txids: Vec<[u8; 32]> = views.iter().map(|view| view.txid().to_byte_array()).collect();
    assert!(prover.txids().map(Txid::to_byte_array).eq(txids.iter().copied()));
    let root = merkle_root(&txids);
    assert_eq!(proven.is_ok(), root.is_some_and(|root| plain.bytes()[MERKLE_ROOT] == root), "{proven:?}");
    if let Some(block) = block {
        assert!(proven.is_err() || block.check_merkle_root());
        assert_eq!(serialize(block).len(), plain.bytes().len());
    }
    // Hardly any input has the right root by chance. With the root corrected, every block without
    // repetition is proven.
    let Some(root) = root else { return };
    let mut rooted = plain.bytes().to_vec();
    rooted[MERKLE_ROOT].copy_from_slice(&root);
    assert_eq!(prover.prove(RawBlock::clear(&rooted), &[]), Ok(()));
}

/// The merkle root, level by level; none if a level has two equal neighbours that are paired.
fn merkle_root(level: &[[u8; 32]]) -> Option<[u8; 32]> {
    if let [root] = level {
        return Some(*root);
    }
    let mut above = Vec::new();
    for pair in level.chunks(2) {
        let (left, right) = (pair[0], *pair.get(1).unwrap_or(&pair[0]));
        if pair.len() == 2 && left == right {
            return None;
        }
        above.push(sha256d::Hash::hash(&[left, right].concat()).to_byte_array());
    }
    merkle_root(&above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_are_proven_blocks_with_heights() {
        for seed in crate::seeds::block_walk() {
            let clear = &seed[9..];
            assert!(deserialize::<Block>(clear).is_ok_and(|block| block.check_merkle_root()));
            assert!(coinbase_height(clear).is_some_and(|height| height > Height(0)));
        }
    }
}
