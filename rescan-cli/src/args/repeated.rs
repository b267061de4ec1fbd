//! The rule which values of the command line a message may repeat: none that could hold a private key.
//!
//! A key may land behind any option, or behind none. Its encodings are long (51 characters in WIF, 64 in hex, 111 extended,
//! 32 for the entropy of twelve words in hex), and all but hex have capitals. So a message repeats two kinds of values:
//!
//! - **words**: at most 32 characters of `a-z 0-9 _ . : -`, of which at most 20 letters and digits in a row. Numbers, dates,
//!   network names, mistyped options and subcommands are words. No descriptor is one.
//! - **paths**: values of options that take a path. Of those that begin neither with `/` nor with `.`, and do not exist, only
//!   the ones with fewer than 48 letters and digits in a row.

use std::path::Path;

use crate::error::CliError;

const WORD_CHARS_MAX: usize = 32;
const WORD_RUN_MAX: usize = 20;
const PATH_RUN_MAX: usize = 47;

/// Whether the value is a word, and so holds no key.
pub(super) fn is_word(value: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.:-".contains(c);
    value.len() <= WORD_CHARS_MAX && value.chars().all(is_plain) && longest_run(value) <= WORD_RUN_MAX
}

/// The value for a message, if it may be repeated.
pub(super) fn found(value: &str) -> String {
    match value {
        "" => "nothing".to_owned(),
        _ if is_word(value) => value.to_owned(),
        _ => "something else (not repeated here, since it could hold a key)".to_owned(),
    }
}

/// Refuses the value of `option` if it is no path and could hold a private key.
///
/// # Errors
///
/// [`CliError::not_a_path`], which names `expected` and does not repeat the value.
pub(crate) fn refuse_key(option: &str, expected: &str, path: &Path) -> Result<(), CliError> {
    let text = path.to_string_lossy();
    let could_hold_a_key = !text.starts_with(['/', '.']) && longest_run(&text) > PATH_RUN_MAX;
    if could_hold_a_key && !path.exists() {
        return Err(CliError::not_a_path(option, expected));
    }
    Ok(())
}

/// Refuses the value of `option` if it is a descriptor instead of a path.
///
/// # Errors
///
/// [`CliError::usage`], which does not repeat the value.
pub(crate) fn refuse_descriptor(option: &str, path: &Path) -> Result<(), CliError> {
    let text = path.to_string_lossy();
    let body = text.split(['#', '?']).next().unwrap_or_default();
    let is_function =
        || body.split_once('(').is_some_and(|(name, _)| name.bytes().all(|byte| byte.is_ascii_lowercase()));
    if body.ends_with(')') && is_function() && !path.exists() {
        return Err(CliError::usage(
            format!(
                "{option} takes the path of a file; found a descriptor (not repeated here, since it could hold a key)"
            ),
            "put a descriptor behind --descriptor, in quotes",
        ));
    }
    Ok(())
}

fn longest_run(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::len).max().unwrap_or_default()
}
