//! Drives a server with clients that misbehave, and reports the promises that it kept.
//!
//! By itself it makes a chain and starts a server for it; with `--socket` it drives one that runs
//! already.
#![expect(clippy::print_stdout, reason = "its purpose is its report")]

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use rescan_client::ScanRequest;
use rescan_fixtures::test_wallet::{ScriptKind, TestWallet};
use rescan_tests::load::{Behaviour, Load};
use rescan_tests::{Manner, Scene, TestServer};

/// Blocks of 100 kB in the chain that it makes for itself.
const BLOCKS: u32 = 1_000;

#[derive(Debug, Parser)]
#[command(about = "Drives a rescan-server with clients that misbehave, and says whether it kept its promises")]
struct Args {
    /// The duration of the load
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// The seed of all randomness
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Only these behaviours, separated by commas (default: all of them)
    #[arg(long, value_delimiter = ',', value_parser = behaviour)]
    only: Vec<Behaviour>,
    /// A server that runs already, of a chain that this program made; its process is --pid
    #[arg(long, requires = "pid")]
    socket: Option<PathBuf>,
    /// The process of that server
    #[arg(long)]
    pid: Option<u32>,
    /// The program to run as the server [default: this one, with the server's library]
    #[arg(long)]
    server: Option<PathBuf>,
    /// Be the server of a datadir, at a socket, with a state folder
    #[arg(long, hide = true, num_args = 3)]
    serve: Option<Vec<PathBuf>>,
}

fn behaviour(name: &str) -> Result<Behaviour, String> {
    let names = Behaviour::ALL.map(Behaviour::name).join(", ");
    Behaviour::ALL.into_iter().find(|it| it.name() == name).ok_or_else(|| format!("expected one of {names}"))
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some([datadir, socket, state]) = args.serve.as_deref() {
        return serve(datadir, socket, state);
    }
    let script = TestWallet::new("load").script(ScriptKind::P2tr, 0);
    let running = if args.socket.is_none() { Some(Running::start(args.server.as_deref(), &script)) } else { None };
    let (socket, pid) = match &running {
        Some(running) => (running.place.socket(), Some(running.child.id())),
        None => (args.socket.clone().unwrap_or_default(), args.pid),
    };
    let load = Load {
        socket,
        pid,
        request: ScanRequest::new().script(script),
        transactions: u64::from(BLOCKS),
        coins: u64::from(BLOCKS * Scene::LADEN_OUTPUTS),
        behaviours: if args.only.is_empty() { Behaviour::ALL.to_vec() } else { args.only },
        time: Duration::from_secs(args.seconds),
        seed: args.seed,
    };
    match load.run() {
        Ok(report) => {
            println!("{}", if args.json { report.json() } else { report.to_string() });
            ExitCode::from(u8::from(!report.broken().is_empty()))
        }
        Err(error) => {
            println!("the server cannot be looked at: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A server of a chain that was made for it.
struct Running {
    place: TestServer,
    child: Child,
}

impl Running {
    fn start(program: Option<&std::path::Path>, script: &bitcoin::Script) -> Self {
        let place = Scene::write(Scene::laden(script, BLOCKS), Manner::default()).server;
        let own = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program.unwrap_or(&own));
        match program {
            Some(_) => command.arg("--datadir").arg(place.datadir()).arg("--socket").arg(place.socket()),
            None => command.arg("--serve").arg(place.datadir()).arg(place.socket()).arg(place.state_dir()),
        };
        if program.is_some() {
            command.arg("--state-dir").arg(place.state_dir());
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("the server starts");
        let began = Instant::now();
        while std::os::unix::net::UnixStream::connect(place.socket()).is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "the server does not listen");
            std::thread::yield_now();
        }
        Self { place, child }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn serve(datadir: &std::path::Path, socket: &std::path::Path, state: &std::path::Path) -> ExitCode {
    use rescan_server::chain::ChainConfig;
    use rescan_server::session::guard::limits::BLOCKING_THREADS_MAX;
    rescan_server::allocator::keep_large_buffers();
    let config = rescan_server::config::ServerConfig {
        chain: ChainConfig {
            blocks_dir: datadir.join("regtest").join("blocks"),
            network: None,
            signet_challenge: None,
            state_dir: state.to_owned(),
            access: rescan_fixtures::private_access::mapped_access(),
        },
        socket: socket.to_owned(),
        workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        limits: rescan_server::session::guard::limits::SessionLimits::default(),
        metrics: None,
        node_socket: None,
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build().expect("a runtime");
    match runtime.block_on(rescan_server::serve(config, std::future::pending())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
