//! Every implementation computes the hashes of `bitcoin_hashes`, whatever messages share its lanes.

#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]

use bitcoin::hashes::{Hash, sha256d};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use rescan_hash::{Digest, Implementation, Messages};

const ALL: [fn() -> Implementation; 2] = [Implementation::fastest, || Implementation::BitcoinHashes];

fn expected(message: &[u8]) -> Digest {
    sha256d::Hash::hash(message).to_byte_array()
}

/// Hashes `messages`, and appends to a list with one digest.
fn hashed(implementation: Implementation, batch: &mut Messages, messages: &[Vec<u8>]) -> Vec<Digest> {
    batch.clear();
    for message in messages {
        batch.push(message.len()).copy_from_slice(message);
    }
    assert_eq!((batch.len(), batch.is_empty()), (messages.len(), messages.is_empty()));
    let mut digests = vec![[7; 32]];
    implementation.hash_messages(batch, &mut digests);
    assert_eq!(digests.remove(0), [7; 32]);
    digests
}

fn assert_hashed(batch: &mut Messages, messages: &[Vec<u8>]) -> TestCaseResult {
    let expected: Vec<Digest> = messages.iter().map(|message| expected(message)).collect();
    for implementation in ALL {
        prop_assert_eq!(&hashed(implementation(), batch, messages), &expected, "{}", implementation());
    }
    Ok(())
}

/// A message of `length` bytes in which every position differs from its neighbours.
fn counting(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 256 + length) as u8).collect()
}

/// Mostly short messages, and those whose padding just fits or just does not.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let near_a_block_end = (0..80_usize, 0..12_usize).prop_map(|(blocks, off)| (blocks * 64 + 53 + off).min(5000));
    let length = prop_oneof![4 => 0..300_usize, 4 => near_a_block_end, 1 => 0..5000_usize];
    length.prop_flat_map(|length| prop::collection::vec(any::<u8>(), length))
}

proptest! {
    #[test]
    fn messages_of_any_lengths_in_any_number_have_the_hashes_of_bitcoin_hashes(
        batches in prop::collection::vec(prop::collection::vec(message(), 0..24), 1..3)
    ) {
        // Batches in the same memory: nothing of an earlier one may remain.
        let mut batch = Messages::default();
        for messages in batches {
            assert_hashed(&mut batch, &messages)?;
        }
    }

    #[test]
    fn the_level_above_is_the_hashes_of_pairs(level in prop::collection::vec(any::<Digest>(), 0..70)) {
        let expected: Vec<Digest> = level.chunks_exact(2).map(|pair| expected(&pair.concat())).collect();
        for implementation in ALL {
            let mut above = level.clone();
            implementation().hash_pairs(&mut above);
            prop_assert_eq!(&above, &expected, "{}", implementation());
        }
    }
}

#[test]
fn every_length_up_to_three_blocks_is_hashed_beside_every_other() {
    let mut batch = Messages::default();
    for length in 0..200 {
        let messages: Vec<Vec<u8>> = (0..200).flat_map(|other| [counting(length), counting(other)]).collect();
        assert_hashed(&mut batch, &messages).unwrap();
    }
}

/// The examples of FIPS 180-4, hashed a second time; the third is Bitcoin's genesis header.
#[test]
fn known_answers() {
    let genesis = bitcoin::constants::genesis_block(bitcoin::Network::Bitcoin).header;
    let messages = [Vec::new(), b"abc".to_vec(), bitcoin::consensus::serialize(&genesis), vec![b'a'; 1_000_000]];
    let known = [
        "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456",
        "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358",
        "6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000",
        "80d1189477563e1b5206b2749f1afe4807e5705e8bd77887a60187a712156688",
    ];
    for implementation in ALL {
        let digests = hashed(implementation(), &mut Messages::default(), &messages);
        let hex = |digest: &Digest| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(digests.iter().map(hex).collect::<Vec<_>>(), known, "{}", implementation());
    }
}

#[test]
fn the_fastest_implementation_has_a_name() {
    assert_eq!(Implementation::BitcoinHashes.to_string(), "bitcoin_hashes, one message at a time");
    let fastest = Implementation::fastest().to_string();
    assert_eq!(fastest.starts_with("SHA-NI"), fastest != Implementation::BitcoinHashes.to_string());
}
