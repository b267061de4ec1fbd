//! The words of the command line.
//!
//! It checks their form and how they go together; what they mean for a scan is made of them in `crate::watch`. No message
//! repeats a word that could hold a key.

mod compare;
mod complaint;
mod follow;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::compare::CompareArgs;
pub(crate) use self::complaint::could_hold_a_key;
use self::complaint::{complain, write_stderr};
pub(crate) use self::follow::FollowArgs;
pub(crate) use self::watch::WatchArgs;
use self::watch::{AFTER_BIRTHDAY, AFTER_GAP_LIMIT};
use crate::exit_code::{EXIT_CODES_HELP, Exit};

/// Find a wallet's history in a Bitcoin Core node's block files, through rescan-server.
#[derive(Debug, Parser)]
#[command(name = "rescan", version, after_help = EXIT_CODES_HELP, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find what descriptors received and spent, and print it
    ///
    /// Prints each transaction that pays a script of a descriptor, or spends such an output or a given outpoint, in
    /// chain order; then what is left unspent; or, with --coins, that alone. The server reads the node's block files for
    /// it; a node beside it is asked for its tip alone.
    Scan(Box<ScanArgs>),
    /// Find what descriptors received and spent, and go on with every block that comes
    ///
    /// Prints what `scan` prints as it arrives, a summary once that is all, and then each block that the chain gains or
    /// leaves, with the transactions that come or go with it, until Ctrl-C. A connection that is lost is made again, and
    /// nothing is missed meanwhile.
    Follow(Box<FollowArgs>),
    /// Show what the server is and sees
    Info(InfoArgs),
    /// Do the same rescan in several ways, and print what each takes
    ///
    /// Summaries of what the server found; whole blocks, looked through by the wallet; a request for each block: all look for
    /// the same scripts in the same blocks of the live server, and all must give the same answer. A first scan finds how far
    /// the descriptors are used. Each way is run once to warm up and then counted, in turns with the others.
    Compare(Box<CompareArgs>),
    /// Rescan six wallets in a datadir that comes with this program, and compare with Bitcoin Core's own answers
    Demo(DemoArgs),
    /// Write the man pages and shell completions of this command into a folder
    #[command(hide = true)]
    Generate(GenerateArgs),
}

/// How to reach the server.
#[derive(Clone, Debug, Args)]
pub(crate) struct SocketArgs {
    /// The server's Unix socket [default: the only rescan.sock in ~/.bitcoin and its network folders]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Take the socket of this network in ~/.bitcoin
    #[arg(long, value_name = "NAME", conflicts_with = "socket")]
    pub(crate) network: Option<NetworkName>,
}

/// A network, as Bitcoin Core's folders are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkName {
    Main,
    #[value(name = "testnet3", alias = "test", help = "Also called test")]
    Testnet3,
    Testnet4,
    Signet,
    Regtest,
}

#[derive(Debug, Args)]
#[command(after_help = format!("{SCAN_EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
#[command(group(ArgGroup::new("watched").args(["descriptors", "outpoints", "wallets"]).required(true).multiple(true)))]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    /// Descriptors of several wallets, in a JSON file: {"name": ["descriptor", ..], ..}
    ///
    /// All are looked for in one pass over the blocks, and each is told what is its own: every line printed names its
    /// wallet in `wallet`, and there is a summary for each, whose transactions, coins and keychains are its own.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["descriptors", "outpoints"], help_heading = WATCHED)]
    #[arg(display_order = AFTER_GAP_LIMIT)]
    pub(crate) wallets: Option<PathBuf>,
    /// The last block to scan [default: the tip]
    #[arg(long, value_name = "HEIGHT", help_heading = BLOCKS, display_order = AFTER_BIRTHDAY)]
    pub(crate) to_height: Option<u32>,
    /// Only what is unspent at the end of the range, and no history
    ///
    /// What was received and spent again within the range cancels out on the server, so that what crosses grows with the
    /// coins and not with the history. A scan that ends `reorganised` gives none.
    #[arg(long, conflicts_with = "stream", help_heading = PRINTED)]
    pub(crate) coins: bool,
    /// Print JSON Lines on stdout: a transaction each, or with --coins a coin each, then the summary
    #[arg(long, help_heading = PRINTED)]
    pub(crate) json: bool,
    /// With --json, print each transaction as it arrives and not when the answer is settled
    ///
    /// A line with `"late":true` is about a block that was passed before its scripts were known; it has the new matches
    /// alone, and belongs together with other lines of the same block_hash and txid.
    ///
    /// If the summary's outcome is `reorganised`, what was printed from its `outcome_height` on is void, and the
    /// summary's `transactions`, `unspent_count`, `unspent_sat` and `keychains` still count it. Without --stream they do not.
    #[arg(long, requires = "json", help_heading = PRINTED)]
    pub(crate) stream: bool,
    /// Keep in this file how far the scan got, and go on from there the next time; prints as --stream does
    ///
    /// A run that was cut short at any point can be run again with the same words. What was printed by all runs, each
    /// transaction by block hash and txid once, is what one scan prints. A `withdrawn` line takes a transaction back whose
    /// block the chain has left; after a `restarted` line, everything before it is void. The file tells which coins the
    /// wallet has: it is made for its owner alone.
    #[arg(long, value_name = "FILE", requires = "json", conflicts_with_all = ["coins", "wallets"])]
    #[arg(help_heading = PRINTED)]
    pub(crate) checkpoint: Option<PathBuf>,
    /// With --checkpoint, how often the file is written at most, in seconds; a fraction will do
    #[arg(long, value_name = "SECONDS", requires = "checkpoint", default_value = "5", value_parser = parse_seconds)]
    #[arg(hide_short_help = true, help_heading = PRINTED)]
    pub(crate) checkpoint_every: Duration,
    #[command(flatten, next_help_heading = SERVER)]
    pub(crate) socket: SocketArgs,
}

