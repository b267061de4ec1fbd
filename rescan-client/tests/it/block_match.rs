//! One block a call, to a server that answers as each test says.

use std::sync::Arc;

use rescan_client::bitcoin::constants::genesis_block;
use rescan_client::bitcoin::hashes::Hash;
use rescan_client::bitcoin::{BlockHash, Network, OutPoint, ScriptBuf, Txid, consensus};
use rescan_client::position::Height;
use rescan_client::report::{BlockId, Failure, FailureKind, Refusal, RefusalReason};
use rescan_client::server_info::Feature;
use rescan_client::{CallError, Client, MatchContent, MatchEntries, MatchedBlock, ScanError};
use rescan_core::block_match::BlockMatch;

use crate::library::connected;
use rescan_tests::fake::{self, Fake, Script};

async fn that_answers(found: Option<BlockMatch>) -> (Fake, Client) {
    let mut info = fake::info();
    info.features.push(Feature::MatchBlock);
    let info = fake::flat_info(&info);
    connected(Script { info, block_match: found, ..Script::new(vec![]) }).await
}

/// Genesis, at a height where it never is.
fn matched() -> MatchedBlock {
    let genesis = genesis_block(Network::Regtest);
    let id = |height, hash| BlockId { height: Height(height), hash, time: 5 };
    MatchedBlock {
        block: id(7, genesis.block_hash()),
        next: Some(id(8, BlockHash::from_byte_array([8; 32]))),
        content: MatchContent::Block(consensus::serialize(&genesis)),
    }
}

fn entries() -> Arc<MatchEntries> {
    let scripts = (0..3_000u32).map(|number| ScriptBuf::from(number.to_le_bytes().repeat(6))).collect();
    let outpoints = (0..500).map(|vout| OutPoint { txid: Txid::from_byte_array([3; 32]), vout }).collect();
    Arc::new(MatchEntries { scripts, outpoints })
}

async fn ask(client: &Client) -> Result<MatchedBlock, ScanError> {
    client.match_block(Height(7), Some(matched().block.hash), entries()).await
}

#[tokio::test]
async fn everything_that_is_looked_for_travels_in_the_call_and_the_answer_comes_as_it_was_given() {
    let (fake, client) = that_answers(Some(BlockMatch::Answered(matched()))).await;
    assert_eq!(ask(&client).await.unwrap(), matched());
    let (height, hash, scripts, outpoints) = fake.seen.lock().unwrap().matched.take().unwrap();
    assert_eq!((height, hash), (7, matched().block.hash.to_byte_array().to_vec()));
    assert_eq!(scripts, entries().scripts.iter().map(|script| script.to_bytes()).collect::<Vec<_>>());
    assert_eq!(outpoints, entries().outpoints);

    assert_eq!(client.match_block(Height(7), None, Arc::default()).await.unwrap(), matched());
    assert_eq!(fake.seen.lock().unwrap().matched.take().unwrap(), (7, vec![], vec![], vec![]));
}

#[tokio::test]
async fn refusals_and_failures_are_told_apart_and_the_connection_lives() {
    let refusal = Refusal { reason: RefusalReason::NotInChain, position: 0, detail: "left".to_owned() };
    let (_fake, client) = that_answers(Some(BlockMatch::Refused(refusal.clone()))).await;
    let error = ask(&client).await.unwrap_err();
    assert!(matches!(&error, ScanError::Refused(found) if *found == refusal), "{error:?}");
    client.info().await.unwrap();

    let failure = Failure { kind: FailureKind::CorruptBlock, detail: "a flipped bit".to_owned(), at: None };
    let (_fake, client) = that_answers(Some(BlockMatch::Failed(failure.clone()))).await;
    let error = ask(&client).await.unwrap_err();
    assert!(matches!(&error, ScanError::Failed(found) if *found == failure), "{error:?}");
}

#[tokio::test]
async fn an_answer_about_another_block_or_with_the_bytes_of_another_is_a_breach() {
    let mut answers = vec![matched(); 5];
    answers[0].block.height = Height(6);
    answers[1].block.hash = BlockHash::from_byte_array([1; 32]);
    answers[2].next.as_mut().unwrap().height = Height(9);
    let MatchContent::Block(data) = &mut answers[3].content else { unreachable!() };
    data[40] ^= 1;
    answers[4].content = MatchContent::Block(vec![0; 79]);
    for answer in answers {
        let (_fake, client) = that_answers(Some(BlockMatch::Answered(answer.clone()))).await;
        let error = ask(&client).await.unwrap_err();
        assert!(matches!(&error, ScanError::Call(CallError::Protocol { .. })), "{error:?} for {answer:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_the_call_is_not_asked() {
    let script = Script { block_match: Some(BlockMatch::Answered(matched())), ..Script::new(vec![]) };
    let (fake, client) = connected(script).await;
    let error = ask(&client).await.unwrap_err();
    assert!(matches!(&error, ScanError::Call(CallError::Unsupported { .. })), "{error:?}");
    assert!(error.to_string().contains("fake 1 does not match single blocks"), "{error}");
    assert_eq!(fake.seen.lock().unwrap().matched, None);
}

#[tokio::test]
async fn entries_that_do_not_fit_into_a_message_are_not_sent() {
    let (fake, client) = that_answers(Some(BlockMatch::Answered(matched()))).await;
    let max = usize::try_from(fake::info().limits.message_bytes_max).unwrap();
    let scripts = vec![ScriptBuf::from(vec![0x51; 10_000]); max / 10_000];
    let large = MatchEntries { scripts, ..MatchEntries::default() };
    let error = client.match_block(Height(7), None, Arc::new(large)).await.unwrap_err();
    let expected = u64::try_from(max).unwrap();
    assert!(
        matches!(&error, ScanError::Call(CallError::TooManyEntries { bytes, max }) if bytes > max && *max == expected),
        "{error:?}"
    );
    assert_eq!(fake.seen.lock().unwrap().matched, None);
}

#[tokio::test]
async fn a_call_that_is_dropped_is_given_up_on_the_server_too() {
    let (fake, client) = that_answers(None).await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { ask(&client).await }
    });
    fake.scan_begun.await.unwrap();
    call.abort();
    // The sender is dropped with the call, unused.
    fake.scan_dropped.await.unwrap_err();
    client.info().await.unwrap();
}
