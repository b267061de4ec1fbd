//! What does a busy wallet cost, one with a match in every block, against a quiet one? The project's bars, in one run.
//!
//! Both look at the same blocks in the same memory, a bulk chain under an XOR key, with watch sets of the same size: the busy
//! one holds the scripts of the wallet in the chain, the quiet one those of nobody. One thread, no socket, no files. Nine
//! rounds each time every arm once, and medians are compared.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rescan_benches::{WATCHED_OUTPOINTS, WATCHED_SCRIPTS, input_bytes, is_short, strangers};
use rescan_core::blocks::obfuscation::{ObfuscationKey, RawBlock};
use rescan_core::blocks::proof::Prover;
use rescan_core::report::{Origin, TransactionReport};
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::matching::{BlockPlace, Matcher};
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};
use rescan_fixtures::bulk::{BulkBlocks, BulkSpec, Busyness, ChainLength, Shape};
use rescan_hash::Implementation;

/// No byte of it is zero or equals another.
const KEY: [u8; 8] = [0x1f, 0xa2, 0x35, 0xc8, 0x5b, 0xee, 0x71, 0x94];

fn main() {
    // `cargo test` runs benches too, to see that they run; what they measure is asked for with `cargo bench`.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    println!("hashing: {}", Implementation::fastest());
    println!("| chain | quiet walk | busy walk | of quiet | hashing | quiet walk + hashing | busy, proven | of that |");
    println!("|---|---|---|---|---|---|---|---|");
    measure("mainnet's shape", Shape::Mainnet);
    measure("small transactions", Shape::SmallTransactions);
}

/// A chain with a busy wallet, and who looks for what in it.
struct Scene {
    chain: BulkBlocks,
    key: ObfuscationKey,
    quiet: WatchSet,
    busy: WatchSet,
}

impl Scene {
    fn new(shape: Shape) -> Self {
        let mut spec = BulkSpec::new(ChainLength::Bytes(input_bytes()));
        (spec.shape, spec.busyness) = (shape, Busyness::Busy);
        let mut wallet = WatchSetBuilder::new();
        let scripts = spec.wallet_scripts();
        for (script, number) in scripts.iter().zip(0..) {
            wallet.add_script(script.as_bytes(), Origin::Script(number)).expect("it can be watched");
        }
        let others = WATCHED_SCRIPTS - u32::try_from(scripts.len()).expect("the wallet has 4,000 scripts");
        let mut chain = BulkBlocks::new(spec);
        let key = ObfuscationKey::from_bytes(KEY);
        key.apply(&mut chain.bytes);
        let busy = strangers(others, WATCHED_OUTPOINTS).extended(wallet);
        Self { chain, key, quiet: strangers(WATCHED_SCRIPTS, WATCHED_OUTPOINTS), busy }
    }

    fn blocks(&self) -> impl Iterator<Item = RawBlock<'_>> {
        let spans = self.chain.spans.iter().cloned();
        spans.map(|span| RawBlock::new(&self.chain.bytes[span.clone()], self.key.advanced(span.start as u64)))
    }

    /// Matches every block against `watch`, hands each with its matches to `take`, and counts the blocks that had any.
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
    let scene = Scene::new(shape);
    let matched = scene.walk(&scene.busy, |_, _| {});
    assert_eq!(matched, scene.chain.spans.len() - 1, "every block but genesis has a match");
    assert_eq!(scene.walk(&scene.quiet, |_, _| {}), 0);
    let mut times: [Vec<Duration>; 4] = Default::default();
    let rounds = if is_short() { 1 } else { 9 };
    for _ in 0..rounds {
        let arms: [&dyn Fn() -> usize; 4] = [
            &|| scene.walk(&scene.quiet, |_, _| {}),
            &|| scene.walk(&scene.busy, |_, _| {}),
            &|| scene.prove(),
            &|| scene.walk_and_prove(),
        ];
        for (arm, times) in arms.iter().zip(&mut times) {
            let start = Instant::now();
            black_box(arm());
            times.push(start.elapsed());
        }
    }
    let [quiet, busy, hashing, proven] = times.map(|mut times| {
        times.sort_unstable();
        times[rounds / 2].as_secs_f64()
    });
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
