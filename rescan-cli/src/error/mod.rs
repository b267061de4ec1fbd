//! Errors of the command, each with its next step, and exit codes.

mod cli_error;
mod exit_code;
mod from_client;
mod from_compare;
mod from_fill;
mod from_node;

pub(crate) use self::cli_error::{CliError, DescriptorPosition};
pub(crate) use self::exit_code::{EXIT_CODES_HELP, Exit};
