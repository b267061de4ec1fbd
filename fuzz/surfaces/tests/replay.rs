//! What fuzzing begins with, what it has found, and a little chance, on a stable compiler.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rescan_fuzz_surfaces::seeds::{SURFACES, Surface};

/// Changed copies of each seed. A fuzzer tries as many in a moment; this is to notice what breaks for nearly all of them.
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
fn blocks_that_are_damaged_are_walked_as_the_slow_reader_walks_them() {
    replay("block_walk");
}

#[test]
fn directories_that_are_damaged_are_walked_as_the_slow_reader_walks_them() {
    replay("record_walk");
}

#[test]
fn state_files_that_are_damaged_are_refused() {
    replay("state_file");
}

#[test]
fn messages_that_are_damaged_are_refused_or_read_as_they_are_written() {
    replay("wire");
}

#[test]
fn descriptors_that_are_damaged_are_refused_without_a_word_of_private_keys() {
    replay("descriptor");
}
