//! The command `rescan`. The library exists for its man pages and completions, which come from [`command`].
//!
//! In the order of the data: `args` parses the command line, `request` makes a scan request of it, `run` reads the events
//! of the scan, and `output` prints them. `wallets` assigns a result to its wallets; `error` has messages and exit codes.
//! Data goes to stdout, everything else to stderr.

mod error;

mod args;
mod wallets;

mod request;

mod output;

mod run;

pub use self::args::command;
pub use self::run::main;
