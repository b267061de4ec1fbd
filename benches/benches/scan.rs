//! How much does a scan cost beyond its walk? The bare engine and a scan over the socket against
//! plain readers, on the same block files.
//!
//! For both kinds of access, in the clear and XORed, with one worker and more: *readers* only read
//! every byte of the files, the *engine* only matches every block, and the *scan* runs over a
//! socket, from a sealed watch set to its summary. Medians of interleaved rounds. Then the same for
//! files outside the page cache, and the time to the first match.
//!
//! `RESCAN_BENCH_DIR` names a folder on a disk for the chains; existing ones are reused.
//! `RESCAN_BENCH_SHORT` makes everything small, to see that it runs.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::fs::File;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bitcoin::ScriptBuf;
use futures::StreamExt;
use rescan_benches::{KEY, WATCHED_SCRIPTS, absent_script, absent_watch_set, is_measuring, is_short, xor_of};
use rescan_client::{Client, ScanEvent, ScanRequest};
use rescan_core::blocks::obfuscation::RawBlock;
use rescan_core::chain::network::Network;
use rescan_core::position::{Height, RecordSpan};
use rescan_core::watching::coin_map::CoinMap;
use rescan_core::watching::matching::{BlockPlace, Matcher};
use rescan_core::watching::watch_set::WatchSet;
use rescan_fixtures::block_file_writer::BlockFileLayout;
use rescan_fixtures::bulk::{BulkSpec, Busyness, ChainLength, write_block_files};
use rescan_fixtures::private_access::mapped_access;
use rescan_server::Server;
use rescan_server::blocks::block_file::Access;
use rescan_server::blocks::window::Window;
use rescan_server::cancel::Cancel;
use rescan_server::chain::{Chain, ChainConfig};
use rescan_server::config::ServerConfig;
use rescan_server::session::guard::limits::SessionLimits;
use rustix::fs::{Advice, fadvise};
use tokio::sync::oneshot;

/// The size of a plain read, in bytes.
const READ_BYTES: usize = 1 << 20;

fn main() {
    if !is_measuring() {
        return;
    }
    // Like the server.
    rescan_server::allocator::keep_large_buffers();
    let (bytes, rounds) = if is_short() { (20_000_000, 1) } else { (1_000_000_000, 9) };
    let made = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let directory = std::env::var_os("RESCAN_BENCH_DIR").map_or_else(|| made.path().to_owned(), PathBuf::from);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let counts: Vec<usize> = (0..).map(|power| 1 << power).take_while(|count| *count < cores).chain([cores]).collect();
    let chains = [("clear", None), ("XORed", Some(KEY))];
    let chains = chains.map(|(name, key)| (name, written(&directory.join(name), bytes, key)));
    println!(
        "| files, warm | access | workers | readers GB/s | engine GB/s | of readers | scan GB/s | engine's time | first match ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (name, datadir) in &chains {
        for is_mapped in [true, false] {
            counts.iter().for_each(|workers| warm(name, &Setup::new(datadir, is_mapped, *workers), rounds));
        }
    }
    println!(
        "\n| files, cold | access | workers | sequential read GB/s | scan GB/s | of the read | cached after, MB |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, datadir) in &chains[1..] {
        for is_mapped in [true, false] {
            counts.iter().for_each(|workers| cold(name, &Setup::new(datadir, is_mapped, *workers), rounds.min(5)));
        }
    }
}

/// Writes a chain of about that many bytes, unless it exists.
fn written(datadir: &Path, bytes: u64, xor_key: Option<[u8; 8]>) -> PathBuf {
    if !datadir.join("wallet.json").exists() {
        let mut spec = BulkSpec::new(ChainLength::Bytes(bytes));
        spec.busyness = Busyness::Absent;
        write_block_files(spec, datadir, BlockFileLayout { xor_key, ..BlockFileLayout::default() })
            .expect("the disk has room");
    }
    datadir.join("regtest").join("blocks")
}

fn warm(name: &str, setup: &Setup, rounds: usize) {
    let mut times: [Vec<Duration>; 3] = Default::default();
    let mut first_match = Vec::new();
    let server = ServerThread::start(setup);
    setup.read_sequentially();
    for _ in 0..rounds {
        times[0].push(setup.plain_readers());
        times[1].push(setup.engine());
        times[2].push(server.scan().0);
        first_match.extend(server.first_match(setup));
    }
    let [readers, engine, scan] = times.map(|times| setup.bytes as f64 / median(times).as_secs_f64() / 1e9);
    println!(
        "| {name} | {} | {} | {readers:.1} | {engine:.1} | {:.2} | {scan:.1} | x {:.2} | {:.1} |",
        setup.access_name(),
        setup.workers,
        engine / readers,
        engine / scan,
        median(first_match).as_secs_f64() * 1e3,
    );
}

