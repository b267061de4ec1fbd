//! `rescan`: the wallet's side on the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    rescan_cli::main(std::env::args_os())
}
