//! Requests and events arrive whole and in order on both sides.

use futures::StreamExt;
use rescan_client::bitcoin::hashes::Hash;
use rescan_client::bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, TxOut, Txid};
use rescan_client::position::Height;
use rescan_client::report::{Ending, FullBlock, KeychainUse, Outcome};
use rescan_client::{
    BlockEvent, GivenKeychain, GivenOutpoint, RangeEnd, RangeRequest, RangeStart, ScanEvent, ScanRequest, Verify,
};

use super::{connected, heights, scan_all, without_times};
use rescan_tests::fake::{Script, Step, complete, report, summary};

#[tokio::test]
async fn reports_arrive_in_order_and_then_the_summary() {
    let steps = vec![Step::Reports(vec![report(1, 1), report(4, 1)]), Step::Reports(vec![report(7, 1)]), complete()];
    let (_fake, client) = connected(Script::new(steps)).await;
    let events = scan_all(&client).await;
    assert_eq!(heights(&events), [1, 4, 7]);
    let Some(Ok(ScanEvent::Finished(last))) = events.last() else { panic!("{events:?}") };
    assert_eq!(without_times(last), without_times(&summary(Outcome::Complete)));
    assert_eq!(events.len(), 4);
}

#[tokio::test]
async fn a_large_watch_set_arrives_whole_in_order_and_in_chunks() {
    let (fake, client) = connected(Script::new(vec![complete()])).await;
    let mut request = ScanRequest::new().from_height(Height(3)).to_height(Height(8)).verify(Verify::All);
    request.scripts = (0..20_000u32).map(|i| ScriptBuf::from(i.to_le_bytes().repeat(6))).collect();
    request.outpoints = (0..3_000u32)
        .map(|vout| GivenOutpoint {
            outpoint: OutPoint { txid: Txid::all_zeros(), vout },
            output: (vout % 2 == 0)
                .then(|| TxOut { value: Amount::from_sat(vout.into()), script_pubkey: ScriptBuf::new() }),
        })
        .collect();
    let events: Vec<_> = client.scan(request.clone()).await.unwrap().collect().await;
    assert!(matches!(events[..], [Ok(ScanEvent::Finished(_))]), "{events:?}");
    let seen = fake.seen.lock().unwrap();
    assert_eq!(seen.scripts, request.scripts.iter().map(|script| script.to_bytes()).collect::<Vec<_>>());
    assert_eq!(seen.outpoints, request.outpoints);
    assert!(seen.uploads > 10, "{} uploads", seen.uploads);
    let scan = seen.request.clone().unwrap();
    assert_eq!((scan.range, scan.verify), (request.range, Verify::All));
}

#[tokio::test]
async fn keychains_arrive_as_they_were_written_and_the_summary_names_each() {
    let mut end = summary(Outcome::Complete);
    end.keychains = vec![KeychainUse::Unused, KeychainUse::LastUsed(3)];
    end.watched_through = vec![Some(999), None];
    let (fake, client) = connected(Script::new(vec![Step::End(Ending::Summary(end.clone()))])).await;
    let given = [GivenKeychain::new("wpkh(a)"), GivenKeychain::new("tr(b)").gap_limit(20).revealed(7)];
    let request = ScanRequest::new().keychain("wpkh(a)").keychain(given[1].clone());
    let events: Vec<_> = client.scan(request).await.unwrap().collect().await;
    let [Ok(ScanEvent::Finished(found))] = &events[..] else { panic!("{events:?}") };
    assert_eq!(without_times(found), without_times(&end));
    assert_eq!(fake.seen.lock().unwrap().keychains, given);
}

#[tokio::test]
async fn the_times_of_a_summary_have_in_them_what_the_wallet_waited_before() {
    let mut end = summary(Outcome::Complete);
    (end.prepare_micros, end.elapsed_micros) = (1_000_000, 5_000_000);
    let (_fake, client) = connected(Script::new(vec![Step::End(Ending::Summary(end))])).await;
    let began = std::time::Instant::now();
    let events = scan_all(&client).await;
    let waited = u64::try_from(began.elapsed().as_micros()).unwrap();
    let Some(Ok(ScanEvent::Finished(found))) = events.last() else { panic!("{events:?}") };
    let (prepare, elapsed) = (found.prepare_micros - 1_000_000, found.elapsed_micros - 5_000_000);
    assert!(0 < prepare && prepare < elapsed && elapsed <= waited, "{prepare}, {elapsed}, {waited}");
}

#[tokio::test]
async fn blocks_arrive_whole_and_are_counted_at_the_socket() {
    let block = |height: u32| FullBlock {
        height: Height(height),
        hash: BlockHash::all_zeros(),
        data: vec![height.to_le_bytes()[0]; 700_000],
    };
    let steps = vec![Step::Blocks(vec![block(1)]), Step::Blocks(vec![block(2), block(3)]), complete()];
    let (_fake, client) = connected(Script::new(steps)).await;
    let before = client.bytes_received();
    let range = RangeRequest { from: RangeStart::Birthday(9), to: RangeEnd::Tip };
    let mut stream = client.blocks(range).await.unwrap();
    for height in 1..=3 {
        let Some(Ok(BlockEvent::Block(found))) = stream.next().await else { panic!("block {height} comes") };
        assert_eq!(found, block(height));
    }
    assert!(matches!(stream.next().await, Some(Ok(BlockEvent::Finished(_)))));
    let received = client.bytes_received() - before;
    assert!((2_100_000..2_110_000).contains(&received), "{received} bytes");
}
