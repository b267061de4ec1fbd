//! Scans whose wallet or connection goes away at any point.

use std::time::Duration;

use futures::StreamExt;
use rescan_client::bitcoin::Amount;
use rescan_client::report::{KeychainUse, Outcome};
use rescan_client::{GivenKeychain, RangeEnd};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::dice::Dice;
use rescan_fixtures::test_wallet::ScriptKind;
use rescan_tests::{Manner, Scene, patiently};

use crate::{Heard, assert_same, at_once, busy, new, request, run, run_through, script, wallet};

fn often() -> Duration {
    Duration::from_millis(1)
}

#[test]
fn a_scan_in_two_parts_hears_what_one_hears_and_its_summary_is_of_both() {
    let mut chain = ChainBuilder::new();
    busy(&mut chain, 60);
    let half = chain.tip_height() - 30;
    let scene = Scene::serve(chain, Manner::default());
    patiently(async {
        let client = scene.server.client().await;
        let (expected, summary) = at_once(&client, &request()).await;
        let mut heard = Heard::default();
        let mut first = request();
        first.range.to = RangeEnd::Height(rescan_client::position::Height(half));
        let (checkpoint, _) = run_through(&client, &first, new(&client, &first), &mut heard).await;
        assert_eq!(checkpoint.scanned_to().unwrap().height.0, half);
        let parts = heard.transactions.len();
        let (checkpoint, last) = run_through(&client, &request(), checkpoint, &mut heard).await;
        assert!(0 < parts && parts < heard.transactions.len());
        assert_eq!(heard, expected);
        assert_same(&last, &summary);
        assert_eq!(last.blocks_scanned, 30, "the first part is not walked again");
        // A third time there is nothing to walk, and nothing is forgotten.
        let (again, last) = run_through(&client, &request(), checkpoint.clone(), &mut heard).await;
        assert_eq!(heard, expected);
        assert_eq!(again, checkpoint);
        assert_same(&last, &summary);
    });
}

/// Every 20th index up to 1,300, the highest first: beyond the first look-ahead of the server.
fn outrunning() -> ChainBuilder {
    let wallet = wallet();
    let mut chain = ChainBuilder::new();
    let mut coins = Vec::new();
    for index in (0..=1_300u32).rev().step_by(20) {
        let coin = chain.fund(&wallet.script(ScriptKind::P2wpkh, index), Amount::from_sat(8_000));
        chain.mine_block();
        coins.push(coin);
        if coins.len() % 4 == 0 {
            let coin = coins.remove(coins.len() / 2);
            let mut output = coin.output.clone();
            output.value = Amount::from_sat(5_000);
            chain.spend([&wallet], &[coin], vec![output]);
            chain.mine_block();
        }
    }
    chain
}

#[test]
fn however_often_it_is_broken_off_the_union_is_that_of_one_scan_late_reports_included() {
    let scene = Scene::serve(outrunning(), Manner::default());
    let descriptor = wallet().descriptor(ScriptKind::P2wpkh);
    let request = crate::ScanRequest::new().keychain(GivenKeychain::new(descriptor).gap_limit(20)).mark_every(often());
    patiently(async {
        let client = scene.server.client().await;
        let (expected, summary) = at_once(&client, &request).await;
        assert_eq!(summary.keychains, [KeychainUse::LastUsed(1_300)]);
        assert!(summary.passes > 1, "nothing came late");
        let mut dice = Dice::new(11, 0);
        for round in 0..12 {
            let mut heard = Heard::default();
            let mut checkpoint = new(&client, &request);
            let mut breaks = 0;
            let last = loop {
                // The fourth time it may go through.
                let events = if breaks < 4 { 1 + dice.index(90) } else { usize::MAX };
                let ended = run(&client, &request, checkpoint, &mut heard, events).await;
                if let Some(summary) = ended.summary {
                    break summary;
                }
                breaks += 1;
                // The wallet died, or only its connection.
                checkpoint = if dice.below(2) == 0 { ended.saved } else { ended.latest };
            };
            assert_eq!(heard, expected, "round {round}");
            assert_same(&last, &summary);
        }
    });
}

#[test]
fn a_cancelled_scan_is_gone_on_with() {
    let mut chain = ChainBuilder::new();
    busy(&mut chain, 300);
    let scene = Scene::serve(chain, Manner { workers: 1, ..Manner::default() });
    let request = request().mark_every(often());
    patiently(async {
        let client = scene.server.client().await;
        let (expected, summary) = at_once(&client, &request).await;
        let mut heard = Heard::default();
        let mut scan = client.resume(request.clone(), new(&client, &request)).unwrap();
        let mut outcome = None;
        while let Some(event) = scan.next().await {
            match event.unwrap() {
                crate::ResumeEvent::Report(report) => heard.add(report),
                crate::ResumeEvent::Started(handle) => handle.cancel().await.unwrap(),
                crate::ResumeEvent::Finished(summary) => outcome = Some(summary.outcome),
                _ => {}
            }
        }
        assert_eq!(outcome, Some(Outcome::Cancelled));
        let (_, last) = run_through(&client, &request, scan.checkpoint().clone(), &mut heard).await;
        assert_eq!(heard, expected);
        assert_same(&last, &summary);
    });
}

#[test]
fn a_wider_gap_limit_goes_over_what_is_covered_again_for_the_new_scripts() {
    let mut chain = ChainBuilder::new();
    chain.pay(&script(3), 1).pay(&script(90), 1).pay(&script(5), 1);
    let scene = Scene::serve(chain, Manner::default());
    let of = |gap_limit| {
        let descriptor = wallet().descriptor(ScriptKind::P2wpkh);
        crate::ScanRequest::new().keychain(GivenKeychain::new(descriptor).gap_limit(gap_limit))
    };
    patiently(async {
        let client = scene.server.client().await;
        let mut heard = Heard::default();
        let (checkpoint, _) = run_through(&client, &of(20), new(&client, &of(20)), &mut heard).await;
        assert_eq!(heard.transactions.len(), 2);
        let (expected, summary) = at_once(&client, &of(200)).await;
        assert_eq!(expected.transactions.len(), 3);
        let (_, last) = run_through(&client, &of(200), checkpoint, &mut heard).await;
        assert_eq!(heard, expected);
        assert_same(&last, &summary);
    });
}
