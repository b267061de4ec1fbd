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

/// Serves wallets' rescans from the block files of a Bitcoin Core node, over a Unix socket.
///
/// Runs beside the node, as the node's user, in the foreground; the node need not run, and where it does and answers over IPC,
/// its own word decides which chain is active. Nothing is written into the
/// node's directories but the socket and its lock, and those only where no --socket is given.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "rescan-server", version, after_help = EXIT_CODES, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The node's data directory, as given to its own -datadir
    #[arg(long, value_name = "DIR", required_unless_present = "blocks_dir", conflicts_with = "blocks_dir")]
    pub datadir: Option<PathBuf>,

    /// The folder that holds blk00000.dat and its like, where the node's -blocksdir moved it; needs --socket
    #[arg(long, value_name = "DIR", requires = "socket")]
    pub blocks_dir: Option<PathBuf>,

    /// Which network's blocks to serve [default: the only one in the data directory, else main]
    #[arg(long, value_name = "NAME", value_parser = network_names())]
    pub network: Option<Network>,

    /// Where wallets connect [default: rescan.sock in the data directory of the network]
    ///
    /// The socket is for this user alone, and root. A socket that a crashed server left behind is replaced; anything else
    /// that lies there is left alone.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Where the node answers over IPC, or `off` [default: node.sock in the data directory of the network, else beside --socket]
    ///
    /// A node started with -ipcbind=unix says which chain is active as soon as that changes. It is looked for again and again, so that it
    /// may come and go. Needs bitcoin-node v31 or later; without, the active chain is told from the block files.
    #[arg(long, value_name = "PATH")]
    pub node_socket: Option<PathBuf>,

    /// Where to remember what was learned of the block files [default: $XDG_STATE_HOME/rescan or ~/.local/state/rescan]
    ///
    /// It may be deleted at any time; the next start then reads all block headers again, which takes minutes on mainnet.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// How many threads scan [default: one a core]
    #[arg(long, value_name = "N")]
    pub workers: Option<NonZeroUsize>,

    /// How block files are read
    #[arg(long, value_name = "HOW", value_enum, default_value_t = AccessName::Mapped)]
    pub access: AccessName,

    /// What scans leave in the page cache
    ///
    /// The node needs the cache for its own. What was in it before a scan stays there, whatever is chosen.
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub page_cache: PageCache,

    /// The block challenge of a custom signet, as hex: needed only where the node pruned the first blocks away
    #[arg(long, value_name = "HEX", value_parser = challenge)]
    pub signet_challenge: Option<ScriptBuf>,

    /// Tell metrics for Prometheus here: unix:PATH, or 127.0.0.1:PORT [default: nowhere]
    ///
    /// A Unix socket is for this user alone, and root. A port can be asked by every user of this machine; an address that other
    /// machines can reach is refused. The path to ask for is /metrics. `rescan info --json` has the same figures.
    #[arg(long, value_name = "WHERE")]
    pub metrics: Option<MetricsAddress>,

    /// How log lines look; RUST_LOG says which are written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Human)]
    pub log_format: LogFormat,

    /// Write the man page and shell completions of this command into this folder, and do nothing else
    #[arg(long, value_name = "DIR", hide = true, exclusive = true)]
    pub generate: Option<PathBuf>,
}

/// What Bitcoin Core names the socket of its IPC.
const NODE_SOCKET: &str = "node.sock";

/// In place of a path: no node is to be asked.
const NODE_OFF: &str = "off";

const EXIT_CODES: &str = "Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong usage";

const AFTER_LONG_HELP: &str = "\
Exit codes:
  0  stopped by SIGTERM or SIGINT, after telling the wallets of running scans how far they came
  1  failed: the block files cannot be read, or the socket cannot be had
  2  wrong usage

Environment:
  RUST_LOG   which events are logged [default: info]; for example `debug` or `rescan_server=trace`
  NO_COLOR   no colours in the log

Example:
  rescan-server --datadir ~/.bitcoin             in one terminal
  rescan info --socket ~/.bitcoin/rescan.sock    in another";

/// The names that networks have here; `test` is what Bitcoin Core's -chain calls testnet3.
fn network_names() -> impl TypedValueParser<Value = Network> {
    PossibleValuesParser::new([
        PossibleValue::new("main"),
        PossibleValue::new("testnet3").alias("test"),
        PossibleValue::new("testnet4"),
        PossibleValue::new("signet").help("the default signet, or a custom one"),
        PossibleValue::new("regtest"),
    ])
    .try_map(|name| name.parse::<Network>())
}

/// How block files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AccessName {
    /// Finished files are mapped into memory: fastest, and safe beside Bitcoin Core, but a node that crashes and rewrites
    /// finished files can end this process
    Mapped,
    /// Files are only read: half to two thirds of the speed where the page cache has them, and nothing that happens to them can end this process
    Read,
}

/// What of the process's environment the defaults depend on.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `$XDG_STATE_HOME`.
    pub state_home: Option<OsString>,
    /// `$HOME`.
    pub home: Option<OsString>,
}

/// What is wrong with a command line that parses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// There are no block files where the arguments say.
    #[error(transparent)]
    NetworkDir(#[from] NetworkDirError),
    /// Neither a data directory nor a socket was given.
    #[error("a blocks directory does not say where the socket goes: give --socket")]
    NoSocket,
    /// There is no default state directory.
    #[error("neither XDG_STATE_HOME nor HOME is set, so that there is no place for the state file: give --state-dir")]
    NoStateDir,
}

impl ArgsError {
    /// Whether other arguments are needed, rather than other files.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::NetworkDir(_))
    }
}

impl Args {
    /// The configuration that these arguments and the environment come to. Looks into the data directory for networks.
    ///
    /// # Errors
    /// [`ArgsError`], if something that has no default is missing.
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
    fn the_page_cache_is_restored_unless_it_is_to_be_kept() {
        let of = |more: &[&str]| {
            let args = parse(&[&["--blocks-dir", "/b", "--socket", "/s"], more].concat()).unwrap();
            args.into_config(Access::read(), &environment("/state", "")).unwrap().chain.access.page_cache()
        };
        assert_eq!(of(&[]), PageCache::Restore);
        assert_eq!(of(&["--page-cache", "keep"]), PageCache::Keep);
    }

    #[test]
    fn the_node_is_looked_for_beside_the_socket_unless_told_where_or_not_to() {
        let of = |more: &[&str]| {
            let args = parse(&[&["--blocks-dir", "/b", "--socket", "/run/rescan.sock"], more].concat()).unwrap();
            args.into_config(Access::read(), &environment("/state", "")).unwrap().node_socket
        };
        assert_eq!(of(&[]), Some(PathBuf::from("/run/node.sock")));
        assert_eq!(of(&["--node-socket", "/elsewhere/n"]), Some(PathBuf::from("/elsewhere/n")));
        assert_eq!(of(&["--node-socket", "off"]), None);
    }

    #[test]
    fn no_workers_are_too_few() {
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
    fn testnet3_is_shown_by_its_name_and_taken_by_cores() {
        for name in ["testnet3", "test"] {
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
