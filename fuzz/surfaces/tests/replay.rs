//! The seeds, the findings, and a few random changes of them, on a stable compiler.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rescan_fuzz_surfaces::seeds::{SURFACES, Surface};

/// Changed copies of each seed. A fuzzer tries as many in a moment; this detects failures of nearly
/// all of them.
const CHANGED_COPIES: usize = 60;

fn surface(name: &str) -> Surface {
    SURFACES.into_iter().find(|surface| surface.name == name).expect("a surface of that name")
}

fn replay(name: &str) {
    let Surface { run, seeds, .. } = surface(name);
    let findings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../findings").join(name);
    for finding in fs::read_dir(findings).into_iter().flatten() {
        run(&fs::read(finding.unwrap().path()).unwrap());
    }
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for seed in seeds() {
        run(&seed);
        for _ in 0..CHANGED_COPIES {
            let mut changed = seed.clone();
            for _ in 0..random.random_range(1..4) {
                if changed.is_empty() {
                    break;
                }
                let at = random.random_range(0..changed.len());
                match random.random_range(0..4) {
                    0 => changed[at] ^= 1 << random.random_range(0..8),
                    1 => changed[at] = [0, 1, 0xfd, 0xfe, 0xff][random.random_range(0..5)],
                    2 => drop(changed.drain(at..(at + random.random_range(1..9)).min(changed.len()))),
                    _ => changed.truncate(at),
                }
            }
            run(&changed);
        }
    }
}

#[test]
fn damaged_blocks_are_walked_as_by_the_slow_reader() {
    replay("block_walk");
}

#[test]
fn damaged_directories_are_walked_as_by_the_slow_reader() {
    replay("record_walk");
}

#[test]
fn damaged_state_files_are_refused() {
    replay("state_file");
}

#[test]
fn damaged_messages_are_refused_or_survive_a_round_trip() {
    replay("wire");
}

#[test]
fn damaged_descriptors_are_refused_without_quoting_private_keys() {
    replay("descriptor");
}
