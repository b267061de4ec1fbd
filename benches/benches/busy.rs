//! How much more does a busy wallet cost, with a match in every block, than a quiet one? The
//! project's targets, in one run.
//!
//! Both scan the same blocks in the same memory, an XORed bulk chain, with watch sets of the same
//! size: the busy one holds the scripts of the chain's wallet, the quiet one scripts that do not
//! occur. One thread, no socket, no files. Medians of nine interleaved rounds.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use rescan_benches::{KEY, WATCHED_OUTPOINTS, WATCHED_SCRIPTS, absent_watch_set, input_bytes, is_measuring, medians};
use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::blocks::proof::Prover;
use rescan_core::report::{Origin, TransactionReport};
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::matching::{BlockPlace, Matcher};
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};
use rescan_fixtures::bulk::{BulkBlocks, BulkSpec, Busyness, ChainLength, Shape};
use rescan_hash::Implementation;

fn main() {
    if !is_measuring() {
        return;
    }
    println!("hashing: {}", Implementation::fastest());
    println!("| chain | quiet walk | busy walk | of quiet | hashing | quiet walk + hashing | busy, proven | of that |");
    println!("|---|---|---|---|---|---|---|---|");
    measure("mainnet's shape", Shape::Mainnet);
    measure("small transactions", Shape::SmallTransactions);
}

/// A chain with a busy wallet, and the watch sets of both wallets.
struct BusyChain {
    bulk: BulkBlocks,
    key: ObfuscationKey,
    quiet: WatchSet,
    busy: WatchSet,
}

impl BusyChain {
    fn new(shape: Shape) -> Self {
        let mut spec = BulkSpec::new(ChainLength::Bytes(input_bytes()));
        (spec.shape, spec.busyness) = (shape, Busyness::Busy);
        let mut wallet = WatchSetBuilder::new();
        let scripts = spec.wallet_scripts();
        for (script, number) in scripts.iter().zip(0..) {
            wallet.add_script(script.as_bytes(), Origin::Script(number)).expect("it can be watched");
        }
        let others = WATCHED_SCRIPTS - u32::try_from(scripts.len()).expect("the wallet has 4,000 scripts");
        let mut bulk = BulkBlocks::new(spec);
        let key = ObfuscationKey::from_bytes(KEY);
        key.apply(&mut bulk.bytes);
        let busy = absent_watch_set(others, WATCHED_OUTPOINTS).extended(wallet);
        Self { bulk, key, quiet: absent_watch_set(WATCHED_SCRIPTS, WATCHED_OUTPOINTS), busy }
    }

    fn blocks(&self) -> impl Iterator<Item = RawBlock<'_>> {
        let spans = self.bulk.spans.iter().cloned();
        spans.map(|span| RawBlock::new(&self.bulk.bytes[span.clone()], self.key.advanced(span.start as u64)))
    }

    /// Matches every block against `watch`, calls `take` with the matches of each, and counts the
    /// blocks with any.
    fn walk(&self, watch: &WatchSet, mut take: impl FnMut(RawBlock<'_>, &[TransactionReport])) -> usize {
        let (mut coins, mut matcher) = (CoinMap::new(watch), Matcher::new(watch));
        let matched = self.blocks().filter(|block| {
            let found = matcher.match_block(*block, BlockPlace::Later, &mut coins).expect("inputs are whole blocks");
            take(*block, &found);
            !found.is_empty()
        });
        matched.count()
    }

    fn prove(&self) -> usize {
        let mut prover = Prover::default();
        self.blocks().skip(1).map(|block| prover.prove(block, &[]).expect("inputs are whole blocks")).count()
    }

    fn walk_and_prove(&self) -> usize {
        let mut prover = Prover::default();
        self.walk(&self.busy, |block, found| {
            if !found.is_empty() {
                prover.prove(block, found).expect("inputs are whole blocks");
            }
        })
    }
}

fn measure(name: &str, shape: Shape) {
    let chain = BusyChain::new(shape);
    let matched = chain.walk(&chain.busy, |_, _| {});
    assert_eq!(matched, chain.bulk.spans.len() - 1, "every block but genesis has a match");
    assert_eq!(chain.walk(&chain.quiet, |_, _| {}), 0);
    let quiet = || chain.walk(&chain.quiet, |_, _| {});
    let busy = || chain.walk(&chain.busy, |_, _| {});
    let hashing = || chain.prove();
    let proven = || chain.walk_and_prove();
    let [quiet, busy, hashing, proven] = medians([&quiet, &busy, &hashing, &proven]).map(|time| time.as_secs_f64());
    println!(
        "| {name}, {matched} blocks | {:.1} ms | {:.1} ms | {:.2} | {:.1} ms | {:.1} ms | {:.1} ms | {:.2} |",
        quiet * 1e3,
        busy * 1e3,
        busy / quiet,
        hashing * 1e3,
        (quiet + hashing) * 1e3,
        proven * 1e3,
        proven / (quiet + hashing)
    );
}
