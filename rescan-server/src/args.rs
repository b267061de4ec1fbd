//! The command line of `rescan-server`.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use bitcoin::ScriptBuf;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use rescan_core::chain::network::Network;

use crate::blocks::block_file::Access;
use crate::blocks::network_dir::{NetworkDir, NetworkDirError};
use crate::blocks::page_cache::PageCache;
use crate::chain::ChainConfig;
use crate::config::ServerConfig;
use crate::logging::LogFormat;
use crate::metrics::MetricsAddress;
use crate::session::guard::limits::SessionLimits;

/// Answers rescans of wallets from the block files of a Bitcoin Core node, over a Unix socket.
///
/// Runs in the foreground beside the node, as the node's user. The node need not run; if it answers over IPC, it decides which chain is
/// active. Without --socket, the socket and its lock are written into the node's data directory, and nothing else.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "rescan-server", version, after_help = EXIT_CODES, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The node's data directory, as in its option -datadir
    #[arg(long, value_name = "DIR", required_unless_present = "blocks_dir", conflicts_with = "blocks_dir")]
    pub datadir: Option<PathBuf>,

    /// The directory of the block files (blk00000.dat), if the node's -blocksdir moved it; needs --socket
    #[arg(long, value_name = "DIR", requires = "socket")]
    pub blocks_dir: Option<PathBuf>,

    /// The network to serve [default: the only one in the data directory, else main]
    #[arg(long, value_name = "NAME", value_parser = network_names())]
    pub network: Option<Network>,

    /// The socket for wallets [default: rescan.sock in the data directory of the network]
    ///
    /// Only this user and root can connect. The socket of a crashed server is replaced; any other file is left alone.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// The node's IPC socket, or `off` [default: node.sock in the data directory of the network, else beside --socket]
    ///
    /// A node started with -ipcbind=unix reports each change of the active chain; it may start and stop at any time. Needs bitcoin-node v31
    /// or later; without it, the active chain follows from the block files.
    #[arg(long, value_name = "PATH")]
    pub node_socket: Option<PathBuf>,

    /// The directory of the state file, an index of the block files [default: $XDG_STATE_HOME/rescan or ~/.local/state/rescan]
    ///
    /// It may be deleted at any time. The next start then reads all block headers again, which takes minutes on mainnet.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// The number of threads that scan [default: one per core]
    #[arg(long, value_name = "N")]
    pub workers: Option<NonZeroUsize>,

    /// The way to read block files
    #[arg(long, value_name = "HOW", value_enum, default_value_t = AccessName::Mapped)]
    pub access: AccessName,

    /// The page cache after a scan
    ///
    /// The node needs the cache for its own files. Pages that were cached before a scan stay cached in either case.
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub page_cache: PageCache,

    /// The block challenge of a custom signet, as hex; needed only if the node has pruned the first blocks
    #[arg(long, value_name = "HEX", value_parser = challenge)]
    pub signet_challenge: Option<ScriptBuf>,

    /// Serve metrics for Prometheus at unix:PATH or 127.0.0.1:PORT, under /metrics [default: off]
    ///
    /// Only this user and root can use a Unix socket; every user of this machine can use a port. An address that other machines can reach
    /// is refused.
    #[arg(long, value_name = "WHERE")]
    pub metrics: Option<MetricsAddress>,

    /// The format of log lines; RUST_LOG selects the events
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Human)]
    pub log_format: LogFormat,
}

/// The name of Bitcoin Core's IPC socket.
const NODE_SOCKET: &str = "node.sock";

/// Stands for no node, in place of a path.
const NODE_OFF: &str = "off";

const EXIT_CODES: &str = "Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong usage";

const AFTER_LONG_HELP: &str = "\
Exit codes:
  0  stopped by SIGTERM or SIGINT, after delivering the summaries of running scans
  1  failed: the block files cannot be read, or the socket cannot be bound
  2  wrong usage

Environment:
  RUST_LOG   the events to log [default: info]; for example `debug` or `rescan_server=trace`
  NO_COLOR   disables colours in the log

Example:
  rescan-server --datadir ~/.bitcoin             in one terminal
  rescan info --socket ~/.bitcoin/rescan.sock    in another";

