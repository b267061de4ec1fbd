//! What is said about words that cannot be taken, without repeating one that could hold a key.

use std::io::Write;
use std::path::Path;

use clap::error::ErrorKind;
use rescan_client::GAP_LIMIT_MAX;

use super::compare::RUNS_MAX;
use crate::exit_code::Exit;

pub(super) fn complain(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader of the help that goes away is no failure.
            drop(error.print());
            Exit::Complete
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            drop(error.print());
            Exit::Usage
        }
        // These repeat the word, and a descriptor that lost its flag may hold a key.
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand if !names_a_flag(error) => {
            write_stderr(
                "error: a word that is no option (not repeated here, since it could hold a key)\n\
                 hint: descriptors go after --descriptor, in quotes; see `rescan scan --help`\n",
            );
            Exit::Usage
        }
        // These name what the program itself is made of, and repeat no value.
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

/// A value that its flag does not take. It is not repeated: a key may have landed behind the wrong flag.
fn bad_value(error: &clap::Error) -> String {
    use clap::error::{ContextKind, ContextValue};
    // The flag with the name of its value, as the definition has them.
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => flag.as_str(),
        _ => "a flag",
    };
    let expected = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(names)) if !names.is_empty() => format!("one of {}", names.join(", ")),
        _ if error.kind() == ErrorKind::TooManyValues => "no value".to_owned(),
        _ if flag.contains("--gap-limit") => format!("a number from 1 to {GAP_LIMIT_MAX}"),
        _ if flag.contains("--runs") => format!("a number from 1 to {RUNS_MAX}"),
        _ if flag.contains("--bitcoin-rpc") => {
            "the address of a node's RPC, http://HOST:PORT, and no user or password".to_owned()
        }
        _ if flag.contains("HEIGHT") => format!("a block's height, a number from 0 to {}", u32::MAX),
        _ if flag.contains("TIME") => "YYYY-MM-DD or seconds since 1970".to_owned(),
        _ if flag.contains("SECONDS") => "a number of seconds, such as 0.5".to_owned(),
        _ if flag.contains("TXID") => "TXID:VOUT or TXID:VOUT:SAT:SCRIPT, with txid and script in hex".to_owned(),
        _ => "a value of another form".to_owned(),
    };
    format!(
        "error: {flag} takes {expected}; something else was given (not repeated here, since it could hold a key)\n\
         hint: see `rescan --help`, `rescan scan --help`\n"
    )
}

/// Whether a word that should be a path looks like a private key or a descriptor with one: it is no path from the root
/// or from here, and has more letters and digits in a row than names usually do, as every encoding of a key has.
pub(crate) fn could_hold_a_key(path: &Path) -> bool {
    /// A private key alone has 51 characters or 52, 64 in hex; an extended one 111.
    const KEY_CHARS_MIN: usize = 48;
    let text = path.to_string_lossy();
    let longest = text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::len).max();
    !text.starts_with(['/', '.']) && longest >= Some(KEY_CHARS_MIN)
}

/// Whether the word that the error repeats is a flag, and a plain one: without a value after `=`.
fn names_a_flag(error: &clap::Error) -> bool {
    use clap::error::{ContextKind, ContextValue};
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => {
            word.starts_with('-') && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        }
        _ => false,
    }
}

/// The text without escape sequences: errors are read in logs as often as on terminals.
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
    // If stderr is gone, the exit code has to say it alone.
    drop(std::io::stderr().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_leave_the_text() {
        assert_eq!(strip_styles("\u{1b}[1merror:\u{1b}[0m no"), "error: no");
    }
}
