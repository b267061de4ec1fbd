//! The time from a block on disk to its event at a wallet that follows.
//!
//! ```sh
//! cargo run --release -p rescan-tests --example follow_latency [BLOCKS]
//! ```
//!
//! A block that pays the wallet is appended to a block file, and a call on another connection makes
//! the server refresh, as a node's notice would. The clock runs from that call to the `connected`
//! event, and to the last event of the block. With `poll` in place of a number there is no such
//! call, and the poller finds the block.

#![expect(clippy::print_stdout, reason = "its purpose is its output")]

use std::error::Error;
use std::time::{Duration, Instant};

use bitcoin::Amount;
use futures::StreamExt;
use rescan_client::{Checkpoint, FollowEvent, ScanRequest};
use rescan_fixtures::chain_builder::ChainBuilder;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{Manner, Scene};

/// Blocks of which the times are taken.
const BLOCKS: u32 = 200;

/// How many keychains of 1,000 indexes are watched: receiving and change.
const KINDS: [ScriptKind; 2] = [ScriptKind::P2wpkh, ScriptKind::P2tr];

fn main() -> Result<(), Box<dyn Error>> {
    let word = std::env::args().nth(1);
    let polls = word.as_deref() == Some("poll");
    let blocks = word.filter(|_| !polls).map_or(Ok(if polls { 10 } else { BLOCKS }), |word| word.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (what, pays_each, pause) in [
        ("blocks that pay the wallet, one after the other", true, Duration::ZERO),
        ("the same, 200 ms apart", true, Duration::from_millis(200)),
        ("blocks that do not pay it, 200 ms apart", false, Duration::from_millis(200)),
    ] {
        let mut times = runtime.block_on(measure(
            blocks.min(if pause.is_zero() { blocks } else { 50 }),
            pays_each,
            pause,
            polls,
        ))?;
        println!("{what}: {} blocks", times.len());
        for (event, which) in [("connected", 0), ("all told", 1)] {
            times.sort_by_key(|both| both[which]);
            let at = |part: usize| times[(times.len() - 1) * part / 100][which].as_secs_f64() * 1e3;
            println!("  {event}: median {:.2} ms, 99 % {:.2} ms, most {:.2} ms", at(50), at(99), at(100));
        }
    }
    Ok(())
}

/// From the question to `connected`, and to the last event of the block, for each block.
async fn measure(
    blocks: u32,
    pays_each: bool,
    pause: Duration,
    polls: bool,
) -> Result<Vec<[Duration; 2]>, Box<dyn Error>> {
    let wallet = TestWallet::new("wallet");
    let mut chain = ChainBuilder::new();
    chain.mine(110);
    let mut scene = Scene::serve(chain, Manner { is_mapped: true, ..Manner::default() });
    let (client, node) = (scene.server.client().await, scene.server.client().await);
    let request = KINDS.iter().fold(ScanRequest::new(), |request, kind| request.keychain(wallet.descriptor(*kind)));
    let checkpoint = Checkpoint::new(client.server_info().chain.genesis, &request);
    let mut follower = client.follow(request, checkpoint)?;
    let mut times = Vec::new();
    for index in 0..=blocks {
        let asked = async {
            if index == 0 {
                return Ok(Instant::now());
            }
            tokio::time::sleep(pause).await;
            if pays_each {
                scene.chain.fund(&wallet.script(KINDS[0], index % 500), Amount::from_sat(9_000));
            }
            scene.chain.mine(1);
            scene.append();
            let asked = Instant::now();
            if !polls {
                node.locate(vec![scene.chain.tip_hash()]).await?;
            }
            Ok::<_, Box<dyn Error>>(asked)
        };
        let told = async {
            let mut connected = Instant::now();
            loop {
                match follower.next().await.ok_or("the stream ended")?? {
                    FollowEvent::Connected(_) => connected = Instant::now(),
                    FollowEvent::CaughtUp(_) => return Ok::<_, Box<dyn Error>>([connected, Instant::now()]),
                    _ => {}
                }
            }
        };
        let (asked, told) = tokio::join!(asked, told);
        let asked = asked?;
        if index > 0 {
            times.push(told?.map(|told| told.saturating_duration_since(asked)));
        }
    }
    Ok(times)
}