/// The names of the networks. Bitcoin Core says `test` for testnet3 in -chain and `testnet` in its switch.
fn network_names() -> impl TypedValueParser<Value = Network> {
    PossibleValuesParser::new([
        PossibleValue::new("main").aliases(["mainnet", "bitcoin"]),
        PossibleValue::new("testnet3").aliases(["test", "testnet"]),
        PossibleValue::new("testnet4"),
        PossibleValue::new("signet").help("the default signet, or a custom one"),
        PossibleValue::new("regtest"),
    ])
    .try_map(|name| name.parse::<Network>())
}

/// The way to read block files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AccessName {
    /// Map finished files into memory: fastest, and safe beside Bitcoin Core; a node that crashes and rewrites finished files can end this
    /// process
    Mapped,
    /// Read all files: half to two thirds of the speed on cached files; no change to a file can end this process
    Read,
}

/// The environment variables that determine defaults.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `$XDG_STATE_HOME`.
    pub state_home: Option<OsString>,
    /// `$HOME`.
    pub home: Option<OsString>,
}

/// An invalid command line that parses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// There are no block files at the given path.
    #[error(transparent)]
    NetworkDir(#[from] NetworkDirError),
    /// Neither a data directory nor a socket was given.
    #[error("--blocks-dir has no default socket: give --socket")]
    NoSocket,
    /// There is no default state directory.
    #[error("neither XDG_STATE_HOME nor HOME is set, so the state file has no default directory: give --state-dir")]
    NoStateDir,
}

impl ArgsError {
    /// Whether the arguments are wrong, rather than the files.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::NetworkDir(_))
    }
}

impl Args {
    /// The configuration from these arguments and the environment. Searches the data directory for networks.
    ///
    /// # Errors
    /// [`ArgsError`], if a value without a default is missing.
    pub fn into_config(self, access: Access, environment: &Environment) -> Result<ServerConfig, ArgsError> {
        let state_dir = match self.state_dir {
            Some(directory) => directory,
            None => default_state_dir(environment).ok_or(ArgsError::NoStateDir)?,
        };
        let (blocks_dir, network, directory) = match (self.blocks_dir, self.datadir) {
            (Some(blocks_dir), _) => (blocks_dir, self.network, None),
            (None, datadir) => {
                let found = NetworkDir::find(&datadir.unwrap_or_default(), self.network)?;
                (found.blocks_dir, Some(found.network), Some(found.directory))
            }
        };
        let default_socket = directory.as_ref().map(|directory| directory.join("rescan.sock"));
        let socket = self.socket.or(default_socket).ok_or(ArgsError::NoSocket)?;
        let node_socket = match self.node_socket {
            Some(path) => Some(path).filter(|path| path.as_os_str() != NODE_OFF),
            None => Some(directory.map_or_else(|| socket.with_file_name(NODE_SOCKET), |it| it.join(NODE_SOCKET))),
        };
        let access = access.with_page_cache(self.page_cache);
        let workers = self.workers.or_else(|| std::thread::available_parallelism().ok());
        Ok(ServerConfig {
            chain: ChainConfig { blocks_dir, network, signet_challenge: self.signet_challenge, state_dir, access },
            socket,
            node_socket,
            workers: workers.unwrap_or(NonZeroUsize::MIN),
            limits: SessionLimits::default(),
            metrics: self.metrics,
        })
    }
}

/// The XDG base directory rule: a relative `$XDG_STATE_HOME` counts as none.
fn default_state_dir(environment: &Environment) -> Option<PathBuf> {
    let absolute = |value: &Option<OsString>| value.as_ref().map(PathBuf::from).filter(|path| path.is_absolute());
    let state_home = absolute(&environment.state_home);
    let state_home =
        state_home.or_else(|| absolute(&environment.home).map(|home| home.join(Path::new(".local/state"))));
    state_home.map(|state_home| state_home.join("rescan"))
}

