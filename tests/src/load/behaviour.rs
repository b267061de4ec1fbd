//! The misbehaviour of clients. Each behaviour runs until its deadline, opens a bounded number of
//! things, and returns its counts.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rescan_client::{Client, ScanRequest};
use rescan_core::server_info::Limits;
use rustix::process::Uid;

use super::messages;
use super::raw_client::{self as raw, Target, is_patience};
use super::wallet;

/// Connections that do nothing.
const IDLE: usize = 200;

/// Clients with scans of their own, and scans of each.
const BUSY: (usize, usize) = (16, 4);

/// Clients at a time of each of the other behaviours. With those above they stay below the 256
/// connections of a server, even where it is slow to notice that some have left.
const FEW: usize = 2;

/// How long one that holds something up holds it.
const HOLD: Duration = Duration::from_secs(2);

/// Calls that are sent in one go.
const CALLS: u32 = 100_000;

/// A client's behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// 200 connections that send nothing.
    Idle,
    /// 64 scans at once.
    Scans,
    /// Asks for everything and reads nothing.
    NeverReads,
    /// Asks for everything and reads one byte a second.
    OneByteASecond,
    /// Is gone in the midst of a scan.
    Vanishes,
    /// Sends bytes that mean nothing.
    RandomBytes,
    /// Sends valid messages in an invalid order, and drops the answers in any order.
    RandomMessages,
    /// Reads, and is never finished with any of 100,000 calls.
    NeverFinishes,
    /// Sends the beginning of the largest message there may be.
    HalfMessages,
    /// Sends the largest message that is legal and the smallest that is not.
    LargestMessage,
    /// Is somebody else.
    OtherUser,
}

/// The counts of a behaviour.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How often it was done.
    pub times: u64,
    /// Promises of the server's that were broken.
    pub broken: Vec<String>,
    /// Why it was not done at all.
    pub skipped: Option<String>,
}

/// The server, the request and the deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Against<'a> {
    pub(super) socket: &'a Path,
    pub(super) request: &'a ScanRequest,
    pub(super) transactions: u64,
    pub(super) limits: Limits,
    pub(super) deadline: Instant,
    pub(super) seed: u64,
}

impl Against<'_> {
    fn continues(&self) -> bool {
        Instant::now() < self.deadline
    }

    /// Waits, but not beyond the deadline.
    fn hold(&self, time: Duration) {
        std::thread::sleep(time.min(self.deadline.saturating_duration_since(Instant::now())));
    }
}

impl Behaviour {
    /// Every behaviour.
    pub const ALL: [Self; 11] = [
        Self::Idle,
        Self::Scans,
        Self::NeverReads,
        Self::OneByteASecond,
        Self::Vanishes,
        Self::RandomBytes,
        Self::RandomMessages,
        Self::NeverFinishes,
        Self::HalfMessages,
        Self::LargestMessage,
        Self::OtherUser,
    ];

    /// Its name in reports and arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Scans => "scans",
            Self::NeverReads => "never-reads",
            Self::OneByteASecond => "one-byte-a-second",
            Self::Vanishes => "vanishes",
            Self::RandomBytes => "random-bytes",
            Self::RandomMessages => "random-messages",
            Self::NeverFinishes => "never-finishes",
            Self::HalfMessages => "half-messages",
            Self::LargestMessage => "largest-message",
            Self::OtherUser => "other-user",
        }
    }

    /// Its limits of connections, scans and large messages at a time, which bound its memory.
    #[must_use]
    pub fn cost(self) -> Cost {
        let few = FEW as u64; // usize has at most 64 bits
        match self {
            Self::Idle => Cost { connections: IDLE as u64, ..Cost::default() }, // likewise
            Self::Scans => {
                Cost { connections: BUSY.0 as u64, scans: (BUSY.0 * BUSY.1) as u64, ..Cost::default() } // likewise
            }
            Self::NeverReads | Self::OneByteASecond | Self::Vanishes => {
                Cost { connections: few, scans: few, ..Cost::default() }
            }
            Self::RandomMessages => Cost { connections: few, scans: 8 * few, large_messages: 0 },
            Self::RandomBytes | Self::NeverFinishes => Cost { connections: few, ..Cost::default() },
            // The server holds a message's content twice while it reads it.
            Self::HalfMessages | Self::LargestMessage => Cost { connections: few, large_messages: 2 * few, scans: 0 },
            Self::OtherUser => Cost::default(),
        }
    }

    /// Does it until the deadline.
    pub(super) fn run_until_deadline(self, against: &Against<'_>) -> Tally {
        match self {
            Self::Idle => idle(against),
            Self::Scans => wallet::many(against, BUSY),
            Self::Vanishes => vanishes(against),
            Self::NeverReads => a_few(against, |mut stream, _| never_reads(&mut stream, against)),
            Self::OneByteASecond => a_few(against, |mut stream, _| one_byte_a_second(&mut stream, against)),
            Self::RandomBytes => a_few(against, |mut stream, rng| random_bytes(&mut stream, rng, against)),
            Self::RandomMessages => a_few(against, |mut stream, rng| messages::random(&mut stream, rng, against)),
            Self::NeverFinishes => a_few(against, |mut stream, _| never_finishes(&mut stream, against)),
            Self::HalfMessages => a_few(against, |mut stream, _| half_message(&mut stream, against)),
            Self::LargestMessage => a_few(against, |mut stream, _| messages::largest(&mut stream, against)),
            Self::OtherUser => other_user(against),
        }
    }
}

