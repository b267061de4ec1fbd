//! Followers that are slow, that are broken off, and that lose their server.

use futures::StreamExt;
use rescan_client::{CallError, Checkpoint, ScanError};
use rescan_tests::{Manner, Scene, patiently};

use super::{Following, View, fresh, paid, pay, request, words};

#[test]
fn a_follower_that_takes_nothing_while_fifty_blocks_come_takes_them_all_at_once() {
    let mut scene = Scene::serve(paid(1), Manner::default());
    let request = request(60);
    patiently(async {
        let client = scene.server.client().await;
        let mut following = Following::at_tip(&client, &request, &scene).await;
        for index in 0..50 {
            pay(&mut scene.chain, index);
            scene.chain.mine(1);
            if index % 20 == 7 {
                scene.chain.reorg(3);
            }
            scene.append();
            // The server sees each of them, but no wallet follows.
            client.locate(vec![scene.chain.tip_hash()]).await.unwrap();
        }
        let events = following.catch_up(&scene).await;
        assert!(
            !words(&events).iter().any(|word| word.starts_with("disconnected")),
            "a block that came and went is reported"
        );
        assert_eq!(following.view.height, Some(scene.chain.tip_height()));
        assert_eq!(following.view.transactions, fresh(&client, &request).await);
    });
}

#[test]
fn a_following_that_is_broken_off_goes_on_from_its_saved_checkpoint() {
    let mut scene = Scene::serve(paid(3), Manner::default());
    let (request, file) = (request(10), scene.server.beside("checkpoint"));
    patiently(async {
        let mut told = View::default();
        for round in 0..4 {
            let client = scene.server.client().await;
            let begun = Checkpoint::load(&file).unwrap();
            let checkpoint = begun.unwrap_or_else(|| Checkpoint::new(client.server_info().chain.genesis, &request));
            let mut following = Following::resume(&client, &request, checkpoint, told);
            following.catch_up(&scene).await;
            pay(&mut scene.chain, round);
            scene.chain.mine(1);
            scene.append();
            following.catch_up(&scene).await;
            following.follower.checkpoint().save(&file).unwrap();
            told = following.view;
            drop(following.follower);
            // While nobody follows, the last reported blocks become stale, and others come.
            scene.chain.reorg(round + 1);
            pay(&mut scene.chain, round + 2);
            scene.chain.mine(1);
            scene.append();
        }
        let client = scene.server.client().await;
        let checkpoint = Checkpoint::load(&file).unwrap().unwrap();
        let mut following = Following::resume(&client, &request, checkpoint, told);
        following.catch_up(&scene).await;
        assert_eq!(following.view.transactions, fresh(&client, &request).await);
    });
}

#[test]
fn a_server_that_is_started_again_is_gone_on_with_and_no_block_is_told_twice_or_left_out() {
    let mut scene = Scene::serve(paid(3), Manner::default());
    let request = request(10);
    patiently(async {
        let mut following = Following::at_tip(&scene.server.client().await, &request, &scene).await;
        for round in 0..3 {
            pay(&mut scene.chain, round);
            scene.chain.mine(2);
            scene.append();
            following.catch_up(&scene).await;
            scene.server.stop();
            let error = following.follower.next().await.unwrap().unwrap_err();
            assert!(matches!(error, ScanError::Call(CallError::Disconnected { .. })), "{error:?}");
            assert!(following.follower.next().await.is_none(), "an error is the end");
            scene.chain.reorg(1);
            scene.append();
            scene.server.start();
            following.follower.reconnect(scene.server.client().await).unwrap();
            let tip = scene.chain.tip_height();
            let events = following.catch_up(&scene).await;
            let expected =
                [format!("disconnected {}", tip - 1), format!("connected {}", tip - 1), format!("connected {tip}")];
            assert_eq!(words(&events), expected);
        }
        assert_eq!(following.view.transactions, fresh(&scene.server.client().await, &request).await);
    });
}
