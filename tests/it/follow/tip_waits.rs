//! The call that a follower waits with, by itself.

use std::time::Duration;

use rescan_tests::{Manner, Scene, patiently};

use super::paid;

#[test]
fn a_wait_for_a_tip_that_moved_before_is_answered_at_once_and_one_for_the_same_when_its_time_is_up() {
    let mut scene = Scene::serve(paid(0), Manner::default());
    patiently(async {
        let client = scene.server.client().await;
        let known = Some(scene.chain.tip_hash());
        let long = Duration::from_secs(1_000);
        assert_eq!(client.wait_tip(None, long).await.unwrap().unwrap().hash, scene.chain.tip_hash());
        assert_eq!(client.wait_tip(known, Duration::ZERO).await.unwrap().unwrap().hash, scene.chain.tip_hash());
        scene.chain.mine(1);
        scene.append();
        let moved = client.wait_tip(known, long).await.unwrap().unwrap();
        assert_eq!((moved.height.0, moved.hash), (111, scene.chain.tip_hash()));
        // Somebody else's question is enough for one who waits already.
        let other = scene.server.client().await;
        let waiting = client.wait_tip(Some(moved.hash), long);
        scene.chain.mine(1);
        scene.append();
        let (tip, _found) = tokio::join!(waiting, other.locate(vec![]));
        assert_eq!(tip.unwrap().unwrap().hash, scene.chain.tip_hash());
    });
}