/// The number of things that a behaviour may have open at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Connections.
    pub connections: u64,
    /// Scans.
    pub scans: u64,
    /// Messages of the largest kind.
    pub large_messages: u64,
}

/// How one client's visit ended, if it tells something of the server.
pub(super) type Visit = Result<(), String>;

/// A few clients at a time that repeat one action, each time on a new connection.
fn a_few(against: &Against<'_>, visit: impl Fn(std::os::unix::net::UnixStream, &mut StdRng) -> Visit + Sync) -> Tally {
    let times = AtomicU64::new(0);
    let client = |number: usize| {
        let mut rng = StdRng::seed_from_u64(against.seed.wrapping_add(number as u64)); // usize has at most 64 bits
        let mut broken = Vec::new();
        while against.continues() && broken.len() < 3 {
            match raw::connect(against.socket) {
                Ok(stream) => broken.extend(visit(stream, &mut rng).err()),
                Err(error) => broken.push(format!("cannot connect: {error}")),
            }
            times.fetch_add(1, Ordering::Relaxed);
        }
        broken
    };
    let broken = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..FEW).map(|number| scope.spawn(move || client(number))).collect();
        let ended =
            clients.into_iter().map(|client| client.join().unwrap_or_else(|_| vec!["a client panicked".into()]));
        ended.flatten().collect()
    });
    Tally { times: times.into_inner(), broken, skipped: None }
}

fn idle(against: &Against<'_>) -> Tally {
    let mut tally = Tally::default();
    let mut connections = Vec::new();
    let mut rng = StdRng::seed_from_u64(against.seed);
    while against.continues() {
        while connections.len() < IDLE {
            match raw::connect(against.socket) {
                Ok(stream) => connections.push(stream),
                Err(error) => tally.broken.push(format!("connection {} is not taken: {error}", connections.len())),
            }
            tally.times += 1;
            if tally.broken.len() > 3 {
                return tally;
            }
        }
        against.hold(Duration::from_millis(500));
        // Some leave, and others come.
        (0..10).for_each(|_| drop(connections.swap_remove(rng.random_range(0..connections.len()))));
    }
    tally
}

fn vanishes(against: &Against<'_>) -> Tally {
    let visits = async |number: usize| {
        let mut rng = StdRng::seed_from_u64(against.seed.wrapping_add(number as u64)); // usize has at most 64 bits
        let mut tally = Tally::default();
        while against.continues() {
            let Ok(client) = Client::connect(against.socket).await else {
                tally.broken.push("a client that comes back is not taken".to_owned());
                break;
            };
            let takes = rng.random_range(0..40);
            if rng.random() {
                let Ok(scan) = client.scan(against.request.clone()).await else { continue };
                scan.take(takes).for_each(async |_| {}).await;
            } else {
                let Ok(blocks) = client.blocks(against.request.range.clone()).await else { continue };
                blocks.take(takes).for_each(async |_| {}).await;
            }
            tally.times += 1;
        }
        tally
    };
    wallet::together((0..FEW).map(visits).collect())
}

/// Sends until the server accepts no more, and reads nothing.
fn never_reads(stream: &mut std::os::unix::net::UnixStream, against: &Against<'_>) -> Visit {
    let deadline = against.deadline.min(Instant::now() + HOLD);
    let mut bytes = raw::bootstrap(0);
    bytes.extend(raw::blocks(1, Target::Bootstrap(0), 0));
    (2..CALLS).for_each(|question| bytes.extend(raw::plain(question, Target::Bootstrap(0), (raw::RESCAN, 0))));
    match raw::write_until(stream, &bytes, deadline) {
        Ok(taken) if taken == bytes.len() => {
            Err(format!("all {taken} bytes of calls were taken, and no answer was read"))
        }
        _ => Ok(()),
    }
}

