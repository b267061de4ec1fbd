//! Misbehaving clients against one server, and the server's promises meanwhile.
//!
//! While some clients misbehave, a well-behaved wallet scans again and again: its answer must be
//! right each time. The server process is measured throughout: its memory stays within the
//! documented bound, and returns to its earlier level afterwards. All over this machine's own Unix
//! sockets, bounded in count and time.

mod behaviour;
mod messages;
mod process;
mod raw_client;
mod report;
mod wallet;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rescan_client::ScanRequest;

use self::behaviour::Against;
pub use self::behaviour::{Behaviour, Cost, Tally};
pub use self::process::Sample;
pub use self::report::{Report, Row};
pub use self::wallet::Scans;
use crate::test_server::connect;

/// How often the server's process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a server may take to give everything back: threads for blocking calls end after 10 s
/// without work.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);

/// Scans of the well-behaved wallet before anybody else comes.
const SCANS_ALONE: usize = 5;

/// The memory that the server may keep afterwards: the allocator holds it for the next clients.
pub const KEEPS_BYTES_MAX: u64 = 64 << 20;

/// Memory of a server without clients and blocks.
const BASE_BYTES: u64 = 64 << 20;

/// Memory of each block known.
const BLOCK_BYTES: u64 = 64;

/// Memory of each scan under way.
const SCAN_BYTES: u64 = 4 << 20;

/// Memory of each coin that a scan has found.
const COIN_BYTES: u64 = 100;

/// Memory of each connection, its buffers and the calls that it has open.
const CONNECTION_BYTES: u64 = 64 << 10;

/// A server, and the load on it.
#[derive(Debug)]
pub struct Load {
    /// Where it listens.
    pub socket: PathBuf,
    /// Its process, if it can be looked at.
    pub pid: Option<u32>,
    /// The well-behaved wallet's request.
    pub request: ScanRequest,
    /// The expected number of transactions.
    pub transactions: u64,
    /// How many coins that leaves, which each scan has to remember.
    pub coins: u64,
    /// Who else comes; all of them at once.
    pub behaviours: Vec<Behaviour>,
    /// For how long.
    pub time: Duration,
    /// The seed of all randomness.
    pub seed: u64,
}

impl Load {
    /// Lets them all come.
    ///
    /// # Errors
    /// If the server's process cannot be looked at.
    ///
    /// # Panics
    /// If the server is not there to begin with.
    pub fn run(&self) -> io::Result<Report> {
        let info = crate::patiently(async { connect(&self.socket).await.server_info().clone() });
        let blocks = info.chain.tip.map_or(0, |tip| u64::from(tip.height.0) + 1);
        let begun = Against {
            socket: &self.socket,
            request: &self.request,
            transactions: self.transactions,
            limits: info.limits,
            deadline: Instant::now(),
            seed: self.seed,
        };
        let alone = wallet::scans(&begun, |scans| scans.durations.len() < SCANS_ALONE);
        let before = self.look()?;
        let against = Against { deadline: Instant::now() + self.time, ..begun };
        let is_over = AtomicBool::new(false);
        let (tallies, beside, most) = std::thread::scope(|scope| {
            let run = |behaviour: Behaviour| scope.spawn(move || (behaviour, behaviour.run_until_deadline(&against)));
            let running: Vec<_> = self.behaviours.iter().copied().map(run).collect();
            let beside = scope.spawn(|| wallet::scans(&against, |_| Instant::now() < against.deadline));
            let most = scope.spawn(|| {
                let mut most = Sample::default();
                while !is_over.load(Ordering::Relaxed) {
                    most = most.max(self.look()?);
                    std::thread::sleep(LOOK_EVERY);
                }
                io::Result::Ok(most)
            });
            let tallies: Vec<_> = running.into_iter().map(|it| it.join().expect("a behaviour panicked")).collect();
            let beside = beside.join().expect("the wallet panicked");
            is_over.store(true, Ordering::Relaxed);
            (tallies, beside, most.join().expect("the looking panicked"))
        });
        let after = self.settled(&before)?;
        let bound = bytes_max(blocks, self.coins, &self.behaviours);
        Ok(Report { seed: self.seed, time: self.time, alone, beside, tallies, before, most: most?, after, bound })
    }

    fn look(&self) -> io::Result<Sample> {
        self.pid.map_or(Ok(Sample::default()), Sample::of)
    }

    /// The process's resources once they are back at the earlier level, or after a time limit.
    fn settled(&self, before: &Sample) -> io::Result<Sample> {
        let began = Instant::now();
        loop {
            let now = self.look()?;
            if now.is_back_at(before) || began.elapsed() > SETTLES_WITHIN {
                return Ok(now);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// The documented bound of a server with these clients and the well-behaved wallet.
fn bytes_max(blocks: u64, coins: u64, behaviours: &[Behaviour]) -> u64 {
    const MESSAGE_BYTES: u64 = 8 << 20;
    let costs = || behaviours.iter().map(|behaviour| behaviour.cost());
    let scans: u64 = costs().map(|cost| cost.scans).sum::<u64>() + 1;
    let connections: u64 = costs().map(|cost| cost.connections).sum::<u64>() + 1;
    let messages: u64 = costs().map(|cost| cost.large_messages).sum();
    let scan_bytes = SCAN_BYTES + COIN_BYTES * coins;
    BASE_BYTES + BLOCK_BYTES * blocks + scan_bytes * scans + CONNECTION_BYTES * connections + MESSAGE_BYTES * messages
}