/// What the options of a scan are about, in the order in which a person meets the questions.
const WATCHED: &str = "What to look for";
const BLOCKS: &str = "Which blocks";
const PRINTED: &str = "What is printed";
const SERVER: &str = "Where the server is";

const SCAN_EXAMPLES: &str = "\
Examples:
  rescan scan --descriptor 'wpkh([d34db33f/84h/0h/0h]xpub6.../<0;1>/*)' --birthday 2021-05-01
  rescan scan --descriptor 'addr(bc1q...)' --json | jq -r 'select(.type == \"transaction\") | .txid'
  rescan scan --descriptor 'tr(xpub6.../0/*)' --gap-limit 20 --coins    what it could spend now
  rescan scan --wallets wallets.json --json    many wallets in one pass over the blocks
  bitcoin-cli listdescriptors    shows what a wallet of Bitcoin Core watches";

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
    /// Print all of one wallet's history instead of the table
    #[arg(long, value_name = "NAME")]
    pub(crate) wallet: Option<String>,
    /// The rescan-server to start [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) server: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The folder, which is made where it is missing
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

/// Reads the command line. What there is to say (help, version, mistakes) is said here.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, Exit> {
    let cli = Cli::try_parse_from(words).map_err(|error| complain(&error))?;
    let ends = match &cli.command {
        Command::Scan(args) => (args.watch.from_height, args.to_height),
        Command::Compare(args) => (args.from_height, args.to_height),
        Command::Follow(_) | Command::Info(_) | Command::Demo(_) | Command::Generate(_) => (None, None),
    };
    if let (Some(from), Some(to)) = ends
        && from > to
    {
        write_stderr(&format!(
            "error: --from-height {from} is above --to-height {to}\nhint: both ends are scanned, the lower one first\n"
        ));
        return Err(Exit::Usage);
    }
    Ok(cli)
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_not_a_number: std::num::ParseFloatError| "expected seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn words(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_lists_the_exit_codes() {
        for command in ["rescan", "rescan scan", "rescan follow", "rescan info", "rescan demo", "rescan compare"] {
            let help = words(&format!("{command} --help")).expect_err("help is an error to clap").to_string();
            assert!(help.contains(EXIT_CODES_HELP), "{command}");
        }
    }

    #[test]
    fn something_must_be_watched() {
        assert_eq!(
            words("rescan scan --socket s").map(|_| ()).map_err(|error| error.kind()),
            Err(ErrorKind::MissingRequiredArgument)
        );
    }

    #[test]
    fn a_height_and_a_birthday_exclude_each_other() {
        let error = words("rescan scan --descriptor d --from-height 1 --birthday 2").expect_err("they conflict");
        assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn a_comparison_is_shown_without_what_it_looks_for() {
        let line = "rescan compare --socket /home/satoshi/s --descriptor wpkh(key) --descriptor tr(key) --to-height 9 --runs 2";
        let Ok(Cli { command: Command::Compare(args) }) = words(line) else { panic!("it is a comparison") };
        assert_eq!(
            args.shown(),
            "rescan compare --socket PATH --descriptor DESC --descriptor DESC --to-height 9 --runs 2"
        );
        assert!(
            words("rescan compare --socket s").is_err() && words("rescan compare --descriptor d --runs 0").is_err()
        );
    }

    #[test]
    fn streaming_is_for_json() {
        assert!(words("rescan scan --descriptor d --stream").is_err());
    }
}
