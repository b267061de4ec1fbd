//! Chains that end below the range for a while, as after `invalidateblock`, or after a node lost
//! blocks in a crash.

use std::fs;
use std::time::Duration;

use futures::StreamExt;
use rescan_client::report::RefusalReason;
use rescan_client::{Checkpoint, FollowEvent, ScanError};
use rescan_core::position::Height;
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_tests::{Manner, Scene, patiently};
use tokio::time::timeout;

use super::{Following, View, fresh, paid, pay, request, words};

/// A chain in one file, of which a part can be taken away and given back.
struct Shortened {
    scene: Scene,
    whole: Vec<u8>,
}

impl Shortened {
    fn serve(chain: ChainBuilder) -> Self {
        let scene = Scene::serve(chain, Manner::default());
        let whole = fs::read(path(&scene)).unwrap();
        Self { scene, whole }
    }

    /// Leaves the blocks up to this height.
    fn shorten_to(&self, height: u32) {
        let end = usize::try_from(self.scene.span_at(height).end()).unwrap();
        fs::write(path(&self.scene), &self.whole[..end]).unwrap();
    }

    fn restore(&self) {
        fs::write(path(&self.scene), &self.whole).unwrap();
    }
}

fn path(scene: &Scene) -> std::path::PathBuf {
    scene.server.blocks_dir().join("blk00000.dat")
}

fn is_settled(event: &FollowEvent) -> bool {
    matches!(event, FollowEvent::Settled)
}

/// But that it has been asked for a scan.
async fn is_told_nothing(following: &mut Following) {
    while let Ok(told) = timeout(Duration::from_millis(300), following.follower.next()).await {
        assert!(matches!(told, Some(Ok(FollowEvent::Started(_)))), "{told:?}");
    }
}

#[test]
fn what_was_told_is_taken_back_and_comes_anew_once_the_chain_is_there_again() {
    // Blocks 111 to 116 pay.
    let mut chain = Shortened::serve(paid(6));
    let request = request(10).from_height(Height(114));
    patiently(async {
        let client = chain.scene.server.client().await;
        let mut following = Following::at_tip(&client, &request, &chain.scene).await;
        assert_eq!(following.view.transactions.len(), 3);
        chain.shorten_to(112);
        let events = following.take_until(is_settled).await;
        let withdrawn = [116, 115, 114].map(|height| format!("withdrawn {height}"));
        let left = [116, 115, 114, 113].map(|height| format!("disconnected {height}"));
        assert_eq!(words(&events), [&withdrawn[..], &left[..]].concat());
        assert!(following.view.transactions.is_empty());
        // Another branch replaces the stale blocks, and two blocks below them.
        chain.restore();
        chain.scene.chain.reorg(6);
        pay(&mut chain.scene.chain, 3);
        chain.scene.chain.mine(1);
        chain.scene.append();
        following.catch_up(&chain.scene).await;
        assert_eq!((following.view.height, following.view.transactions.len()), (Some(118), 1));
        assert_eq!(following.view.transactions, fresh(&client, &request).await);
    });
}

#[test]
fn tips_below_the_range_are_waited_through_in_peace() {
    let chain = Shortened::serve(paid(6));
    let request = request(10).from_height(Height(115));
    patiently(async {
        let client = chain.scene.server.client().await;
        let mut following = Following::at_tip(&client, &request, &chain.scene).await;
        chain.shorten_to(110);
        following.take_until(is_settled).await;
        for height in [111, 113] {
            chain.shorten_to(height);
            while client.info().await.unwrap().chain.tip.map(|tip| tip.height.0) != Some(height) {
                client.locate(vec![]).await.unwrap();
            }
            let before = client.traffic().sent.bytes;
            let told = timeout(Duration::from_millis(300), following.follower.next()).await;
            assert!(told.is_err(), "{told:?}");
            assert!(client.traffic().sent.bytes - before < 10_000, "the server is asked without a pause");
        }
        chain.restore();
        following.catch_up(&chain.scene).await;
        assert_eq!(following.view.transactions, fresh(&client, &request).await);
    });
}

#[test]
fn one_that_falls_deeper_than_is_remembered_begins_anew_once_the_chain_is_there_again() {
    let mut chain = paid(1);
    chain.mine(400);
    pay(&mut chain, 1);
    chain.mine(1);
    let chain = Shortened::serve(chain);
    let request = request(10).from_height(Height(111));
    patiently(async {
        let client = chain.scene.server.client().await;
        let mut following = Following::at_tip(&client, &request, &chain.scene).await;
        assert_eq!(following.view.transactions.len(), 2);
        chain.shorten_to(50);
        let events = following.take_until(is_settled).await;
        assert_eq!(words(&events).last().map(String::as_str), Some("restarted"));
        assert_eq!(following.view, View::default());
        chain.restore();
        following.catch_up(&chain.scene).await;
        assert_eq!(following.view.transactions, fresh(&client, &request).await);
    });
}

#[test]
fn one_that_goes_on_while_the_chain_is_below_its_range_takes_back_what_it_was_told_before() {
    let chain = Shortened::serve(paid(6));
    let request = request(10).from_height(Height(114));
    patiently(async {
        let client = chain.scene.server.client().await;
        let following = Following::at_tip(&client, &request, &chain.scene).await;
        let checkpoint: Checkpoint = following.follower.checkpoint().clone();
        let told = following.view;
        drop(following.follower);
        chain.shorten_to(112);
        let mut again = Following::resume(&client, &request, checkpoint, told);
        while !again.view.transactions.is_empty() {
            again.take_until(|event| matches!(event, FollowEvent::Reverted(_))).await;
        }
        // The range is above the chain; a wallet that was never in it would get an error.
        is_told_nothing(&mut again).await;
        let (checkpoint, told) = (again.follower.checkpoint().clone(), again.view);
        drop(again.follower);
        let mut again = Following::resume(&client, &request, checkpoint, told);
        is_told_nothing(&mut again).await;
        chain.restore();
        again.catch_up(&chain.scene).await;
        assert_eq!(again.view.transactions, fresh(&client, &request).await);
    });
}

#[test]
fn one_that_begins_above_the_chain_is_told_so() {
    let scene = Scene::serve(paid(1), Manner::default());
    let request = request(10).from_height(Height(200));
    patiently(async {
        let client = scene.server.client().await;
        let mut following = Following::begin(&client, &request);
        let error = loop {
            match following.follower.next().await.unwrap() {
                Ok(FollowEvent::Started(_)) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(&error, ScanError::Refused(refusal) if refusal.reason == RefusalReason::BadRange), "{error}");
    });
}