fn cold(name: &str, setup: &Setup, rounds: usize) {
    let server = ServerThread::start(setup);
    let (mut reads, mut scans, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        setup.make_cold();
        reads.push(setup.read_sequentially());
        setup.make_cold();
        scans.push(server.scan().0);
        left.push(setup.cached_bytes());
    }
    let [read, scan] = [reads, scans].map(|times| setup.bytes as f64 / median(times).as_secs_f64() / 1e9);
    let left =
        left.iter().copied().flatten().max().map_or("unknown".to_owned(), |bytes| (bytes / 1_000_000).to_string());
    println!(
        "| {name} | {} | {} | {read:.2} | {scan:.2} | {:.2} | {left} |",
        setup.access_name(),
        setup.workers,
        scan / read
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Block files, the kind of access and the number of workers.
struct Setup {
    blocks_dir: PathBuf,
    is_mapped: bool,
    workers: usize,
    chain: Chain,
    spans: Vec<RecordSpan>,
    bytes: u64,
    watch: WatchSet,
    _state_dir: tempfile::TempDir,
}

impl Setup {
    fn new(blocks_dir: &Path, is_mapped: bool, workers: usize) -> Self {
        let state_dir = tempfile::tempdir().expect("a temporary directory");
        let access = if is_mapped { mapped_access() } else { Access::read() };
        let chain = Chain::open(chain_config(blocks_dir, state_dir.path(), access)).expect("the chain opens");
        let snapshot = chain.refresh(&Cancel::new()).expect("the chain can be read");
        let tip = snapshot.tip().expect("it has a genesis block").height;
        let spans: Vec<RecordSpan> =
            (0..=tip.0).map(|height| snapshot.block(Height(height)).expect("it is on disk").span).collect();
        let bytes = spans.iter().map(|span| u64::from(span.size)).sum();
        Self {
            blocks_dir: blocks_dir.to_owned(),
            is_mapped,
            workers,
            spans,
            bytes,
            watch: absent_watch_set(WATCHED_SCRIPTS, 0),
            chain,
            _state_dir: state_dir,
        }
    }

    fn access_name(&self) -> &'static str {
        if self.is_mapped { "mapped" } else { "read" }
    }

    fn access(&self) -> Access {
        if self.is_mapped { mapped_access() } else { Access::read() }
    }

    /// Each thread takes block after block and reads all of its bytes.
    fn plain_readers(&self) -> Duration {
        self.in_parallel(|blocks| {
            let mut all = 0;
            blocks.for_each(&mut |_height, block| all ^= xor_of(block.bytes()));
            black_box(all);
        })
    }

    /// The same, and every block is matched.
    fn engine(&self) -> Duration {
        self.in_parallel(|blocks| {
            let mut coins = CoinMap::new(&self.watch);
            let mut matcher = Matcher::new(&self.watch);
            blocks.for_each(&mut |height, block| {
                let place = if height == 0 { BlockPlace::Genesis } else { BlockPlace::Later };
                black_box(matcher.match_block(block, place, &mut coins).expect("the blocks are whole"));
            });
        })
    }

    /// Opens and maps the files anew each time, like a first reader.
    fn in_parallel(&self, work: impl Fn(&Blocks<'_>) + Sync) -> Duration {
        let next = AtomicUsize::new(0);
        let start = Instant::now();
        let window = self.is_mapped.then(|| self.chain.files().window(&self.spans).expect("the files are there"));
        std::thread::scope(|scope| {
            for _ in 0..self.workers {
                scope.spawn(|| work(&Blocks { setup: self, window: window.as_ref(), next: &next }));
            }
        });
        start.elapsed()
    }

    fn files(&self) -> Vec<File> {
        let files = self.spans.chunk_by(|a, b| a.file == b.file);
        files.map(|spans| File::open(self.chain.files().path(spans[0].file)).expect("the file is there")).collect()
    }

    /// One thread, file after file, like `cat`.
    fn read_sequentially(&self) -> Duration {
        let files = self.files();
        let mut buffer = vec![0; READ_BYTES];
        let start = Instant::now();
        for file in &files {
            let mut offset = 0;
            while let Ok(count @ 1..) = file.read_at(&mut buffer, offset) {
                black_box(xor_of(&buffer[..count]));
                offset += count as u64;
            }
        }
        start.elapsed()
    }

    fn make_cold(&self) {
        for file in self.files() {
            file.sync_all().expect("the disk takes it");
            fadvise(&file, 0, None, Advice::DontNeed).expect("the kernel is asked");
        }
    }

    /// The bytes of the files in the page cache, if `fincore` is available.
    fn cached_bytes(&self) -> Option<u64> {
        let paths = self.spans.chunk_by(|a, b| a.file == b.file).map(|spans| self.chain.files().path(spans[0].file));
        let output = std::process::Command::new("fincore")
            .args(["--bytes", "--noheadings", "--output", "RES"])
            .args(paths)
            .output();
        let text = String::from_utf8(output.ok()?.stdout).ok()?;
        text.lines().map(|line| line.trim().parse::<u64>().ok()).sum()
    }
}

fn chain_config(blocks_dir: &Path, state_dir: &Path, access: Access) -> ChainConfig {
    ChainConfig {
        blocks_dir: blocks_dir.to_owned(),
        network: Some(Network::Regtest),
        signet_challenge: None,
        state_dir: state_dir.to_owned(),
        access,
    }
}

/// Blocks from which threads take one at a time.
struct Blocks<'p> {
    setup: &'p Setup,
    /// `None` for read access.
    window: Option<&'p Window>,
    next: &'p AtomicUsize,
}

impl Blocks<'_> {
    fn for_each(&self, work: &mut dyn FnMut(usize, RawBlock<'_>)) {
        let Setup { spans, chain, .. } = self.setup;
        let files = self.setup.files();
        let mut buffer = Vec::new();
        while let height = self.next.fetch_add(1, Ordering::Relaxed)
            && let Some(span) = spans.get(height)
        {
            if let Some(window) = self.window {
                window
                    .with_block(*span, |block| work(height, block))
                    .expect("the file is there")
                    .expect("it has the block");
                continue;
            }
            buffer.resize(buffer.len().max(span.size as usize), 0);
            let bytes = &mut buffer[..span.size as usize];
            let file = &files[span.file.0 as usize];
            file.read_exact_at(bytes, u64::from(span.offset)).expect("the block is there");
            work(height, RawBlock::new(bytes, chain.files().key().advanced(u64::from(span.offset))));
        }
    }
}

/// A server on a thread of this process, and a connected wallet.
struct ServerThread {
    runtime: tokio::runtime::Runtime,
    client: Option<Client>,
    scripts: Vec<ScriptBuf>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _directory: tempfile::TempDir,
}

impl ServerThread {
    fn start(setup: &Setup) -> Self {
        let directory = tempfile::tempdir_in("/tmp").expect("a temporary directory");
        let socket = directory.path().join("rescan.sock");
        let server = Server::bind(ServerConfig {
            node_socket: None,
            chain: chain_config(&setup.blocks_dir, &directory.path().join("state"), setup.access()),
            socket: socket.clone(),
            workers: NonZeroUsize::new(setup.workers).expect("at least one"),
            limits: SessionLimits::default(),
            metrics: None,
        });
        let server = server.expect("the server binds");
        let (stop, stopped) = oneshot::channel();
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let thread = std::thread::spawn(move || {
            runtime().block_on(server.run(async { drop(stopped.await) })).expect("it serves");
        });
        let runtime = runtime();
        let client = runtime.block_on(Client::connect(&socket)).expect("the server takes a client");
        let scripts = (0..WATCHED_SCRIPTS).map(absent_script).collect();
        Self { runtime, client: Some(client), scripts, running: Some((stop, thread)), _directory: directory }
    }

    /// Scans all blocks for scripts that do not occur. Returns the time from the sealed watch set
    /// to the summary by the server's clock, and the time from the request to the first report.
    fn scan(&self) -> (Duration, Option<Duration>) {
        let mut request = ScanRequest::new();
        request.scripts.clone_from(&self.scripts);
        self.finish(request)
    }

    /// The time from the request to a match in the first block after genesis.
    fn first_match(&self, setup: &Setup) -> Option<Duration> {
        let window = setup.chain.files().window(&setup.spans[1..2]).expect("the file is there");
        let mut bytes = Vec::new();
        window.with_block(setup.spans[1], |raw| raw.copy_clear(&mut bytes)).ok()??;
        let block: bitcoin::Block = bitcoin::consensus::deserialize(&bytes).expect("a block");
        let output = block.txdata.first()?.output.first()?;
        self.finish(ScanRequest::new().script(output.script_pubkey.clone())).1
    }

    fn finish(&self, request: ScanRequest) -> (Duration, Option<Duration>) {
        let client = self.client.as_ref().expect("it is connected until dropped");
        self.runtime.block_on(async {
            let start = Instant::now();
            let mut stream = client.scan(request).await.expect("the server takes a scan");
            let mut first = None;
            loop {
                match stream.next().await.expect("a summary ends the stream") {
                    Ok(ScanEvent::Finished(summary)) => {
                        let micros = summary.elapsed_micros.saturating_sub(summary.prepare_micros);
                        return (Duration::from_micros(micros), first);
                    }
                    Ok(_) => first = first.or(Some(start.elapsed())),
                    Err(error) => panic!("the scan failed: {error}"),
                }
            }
        })
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        self.client = None;
        if let Some((stop, thread)) = self.running.take() {
            let _has_ended = stop.send(());
            drop(thread.join());
        }
    }
}
