//! The subcommands: from a request to its output and exit code.

mod checkpoint_file;
mod compare;
mod demo;
mod fill;
mod follow;
mod info;
mod interrupts;
mod reader;
mod reconnection;
mod scan;
mod source;
mod start;

pub use self::start::main;
