//! The start of the command: arguments to a subcommand, its result to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use super::interrupts::Interrupts;
use super::{compare, demo, fill, follow, info, scan};
use crate::args::{self, Command};
use crate::error::{CliError, Exit};
use crate::output;

/// Runs the command, and returns its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match args::parse(arguments) {
        Ok(command) => command,
        Err(exit) => return exit.into(),
    };
    match run(&command) {
        Ok(exit) => exit.into(),
        Err(error) => output::print_error(&error).into(),
    }
}

fn run(command: &Command) -> Result<Exit, CliError> {
    let mut interrupts = Interrupts::listen().map_err(|error| CliError::system("cannot listen for signals", &error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::system("cannot start the event loop", &error))?;
    runtime.block_on(async {
        match command {
            Command::Scan(args) => scan::run(args, &mut interrupts).await,
            Command::Follow(args) => follow::run(args, &mut interrupts).await,
            Command::Fill(args) => fill::run(args, &mut interrupts).await,
            Command::Compare(args) => interrupts.abort(compare::run(args)).await,
            Command::Info(args) => interrupts.abort(info::run(args)).await,
            Command::Demo(args) => interrupts.abort(demo::run(args)).await,
        }
    })
}