fn challenge(hex: &str) -> Result<ScriptBuf, String> {
    match ScriptBuf::from_hex(hex) {
        Ok(script) if script.is_empty() => Err("a block challenge is not empty".to_owned()),
        Ok(script) => Ok(script),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::error::ErrorKind;
    use clap::{CommandFactory, Parser};

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Args, ErrorKind> {
        Args::try_parse_from([&["rescan-server"], arguments].concat()).map_err(|error| error.kind())
    }

    fn environment(state_home: &str, home: &str) -> Environment {
        let value = |text: &str| (!text.is_empty()).then(|| OsString::from(text));
        Environment { state_home: value(state_home), home: value(home) }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn one_of_datadir_and_blocks_dir_is_needed_and_only_one() {
        assert_eq!(parse(&[]).unwrap_err(), ErrorKind::MissingRequiredArgument);
        let both = ["--datadir", "/d", "--blocks-dir", "/b", "--socket", "/s"];
        assert_eq!(parse(&both).unwrap_err(), ErrorKind::ArgumentConflict);
        parse(&["--datadir", "/d"]).unwrap();
    }

    #[test]
    fn a_blocks_dir_needs_a_socket() {
        assert_eq!(parse(&["--blocks-dir", "/b"]).unwrap_err(), ErrorKind::MissingRequiredArgument);
        parse(&["--blocks-dir", "/b", "--socket", "/s"]).unwrap();
    }

    #[test]
    fn the_page_cache_is_restored_by_default() {
        let of = |more: &[&str]| {
            let args = parse(&[&["--blocks-dir", "/b", "--socket", "/s"], more].concat()).unwrap();
            args.into_config(Access::read(), &environment("/state", "")).unwrap().chain.access.page_cache()
        };
        assert_eq!(of(&[]), PageCache::Restore);
        assert_eq!(of(&["--page-cache", "keep"]), PageCache::Keep);
    }

    #[test]
    fn the_nodes_socket_is_beside_the_socket_unless_given_or_off() {
        let of = |more: &[&str]| {
            let args = parse(&[&["--blocks-dir", "/b", "--socket", "/run/rescan.sock"], more].concat()).unwrap();
            args.into_config(Access::read(), &environment("/state", "")).unwrap().node_socket
        };
        assert_eq!(of(&[]), Some(PathBuf::from("/run/node.sock")));
        assert_eq!(of(&["--node-socket", "/elsewhere/n"]), Some(PathBuf::from("/elsewhere/n")));
        assert_eq!(of(&["--node-socket", "off"]), None);
    }

    #[test]
    fn zero_workers_are_refused() {
        assert_eq!(parse(&["--datadir", "/d", "--workers", "0"]).unwrap_err(), ErrorKind::ValueValidation);
    }

    #[test]
    fn a_challenge_is_hex_and_not_empty() {
        for bad in ["", "5", "xx"] {
            let arguments = ["--datadir", "/d", "--signet-challenge", bad];
            assert_eq!(parse(&arguments).unwrap_err(), ErrorKind::ValueValidation, "{bad:?}");
        }
        assert!(parse(&["--datadir", "/d", "--signet-challenge", "51"]).unwrap().signet_challenge.is_some());
    }

    #[test]
    fn a_network_is_listed_by_one_name_and_accepted_by_its_usual_others() {
        for name in ["main", "mainnet", "bitcoin"] {
            assert_eq!(parse(&["--datadir", "/d", "--network", name]).unwrap().network, Some(Network::Main));
        }
        for name in ["testnet3", "testnet", "test"] {
            assert_eq!(parse(&["--datadir", "/d", "--network", name]).unwrap().network, Some(Network::Testnet3));
        }
        let mut command = Args::command();
        let help = command.render_help().to_string();
        let words: Vec<&str> = help.split_whitespace().collect();
        assert!(words.join(" ").contains("main, testnet3, testnet4, signet, regtest"), "{help}");
    }

    #[test]
    fn the_exit_codes_are_in_the_help() {
        let help = Args::command().render_long_help().to_string();
        assert!(help.contains("2  wrong usage"), "{help}");
    }

    #[test]
    fn the_state_directory_follows_the_xdg_rule() {
        let of = |state_home, home| default_state_dir(&environment(state_home, home));
        assert_eq!(of("/state", "/home/u"), Some(PathBuf::from("/state/rescan")));
        assert_eq!(of("", "/home/u"), Some(PathBuf::from("/home/u/.local/state/rescan")));
        assert_eq!(of("relative", "/home/u"), Some(PathBuf::from("/home/u/.local/state/rescan")));
        assert_eq!(of("", ""), None);
    }
}
