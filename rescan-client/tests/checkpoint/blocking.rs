//! The blocking client against a real server: blocks, a resumed scan and a follower, each without a runtime.

use rescan_client::blocking::Client;
use rescan_client::{BlockEvent, Checkpoint, FollowEvent, ScanRequest};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_tests::{Manner, Scene};

use crate::{ResumeEvent, busy, script};

fn request() -> ScanRequest {
    (0..30).fold(ScanRequest::new(), |request, index| request.script(script(index)))
}

fn scene() -> Scene {
    let mut chain = ChainBuilder::new();
    busy(&mut chain, 20);
    Scene::serve(chain, Manner::default())
}

fn connected(scene: &Scene) -> (Client, Checkpoint) {
    let client = Client::connect(scene.server.socket()).unwrap();
    let checkpoint = Checkpoint::new(client.server_info().chain.genesis, &request());
    (client, checkpoint)
}

#[test]
fn every_block_of_the_range_is_an_item() {
    let scene = scene();
    let (client, _) = connected(&scene);
    let events: Vec<BlockEvent> = client.blocks(request().range).unwrap().map(Result::unwrap).collect();
    let (last, blocks) = events.split_last().unwrap();
    assert!(matches!(last, BlockEvent::Finished(_)), "{last:?}");
    let heights = blocks.iter().map(|event| match event {
        BlockEvent::Block(block) => block.height.0,
        other => panic!("{other:?}"),
    });
    assert!(heights.eq(0..=scene.chain.tip_height()));
}

#[test]
fn a_resumed_scan_reports_only_the_new_blocks() {
    let mut scene = scene();
    let (client, checkpoint) = connected(&scene);
    let mut scan = client.resume(request(), checkpoint).unwrap();
    let reports = scan.by_ref().map(Result::unwrap).filter(|event| matches!(event, ResumeEvent::Report(_)));
    assert_eq!(reports.count(), 20);
    let checkpoint = scan.stream().checkpoint().clone();
    let before = scene.chain.tip_height();
    scene.chain.coinbase_to(&script(3)).mine(1);
    scene.append();
    let heights: Vec<u32> = client
        .resume(request(), checkpoint)
        .unwrap()
        .filter_map(|event| match event.unwrap() {
            ResumeEvent::Report(report) => Some(report.height.0),
            _ => None,
        })
        .collect();
    assert_eq!(heights, [before + 1]);
}

#[test]
fn a_follower_connects_the_block_that_is_mined_next() {
    let mut scene = scene();
    let (client, checkpoint) = connected(&scene);
    let mut follower = client.follow(request(), checkpoint).unwrap();
    assert!(follower.by_ref().map(Result::unwrap).any(|event| matches!(event, FollowEvent::CaughtUp(_))));
    scene.chain.mine(1);
    scene.append();
    let connected = follower.by_ref().map(Result::unwrap).find_map(|event| match event {
        FollowEvent::Connected(block) => Some(block.height.0),
        _ => None,
    });
    assert_eq!(connected, Some(scene.chain.tip_height()));
}