fn one_byte_a_second(stream: &mut std::os::unix::net::UnixStream, against: &Against<'_>) -> Visit {
    use std::io::Read;
    let mut bytes = raw::bootstrap(0);
    bytes.extend(raw::blocks(1, Target::Bootstrap(0), 0));
    let sent = raw::write_until(stream, &bytes, against.deadline);
    for _ in 0..20 {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => break,
            Err(error) if !is_patience(&error) => break,
            _ => against.hold(Duration::from_secs(1)),
        }
        if !against.continues() {
            break;
        }
    }
    sent.map(drop).map_err(|error| format!("two calls were not taken: {error}"))
}

/// Noise, of which a part begins as a message would.
fn random_bytes(stream: &mut std::os::unix::net::UnixStream, rng: &mut StdRng, against: &Against<'_>) -> Visit {
    let mut bytes = vec![0_u8; rng.random_range(1..64 << 10)];
    rng.fill(bytes.as_mut_slice());
    if rng.random()
        && let Some(table) = bytes.first_chunk_mut::<8>()
    {
        *table = rng.random_range(0..4_000_u64).rotate_left(32).to_le_bytes();
    }
    let deadline = against.deadline.min(Instant::now() + HOLD);
    // It may be hung up on at any time.
    drop(raw::write_until(stream, &bytes, deadline));
    raw::drain(stream, &mut Vec::new());
    Ok(())
}

/// Calls that are answered by an exception, which the client never finishes, reading all the while.
fn never_finishes(stream: &mut std::os::unix::net::UnixStream, against: &Against<'_>) -> Visit {
    let mut bytes = raw::bootstrap(0);
    // No method has this number.
    (1..CALLS).for_each(|question| bytes.extend(raw::plain(question, Target::Bootstrap(0), (raw::RESCAN, 99))));
    let mut heard = Vec::new();
    for chunk in bytes.chunks(16 << 10) {
        let deadline = against.deadline.min(Instant::now() + HOLD);
        if raw::write_until(stream, chunk, deadline).is_err() {
            return Ok(());
        }
        if let Err(error) = stream.set_nonblocking(true) {
            return Err(format!("its socket cannot be read: {error}"));
        }
        let is_over = raw::drain(stream, &mut heard);
        heard.clear();
        if is_over || !against.continues() {
            return Ok(());
        }
        drop(stream.set_nonblocking(false));
    }
    Err(format!("{CALLS} calls are open and the connection goes on"))
}

/// All but the last byte of the largest message.
fn half_message(stream: &mut std::os::unix::net::UnixStream, against: &Against<'_>) -> Visit {
    let deadline = against.deadline.min(Instant::now() + HOLD);
    let words = u32::try_from(against.limits.message_bytes_max / 8).unwrap_or(u32::MAX);
    let mut bytes = vec![0; 8 * words as usize]; // 32 bits fit
    bytes[4..8].copy_from_slice(&words.to_le_bytes());
    drop(raw::write_until(stream, &bytes, deadline));
    against.hold(deadline.saturating_duration_since(Instant::now()));
    Ok(())
}

/// Connects as another user; only root can.
fn other_user(against: &Against<'_>) -> Tally {
    let nobody = Uid::from_raw(65_534);
    if !rustix::process::geteuid().is_root() {
        return Tally { skipped: Some("only root can be somebody else".to_owned()), ..Tally::default() };
    }
    // The user is that of this one thread, which ends with it.
    match rustix::thread::set_thread_res_uid(nobody, nobody, nobody) {
        Ok(()) => {}
        Err(error) => {
            let skipped = Some(format!("the kernel lets nobody be somebody else here: {error}"));
            return Tally { skipped, ..Tally::default() };
        }
    }
    let mut tally = Tally::default();
    while against.continues() {
        match raw::connect(against.socket) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => tally.broken.push(format!("expected no permission, found: {error}")),
            Ok(mut stream) => {
                // Where the directory lets it in, the server does not.
                drop(raw::write_until(&mut stream, &raw::bootstrap(0), against.deadline));
                let mut heard = Vec::new();
                let is_over = (0..25).any(|_| raw::drain(&mut stream, &mut heard));
                if !is_over || !heard.is_empty() {
                    tally.broken.push(format!("another user was told {} bytes", heard.len()));
                }
            }
        }
        tally.times += 1;
        if tally.broken.len() > 3 {
            break;
        }
        against.hold(Duration::from_millis(20));
    }
    tally
}
