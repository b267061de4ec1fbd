//! `rescan`: the wallet's side on the command line.
//!
//! Data goes to stdout, everything else to stderr. What a word on the command line means is in `args`, what is printed
//! in `output`, what the exit code says in `exit_code`.

mod args;
mod checkpoint_file;
mod compare;
mod demo;
mod exit_code;
mod follow;
mod generate;
mod info;
mod interrupts;
mod labels;
mod output;
mod parties;
mod progress;
mod resumed;
mod scan;
mod settled;
mod socket;
mod trouble;
mod wallets_file;
mod watch;

use std::process::ExitCode;

use args::{Cli, Command};
use exit_code::Exit;
use interrupts::Interrupts;
use trouble::Trouble;

fn main() -> ExitCode {
    let cli = match args::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    match start(&cli) {
        Ok(exit) => exit.into(),
        Err(trouble) => output::report_trouble(&trouble).into(),
    }
}

fn start(cli: &Cli) -> Result<Exit, Trouble> {
    let mut interrupts = Interrupts::listen().map_err(|error| Trouble::system("cannot listen for signals", &error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Trouble::system("cannot start the event loop", &error))?;
    runtime.block_on(async {
        match &cli.command {
            Command::Scan(args) => scan::run(args, &mut interrupts).await,
            Command::Follow(args) => follow::run(args, &mut interrupts).await,
            Command::Compare(args) => interrupts.or(compare::run(args)).await,
            Command::Info(args) => interrupts.or(info::run(args)).await,
            Command::Demo(args) => interrupts.or(demo::run(args)).await,
            Command::Generate(args) => generate::run(args),
        }
    })
}
