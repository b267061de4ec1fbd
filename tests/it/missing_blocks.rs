//! Pruned chains, and those of nodes that began at an assumeutxo snapshot.

use rescan_client::ScanRequest;
use rescan_client::position::Height;
use rescan_client::report::Outcome;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene, patiently, scan};

/// A chain of 130 blocks that pays a wallet in the fifth and in each of the last 20, in files of a
/// few blocks.
fn long_paid_chain() -> (ChainBuilder, ScanRequest) {
    let wallet = TestWallet::new("bob");
    let mut chain = ChainBuilder::new();
    let script = wallet.script(ScriptKind::P2wpkh, 0);
    chain.mine(4).coinbase_to(&script).mine(106).pay(&script, 20);
    chain.file_bytes_max(4_096).xor([1, 2, 3, 4, 5, 6, 7, 8]);
    (chain, ScanRequest::new().keychain(wallet.descriptor(ScriptKind::P2wpkh)))
}

#[test]
fn a_range_that_reaches_below_a_pruned_chain_ends_before_any_report_and_says_from_where_it_can_be_had() {
    let (mut chain, request) = long_paid_chain();
    chain.prune_below(120);
    let scene = Scene::serve(chain, Manner::default());
    patiently(async {
        let client = scene.server.client().await;
        let found = scan(&client, request.clone()).await;
        let summary = found.summary();
        let Outcome::PrunedBelow(lowest) = summary.outcome else { panic!("{summary:?}") };
        assert_eq!((found.heights(), summary.blocks_scanned), (vec![], 0));
        // The file that holds block 120 begins a few blocks before it.
        assert!((111..=120).contains(&lowest.0), "{lowest}");
        assert_eq!(client.info().await.unwrap().chain.lowest_height, lowest);
        let found = scan(&client, request.clone().from_height(lowest)).await;
        assert_eq!(found.heights(), (lowest.0..=130).collect::<Vec<_>>());
        assert_eq!(found.summary().outcome, Outcome::Complete);
        let below = Height(lowest.0 - 1);
        assert_eq!(scan(&client, request.from_height(below)).await.summary().outcome, Outcome::PrunedBelow(lowest));
    });
}

#[test]
fn a_node_that_prunes_while_it_is_served_is_followed() {
    let (chain, request) = long_paid_chain();
    let mut scene = Scene::serve(chain, Manner { is_mapped: true, ..Manner::default() });
    patiently(async {
        let client = scene.server.client().await;
        assert_eq!(scan(&client, request.clone()).await.reports.len(), 21);
        scene.files.prune_below(125).unwrap();
        let Outcome::PrunedBelow(lowest) = scan(&client, request.clone()).await.summary().outcome else {
            panic!("the chain is pruned")
        };
        assert!((111..=125).contains(&lowest.0), "{lowest}");
        assert_eq!(scan(&client, request.from_height(lowest)).await.reports.len(), 131 - lowest.0 as usize);
    });
}

#[test]
fn a_gap_in_the_middle_ends_ranges_across_it_and_no_others_until_it_is_filled() {
    let (mut chain, request) = long_paid_chain();
    chain.omit(60..=114);
    let mut scene = Scene::serve(chain, Manner::default());
    patiently(async {
        let client = scene.server.client().await;
        for first in [0, 5, 114] {
            let across = scan(&client, request.clone().from_height(Height(first))).await;
            assert_eq!(across.summary().outcome, Outcome::PrunedBelow(Height(115)));
            assert!(across.reports.is_empty(), "block 5 is there, and is not reported: the range cannot be whole");
        }
        let below = scan(&client, request.clone().to_height(Height(59))).await;
        assert_eq!((below.heights(), below.summary().outcome), (vec![5], Outcome::Complete));
        let above = scan(&client, request.clone().from_height(Height(115))).await;
        assert_eq!(above.heights(), (115..=130).collect::<Vec<_>>());
        // The background sync arrives, in files after those of the tip.
        let blocks =
            (60..=114).map(|height| rescan_fixtures::chain_builder::Record::Block(scene.chain.hash_at(height)));
        scene.files.write(&scene.chain, &blocks.collect::<Vec<_>>()).unwrap();
        let whole = scan(&client, request.clone()).await;
        assert_eq!(whole.heights(), [5].into_iter().chain(111..=130).collect::<Vec<_>>());
        assert_eq!(whole.summary().outcome, Outcome::Complete);
    });
}
