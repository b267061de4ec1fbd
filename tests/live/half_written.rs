//! A node that ends while it writes a block: a part of the record is on disk, for certain, and
//! nothing of the rest.

use std::fs;
use std::path::Path;

use bitcoin::{BlockHash, Network};
use rescan_client::report::Outcome;
use rescan_fixtures::plain_reader::read_blocks;
use rescan_tests::{Manner, TestServer, eventually, patiently, scan};

use crate::scene::{LiveScene, PATIENCE};

/// A log would be the file that grows past the limit.
const NO_LOG: &str = "-nodebuglogfile";

/// The number of scans of the files that the node left behind.
const LOOKS: u32 = 3;

/// In how many places a record is cut.
const CUTS: usize = 7;

/// The bytes of the record that are on disk: a part of the magic; a part of the size; both; a part
/// of the header; all of it; a part of the coinbase; and all but the lock time, without which the
/// coinbase has another id.
fn cuts(record_bytes: u64) -> [u64; CUTS] {
    [2, 6, 8, 50, 88, 160, record_bytes - 4]
}

/// A block file of the node's without its obfuscation.
fn clear_bytes(blocks_dir: &Path) -> Vec<u8> {
    let mut bytes = fs::read(blocks_dir.join("blk00000.dat")).unwrap();
    let key = fs::read(blocks_dir.join("xor.dat")).unwrap();
    bytes.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    bytes
}

/// Where the record of this block begins and ends.
fn record_of(hash: BlockHash, blocks_dir: &Path) -> (u64, u64) {
    let blocks = read_blocks(blocks_dir, Network::Regtest.magic().to_bytes()).unwrap();
    let (span, _) = blocks.into_iter().find(|(_, block)| block.block_hash() == hash).expect("it is on disk");
    (u64::from(span.offset) - 8, span.end())
}

/// Ends the node after that many bytes of its next block, and asserts that exactly these are on
/// disk.
fn die_after(scene: &mut LiveScene, written: impl Fn(u64) -> u64) {
    let blocks_dir = scene.node.blocks_dir();
    // Blocks that pay the wallet are all of one size.
    let (begin, end) = record_of(scene.node.tip().1, &blocks_dir);
    let cut = end + written(end - begin);
    let before = clear_bytes(&blocks_dir);
    scene.node.die_writing(&scene.script, cut);
    let after = clear_bytes(&blocks_dir);
    let (end, cut) = (usize::try_from(end).unwrap(), usize::try_from(cut).unwrap());
    assert!(after[..end] == before[..end] && after[cut..] == before[cut..], "it wrote elsewhere");
    let (magic, half) = (Network::Regtest.magic().to_bytes(), &after[end..cut]);
    assert!(half.iter().zip(&magic).all(|(byte, magic)| byte == magic), "no record begins: {half:?}");
    assert_ne!(half, &before[end..cut], "nothing was written");
}

/// Asserts that scans return the chain up to this tip, and nothing of the block above it. This
/// holds for the server that followed and for a newly started one. The followers got no event.
async fn answers_as_before(scene: &LiveScene, tip: BlockHash, paid: &[u32]) {
    let newcomer = TestServer::beside_node(&scene.node, Manner::default());
    for server in [&scene.server, &newcomer] {
        let client = server.client().await;
        for _ in 0..LOOKS {
            let found = scan(&client, scene.watch()).await;
            assert_eq!((found.summary().outcome, found.summary().tip.hash), (Outcome::Complete, tip));
            assert_eq!(found.heights(), paid);
        }
    }
    for follower in &scene.followers {
        eventually("it believes what it did", PATIENCE, async || follower.believes(tip, paid).then_some(())).await;
    }
}

#[test]
fn a_node_that_ends_in_the_middle_of_a_block_is_answered_up_to_the_block_before_and_goes_on_from_there() {
    for obfuscation in ["-blocksxor=1", "-blocksxor=0"] {
        let Some(mut scene) = LiveScene::start(&[NO_LOG, obfuscation], Manner::default()) else { return };
        scene.pay(5);
        for place in 0..CUTS {
            patiently(async {
                scene.pay(1);
                scene.agrees().await;
                // The node writes its file information before it answers this call.
                scene.node.rpc(&["gettxoutsetinfo"]);
                let (tip, paid) = (scene.node.tip(), scene.paid_heights(0));
                die_after(&mut scene, |record_bytes| cuts(record_bytes)[place]);
                answers_as_before(&scene, tip.1, &paid).await;
                scene.node.restart();
                assert_eq!(scene.node.tip(), tip);
                scene.agrees().await;
                // In the place of the block that was not finished.
                scene.mine(2);
                scene.agrees().await;
            });
        }
    }
}

#[test]
fn a_node_that_ends_in_the_middle_of_a_block_and_forgets_those_before_is_followed_back_and_on() {
    for place in [1, 3, 5] {
        let Some(mut scene) = LiveScene::start(&[NO_LOG], Manner::default()) else { return };
        scene.pay(8);
        patiently(async {
            scene.agrees().await;
            let (tip, paid) = (scene.node.tip(), scene.paid_heights(0));
            die_after(&mut scene, |record_bytes| cuts(record_bytes)[place]);
            answers_as_before(&scene, tip.1, &paid).await;
            scene.node.restart();
            assert_eq!(scene.node.tip().0, 0, "the node had written its file information: the test shows nothing");
            scene.agrees().await;
            for _ in 0..3 {
                scene.mine(4);
                scene.agrees().await;
            }
        });
    }
}
