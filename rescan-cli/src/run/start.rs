//! The start of the command: arguments to a subcommand, its result to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use super::interrupts::Interrupts;
use super::{compare, demo, fill, follow, info, scan};
use crate::args::{self, Command};
use crate::error::{CliError, Exit};
use crate::output;
use crate::request::WatchRequest;

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

/// Runs a subcommand. Files, stdin and a node's wallet are read before signals are listened to: until then, Ctrl-C ends
/// the process by default, even while it waits for a line of stdin.
fn run(command: &Command) -> Result<Exit, CliError> {
    match command {
        Command::Scan(args) => {
            let request = WatchRequest::of_scan(args)?;
            request.print_notes();
            block_on(async move |interrupts| scan::run(args, request, interrupts).await)
        }
        Command::Follow(args) => {
            let request = WatchRequest::of_following(args)?;
            request.print_notes();
            block_on(async move |interrupts| follow::run(args, request, interrupts).await)
        }
        Command::Compare(args) => {
            let request = WatchRequest::of_comparison(args)?;
            request.print_notes();
            block_on(async move |interrupts| interrupts.abort(compare::run(args, request)).await)
        }
        Command::Fill(args) => block_on(async move |interrupts| fill::run(args, interrupts).await),
        Command::Info(args) => block_on(async move |interrupts| interrupts.abort(info::run(args)).await),
        Command::Demo(args) => block_on(async move |interrupts| interrupts.abort(demo::run(args)).await),
    }
}

fn block_on(work: impl AsyncFnOnce(&mut Interrupts) -> Result<Exit, CliError>) -> Result<Exit, CliError> {
    let mut interrupts = Interrupts::listen().map_err(|error| CliError::system("cannot listen for signals", &error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::system("cannot start the event loop", &error))?;
    runtime.block_on(work(&mut interrupts))
}
