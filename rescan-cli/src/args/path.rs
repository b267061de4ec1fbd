//! Paths among the arguments. A descriptor that landed behind the wrong option must not reach a message.

use std::path::Path;

use crate::error::CliError;

/// A private key alone has 51 or 52 characters, 64 in hex; an extended one 111.
const KEY_CHARS_MIN: usize = 48;

/// Refuses the value of `option` if it is no path and could hold a private key.
///
/// # Errors
///
/// [`CliError::not_a_path`], which names `expected` and does not repeat the value.
pub(crate) fn refuse_key(option: &str, expected: &str, path: &Path) -> Result<(), CliError> {
    if could_hold_a_key(path) && !path.exists() {
        return Err(CliError::not_a_path(option, expected));
    }
    Ok(())
}

/// Whether a path looks like a private key or a descriptor with one: it does not start at the root or the current
/// directory, and has more letters and digits in a row than names usually have, as every encoding of a key does.
fn could_hold_a_key(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let longest = text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::len).max();
    !text.starts_with(['/', '.']) && longest >= Some(KEY_CHARS_MIN)
}
