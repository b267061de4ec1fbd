//! Flipped bits on disk: which requests report them, and which are answered completely.

use rescan_client::position::Height;
use rescan_client::report::{FailureKind, Outcome};
use rescan_client::{Client, ScanRequest, Verify};
use rescan_fixtures::chain_builder::{ChainBuilder, Record};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, patiently, scan};

const MATCHED: u32 = 106;
const UNMATCHED: u32 = 103;

/// A wallet that is paid in one block, 106 of 110, and its request.
fn paid_once(chain: &mut ChainBuilder) -> ScanRequest {
    let wallet = TestWallet::new("alice");
    chain.mine(MATCHED - 1);
    chain.fund(&wallet.script(ScriptKind::P2tr, 3), bitcoin::Amount::from_sat(5_000));
    chain.mine(5);
    ScanRequest::new().keychain(wallet.descriptor(ScriptKind::P2tr))
}

/// Serves that chain, laid out as `lay_out` has it, with a bit flipped in the block at `height`;
/// read in each way there is.
fn flipped_at(
    height: u32,
    lay_out: impl Fn(&mut ChainBuilder),
    mut ask: impl AsyncFnMut(&Scene, &Client, &ScanRequest),
) {
    for is_mapped in [false, true] {
        let mut chain = ChainBuilder::new();
        let request = paid_once(&mut chain);
        lay_out(&mut chain);
        let mut scene = Scene::write(chain, Manner { is_mapped, ..Manner::default() });
        scene.flip_a_bit_at(height);
        scene.server.start();
        patiently(async { ask(&scene, &scene.server.client().await, &request).await });
    }
}

#[test]
fn a_flipped_bit_in_a_reported_block_is_corrupt_with_file_and_offset() {
    let in_files = |chain: &mut ChainBuilder| {
        chain.xor([7; 8]).file_bytes_max(4_096);
    };
    flipped_at(MATCHED, in_files, async |scene, client, request| {
        for verify in [Verify::Reported, Verify::All] {
            let found = scan(client, request.clone().verify(verify)).await;
            assert_eq!(found.heights(), [] as [u32; 0], "a false report");
            let failure = found.failure();
            assert_eq!(failure.kind, FailureKind::CorruptBlock, "{failure}");
            let (at, span) = (failure.at.as_ref().unwrap(), scene.span_at(MATCHED));
            assert_eq!(at.height.0, MATCHED);
            assert_eq!(at.offset, u64::from(span.offset));
            assert_eq!(at.path, scene.server.blocks_dir().join(format!("blk{:05}.dat", span.file.0)));
        }
        // With `Verify::None` the disk is trusted.
        let found = scan(client, request.clone().verify(Verify::None)).await;
        assert_eq!(found.heights(), [MATCHED]);
    });
}

#[test]
fn a_flipped_bit_in_a_block_that_is_not_reported_is_noticed_only_where_all_are_proven() {
    flipped_at(
        UNMATCHED,
        |_in_one_file| (),
        async |_scene, client, request| {
            let found = scan(client, request.clone()).await;
            assert_eq!((found.heights(), found.summary().outcome), (vec![MATCHED], Outcome::Complete));
            let found = scan(client, request.clone().verify(Verify::All)).await;
            assert_eq!(found.failure().at.as_ref().unwrap().height.0, UNMATCHED);
        },
    );
}

#[test]
fn a_second_copy_of_a_damaged_block_saves_the_day() {
    let copied = |chain: &mut ChainBuilder| {
        let copy = Record::Block(chain.hash_at(MATCHED));
        chain.insert_after(chain.hash_at(MATCHED + 2), copy);
    };
    flipped_at(MATCHED, copied, async |scene, client, request| {
        for verify in [Verify::Reported, Verify::All] {
            let found = scan(client, request.clone().verify(verify)).await;
            assert_eq!((found.heights(), found.summary().outcome), (vec![MATCHED], Outcome::Complete));
            assert_eq!(found.reports[0].hash, scene.chain.hash_at(MATCHED));
        }
    });
}

#[test]
fn a_flipped_bit_in_a_header_takes_its_block_out_of_the_chain_and_is_no_failure() {
    let mut chain = ChainBuilder::new();
    let request = paid_once(&mut chain);
    let mut scene = Scene::write(chain, Manner::default());
    let span = scene.span_at(MATCHED - 1);
    // In the hash of the block's parent.
    scene.files.files().flip(span, 10, 1).unwrap();
    scene.server.start();
    patiently(async {
        let client = scene.server.client().await;
        // The blocks above it are placed by the heights in their coinbases, as on a pruned chain.
        let found = scan(&client, request.clone()).await;
        let summary = found.summary();
        assert_eq!((found.heights(), summary.outcome), (vec![], Outcome::PrunedBelow(Height(MATCHED))));
        assert_eq!(summary.tip.hash, scene.chain.tip_hash());
        let above = scan(&client, request.clone().from_height(Height(MATCHED))).await;
        assert_eq!((above.heights(), above.summary().outcome), (vec![MATCHED], Outcome::Complete));
    });
}
