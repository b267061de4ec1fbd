//! The command line: one subcommand and its arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::usage_error::{report, write_stderr};
use super::{CompareArgs, FillArgs, FollowArgs, ScanArgs, SocketArgs};
use crate::error::{EXIT_CODES_HELP, Exit};

/// Find a wallet's history in a Bitcoin Core node's block files, through rescan-server.
#[derive(Debug, Parser)]
#[command(name = "rescan", version, after_help = EXIT_CODES_HELP, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find the transactions of descriptors, and print them
    ///
    /// Prints each transaction that pays a script of a descriptor, or spends such an output or a given outpoint, in
    /// chain order; then the unspent coins. With --coins, prints the coins alone. The server reads the node's block
    /// files and asks the node for its tip only.
    Scan(Box<ScanArgs>),
    /// Find the transactions of descriptors, and follow the chain from there
    ///
    /// Prints the output of `scan` as it arrives and a summary at the end. Then prints each block that is connected or
    /// disconnected, with its transactions, until Ctrl-C. Reconnects if the connection is lost, and misses nothing
    /// meanwhile.
    Follow(Box<FollowArgs>),
    /// Fill a Bitcoin Core wallet with its history
    ///
    /// Scans for the wallet's descriptors, then has Bitcoin Core rescan the few blocks that match, instead of all. Core
    /// does all bookkeeping. At the end compares the wallet's transactions and coins with the scan. Can be interrupted and
    /// repeated at any point: it goes on with the blocks that are left.
    Fill(Box<FillArgs>),
    /// Show the server's version, chain, limits and counters
    Info(InfoArgs),
    /// Run the same rescan by several methods, and print the cost of each
    ///
    /// The methods: summaries from the server; whole blocks, searched by the wallet; one request per block. All search
    /// the same blocks of the live server for the same scripts, and all must find the same result. A first scan finds how
    /// far the descriptors are used. Each method is run once to warm up and then measured, in turns with the others.
    ///
    /// With an option of a node, that node is measured too, over its RPC: scanblocks, if it has the block filter index,
    /// with getdescriptoractivity; and getblock for each block. Nothing changes on the node.
    Compare(Box<CompareArgs>),
    /// Rescan six wallets in a datadir that comes with this program, and compare with Bitcoin Core's own results
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES_HELP)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// Print one JSON line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES_HELP)]
pub(crate) struct DemoArgs {
    /// Print the whole history of one wallet in place of the table
    #[arg(long, value_name = "NAME")]
    pub(crate) wallet: Option<String>,
    /// The rescan-server to start [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) server: Option<PathBuf>,
}

/// The definition of the command line, from which man pages and completions are made.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the command line. Prints help, version and usage errors itself, and returns the exit code then.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Exit> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let subcommand = arguments.get(1).and_then(|name| name.to_str()).filter(|name| is_subcommand(name));
    let Cli { command } = Cli::try_parse_from(&arguments).map_err(|error| report(&error, subcommand))?;
    let ends = match &command {
        Command::Scan(args) => (args.watch.start.from_height, args.to_height),
        Command::Compare(args) => (args.from_height, args.to_height),
        Command::Follow(_) | Command::Fill(_) | Command::Info(_) | Command::Demo(_) => (None, None),
    };
    if let (Some(from), Some(to)) = ends
        && from > to
    {
        write_stderr(&format!(
            "error: --from-height {from} is above --to-height {to}\nhint: give the lower height first; both are scanned\n"
        ));
        return Err(Exit::Usage);
    }
    Ok(command)
}

fn is_subcommand(name: &str) -> bool {
    command().get_subcommands().any(|subcommand| subcommand.get_name() == name)
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn parsed(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.command)
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_help_lists_the_exit_codes() {
        for command in
            ["rescan", "rescan scan", "rescan follow", "rescan info", "rescan demo", "rescan compare", "rescan fill"]
        {
            let help = parsed(&format!("{command} --help")).expect_err("help is an error to clap").to_string();
            assert!(help.contains(EXIT_CODES_HELP), "{command}");
        }
    }

    #[test]
    fn something_must_be_watched() {
        for command in ["scan", "follow", "compare"] {
            assert_eq!(
                parsed(&format!("rescan {command} --socket s")).map(|_| ()).map_err(|error| error.kind()),
                Err(ErrorKind::MissingRequiredArgument)
            );
        }
    }

    #[test]
    fn options_that_exclude_each_other_are_refused_together() {
        for line in [
            "scan --descriptor d --from-height 1 --birthday 2021-05-01",
            "scan --descriptor d --coins --json --stream",
            "scan --descriptor d --wallets w.json",
        ] {
            let error = parsed(&format!("rescan {line}")).expect_err("they conflict");
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{line}");
        }
    }

    #[test]
    fn streaming_is_for_json() {
        assert!(parsed("rescan scan --descriptor d --stream").is_err());
    }

    #[test]
    fn a_comparison_is_shown_without_its_descriptors_and_paths() {
        let line = "rescan compare --socket /home/satoshi/s --descriptor wpkh(key) --descriptor tr(key) --to-height 9 --runs 2";
        let Ok(Command::Compare(args)) = parsed(line) else { panic!("it is a comparison") };
        assert_eq!(
            args.shown(),
            "rescan compare --socket PATH --descriptor DESC --descriptor DESC --to-height 9 --runs 2"
        );
        assert!(parsed("rescan compare --descriptor d --runs 0").is_err());
    }
}
