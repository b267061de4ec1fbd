//! Usage errors, printed without repeating a value that could hold a key.

use std::io::Write;

use clap::error::ErrorKind;
use rescan_client::GAP_LIMIT_MAX;

use super::compare::RUNS_MAX;
use crate::error::Exit;

/// Prints clap's help, version or error, and returns the exit code.
pub(super) fn report(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // If the reader of the help goes away, that is no failure.
            drop(error.print());
            Exit::Complete
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            drop(error.print());
            Exit::Usage
        }
        // clap repeats the argument, and a descriptor that lost its option may hold a key.
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand if !names_an_option(error) => {
            write_stderr(
                "error: unexpected argument (not repeated here, since it could hold a key)\n\
                 hint: put descriptors after --descriptor, in quotes; see `rescan scan --help`\n",
            );
            Exit::Usage
        }
        // These name options and subcommands of the program, and repeat no value.
        ErrorKind::MissingRequiredArgument
        | ErrorKind::MissingSubcommand
        | ErrorKind::ArgumentConflict
        | ErrorKind::UnknownArgument
        | ErrorKind::InvalidSubcommand => {
            let shown = error.render().ansi().to_string();
            let shown = strip_styles(shown.split("\nFor more information").next().unwrap_or(&shown).trim_end());
            write_stderr(&format!("{shown}\nhint: see `rescan --help`, `rescan scan --help`\n"));
            Exit::Usage
        }
        _ => {
            write_stderr(&bad_value(error));
            Exit::Usage
        }
    }
}

/// The message for a bad value of an option. It does not repeat the value: a key may have landed behind the wrong option.
fn bad_value(error: &clap::Error) -> String {
    use clap::error::{ContextKind, ContextValue};
    // The option and the name of its value, as in the help.
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => option.as_str(),
        _ => "an option",
    };
    let expected = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(names)) if !names.is_empty() => format!("one of {}", names.join(", ")),
        _ if error.kind() == ErrorKind::TooManyValues => "no value".to_owned(),
        _ if option.contains("--gap-limit") => format!("a number from 1 to {GAP_LIMIT_MAX}"),
        _ if option.contains("--runs") => format!("a number from 1 to {RUNS_MAX}"),
        _ if option.contains("--bitcoin-rpc") => {
            "the address of a node's RPC, http://HOST:PORT without user or password".to_owned()
        }
        _ if option.contains("HEIGHT") => format!("a block height, a number from 0 to {}", u32::MAX),
        _ if option.contains("TIME") => "YYYY-MM-DD or seconds since 1970".to_owned(),
        _ if option.contains("SECONDS") => "a number of seconds, such as 0.5".to_owned(),
        _ if option.contains("TXID") => "TXID:VOUT or TXID:VOUT:SAT:SCRIPT, with txid and script in hex".to_owned(),
        _ => "another form of value".to_owned(),
    };
    format!(
        "error: {option} takes {expected}; found something else (not repeated here, since it could hold a key)\n\
         hint: see `rescan --help`, `rescan scan --help`\n"
    )
}

/// Whether the argument that the error repeats is an option without a value after `=`.
fn names_an_option(error: &clap::Error) -> bool {
    use clap::error::{ContextKind, ContextValue};
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => {
            argument.starts_with('-') && argument.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        }
        _ => false,
    }
}

/// The text without escape sequences, which would be noise in a log.
fn strip_styles(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_style, after)| after);
    }
    plain.push_str(rest);
    plain
}

pub(super) fn write_stderr(text: &str) {
    // If stderr is gone, only the exit code is left.
    drop(std::io::stderr().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_removed_from_the_text() {
        assert_eq!(strip_styles("\u{1b}[1merror:\u{1b}[0m no"), "error: no");
    }
}
