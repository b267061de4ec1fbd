//! A chain that the poller keeps current without any call and without a node.

use std::time::Duration;

use rescan_client::Client;
use rescan_client::server_info::{ChainSource, NodeLinkState};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_tests::{Manner, Scene, eventually, patiently};

const PATIENCE: Duration = Duration::from_secs(30);

async fn shows(client: &Client, chain: &ChainBuilder) {
    let tip = (chain.tip_height(), chain.tip_hash());
    let look = || async {
        let info = client.info().await.unwrap();
        info.chain.tip.is_some_and(|it| (it.height.0, it.hash) == tip).then_some(info)
    };
    let info = eventually(&format!("the tip is {tip:?}"), PATIENCE, look).await;
    assert_eq!((info.chain.source, info.node.state), (ChainSource::Files, NodeLinkState::Off));
}

#[test]
fn what_is_appended_is_seen_without_a_scan() {
    let mut chain = ChainBuilder::new();
    chain.mine(5);
    let mut scene = Scene::serve(chain, Manner::default());
    patiently(async {
        let client = scene.server.client().await;
        shows(&client, &scene.chain).await;
        for _ in 0..3 {
            scene.chain.mine(2);
            scene.append();
            shows(&client, &scene.chain).await;
        }
        scene.chain.reorg(3);
        scene.append();
        shows(&client, &scene.chain).await;
    });
}
