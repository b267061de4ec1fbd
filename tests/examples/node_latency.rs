//! The time from a new block at a real node to its event at a wallet that follows.
//!
//! ```sh
//! export $(tests/bitcoin-node.sh)
//! cargo run --release -p rescan-tests --example node_latency [BLOCKS]
//! ```
//!
//! A node mines a block every 200 ms, called over HTTP, so the figures include no process start.
//! The clock stops with the `connected` event. It starts at three moments. First, just before the
//! call to mine. Second, at the node's notice to another waiter (`waitfornewblock`, which waits for
//! the same event as `waitTipChanged`; its answer takes a separate route and is late by that).
//! Third, at the node's answer to the call to mine. If the event came before one of these, that
//! time counts as 0.

#![expect(clippy::print_stdout, reason = "its purpose is its output")]

use std::error::Error;
use std::time::{Duration, Instant};

use bitcoin::{Address, BlockHash, Network, ScriptBuf};
use futures::StreamExt;
use rescan_client::{Checkpoint, FollowEvent, Follower, ScanRequest};
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::{JsonRpc, LiveNode, Manner, TestServer};

/// Blocks of which the times are taken.
const BLOCKS: u32 = 200;

/// The pause between two blocks: everything is idle by its end.
const PAUSE: Duration = Duration::from_millis(200);

/// How many keychains of 1,000 indexes are watched: receiving and change.
const KINDS: [ScriptKind; 2] = [ScriptKind::P2wpkh, ScriptKind::P2tr];

/// The moments of one block.
struct Times {
    asked: Instant,
    noticed: Instant,
    answered: Instant,
    connected: Instant,
}

fn main() -> Result<(), Box<dyn Error>> {
    let blocks = std::env::args().nth(1).map_or(Ok(BLOCKS), |word| word.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let Some(node) = LiveNode::start(&[]) else { return Ok(()) };
    node.mine(110);
    for (what, pays) in [("blocks that do not pay the wallet", false), ("blocks that pay it", true)] {
        let times = runtime.block_on(measure(&node, blocks, pays))?;
        println!("{what}: {} of them, to the event", times.len());
        print("since the node was asked to mine", times.iter().map(|it| it.connected - it.asked));
        let since =
            |from: fn(&Times) -> Instant| times.iter().map(move |it| it.connected.saturating_duration_since(from(it)));
        print("since the node's notice", since(|it| it.noticed));
        print("since the node's answer", since(|it| it.answered));
    }
    Ok(())
}

fn print(what: &str, times: impl Iterator<Item = Duration>) {
    let mut times: Vec<f64> = times.map(|time| time.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!("  {what}: median {:.2} ms, 99 % {:.2} ms, most {:.2} ms", at(50), at(99), at(100));
}

async fn measure(node: &LiveNode, blocks: u32, pays: bool) -> Result<Vec<Times>, Box<dyn Error>> {
    let (wallet, stranger) = (TestWallet::new("wallet"), TestWallet::new("stranger"));
    let server = TestServer::beside_node(node, Manner { is_mapped: true, ..Manner::default() });
    let client = server.client().await;
    let request = KINDS.iter().fold(ScanRequest::new(), |request, kind| request.keychain(wallet.descriptor(*kind)));
    let checkpoint = Checkpoint::new(client.server_info().chain.genesis, &request);
    let mut follower = client.follow(request, checkpoint)?;
    let (mut mining, mut waiting) = (JsonRpc::connect(node).await?, JsonRpc::connect(node).await?);
    let mut tip = node.tip().1;
    while hear(&mut follower).await?.1 != tip {}
    let mut times = Vec::new();
    for index in 0..blocks {
        let script = if pays { &wallet } else { &stranger }.script(KINDS[0], index % 500);
        let noticing = async {
            waiting.call("waitfornewblock", &format!(r#"[60000,"{tip}"]"#)).await?;
            Ok(Instant::now())
        };
        let asking = async {
            tokio::time::sleep(PAUSE).await;
            let asked = Instant::now();
            let mined = mine(&mut mining, script).await?;
            Ok::<_, Box<dyn Error>>((asked, Instant::now(), mined))
        };
        let (noticed, (asked, answered, mined), (connected, heard)) =
            tokio::try_join!(noticing, asking, hear(&mut follower))?;
        assert_eq!(heard, mined, "another block came");
        tip = mined;
        times.push(Times { asked, noticed, answered, connected });
    }
    Ok(times)
}

/// One block more that pays a script.
async fn mine(rpc: &mut JsonRpc, script: ScriptBuf) -> Result<BlockHash, Box<dyn Error>> {
    let address = Address::from_script(&script, Network::Regtest)?;
    let answer = rpc.call("generatetoaddress", &format!(r#"[1,"{address}",100000000]"#)).await?;
    let hash = answer.split('"').find_map(|word| word.parse().ok());
    Ok(hash.ok_or("the node made no block")?)
}

/// Reads events until the wallet has caught up with its last block, and returns that moment and the
/// block.
async fn hear(follower: &mut Follower) -> Result<(Instant, BlockHash), Box<dyn Error>> {
    let mut connected = Instant::now();
    loop {
        match follower.next().await.ok_or("the stream ended")?? {
            FollowEvent::Connected(_) => connected = Instant::now(),
            FollowEvent::CaughtUp(summary) => return Ok((connected, summary.tip.hash)),
            _ => {}
        }
    }
}
