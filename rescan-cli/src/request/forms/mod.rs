//! The forms in which wallets write their descriptors, recognised by content.
//!
//! [`text`] is one descriptor a line. [`json`] is the output of `listdescriptors`, the array of `importdescriptors`, and
//! the exports of other wallets. No message repeats any of the content: it may hold keys, and serde's own messages quote
//! the text that they fail on.

mod account_map;
mod json;
mod source;
mod text;

use std::path::Path;

pub(super) use self::json::Form;
pub(super) use self::source::Source;

use super::given::GivenDescriptor;
use crate::error::{CliError, DescriptorPosition};

/// The accepted forms, for hints.
pub(super) const FORMS: &str = "accepted: one descriptor a line (# begins a comment), the output of `bitcoin-cli \
                                listdescriptors`, the array of importdescriptors, a JSON list of descriptors, or a \
                                descriptor export of Sparrow, Specter or Liana";

/// Reads the descriptors of `--descriptors`: a file, or stdin for `-`. There is at least one.
///
/// # Errors
///
/// If the file cannot be read or has no known form. Descriptors themselves are not checked.
pub(crate) fn read_descriptors(path: &Path) -> Result<Vec<GivenDescriptor>, CliError> {
    descriptors(&Source::load("--descriptors", path)?)
}

fn descriptors(source: &Source) -> Result<Vec<GivenDescriptor>, CliError> {
    let given = if is_json(&source.text) {
        let Form(mut given) = serde_json::from_str(&source.text).map_err(|error| malformed(source, &error))?;
        for (number, given) in (0..).zip(&mut given) {
            given.position = DescriptorPosition::Item { source: source.name.clone(), number };
        }
        given
    } else {
        text::descriptors(source)
    };
    if given.is_empty() {
        return Err(CliError::usage(format!("{} has no descriptors", source.name), source.hint_if_empty()));
    }
    Ok(given)
}

/// The error of JSON that has none of the forms. The parser's own message would quote the text.
pub(super) fn malformed(source: &Source, error: &serde_json::Error) -> CliError {
    let (line, column) = (error.line(), error.column());
    CliError::usage(format!("{}, line {line}, column {column}: not of a known form", source.name), FORMS)
}

/// Whether the text is JSON. A line may also start with a key's origin: `[d34db33f/84h]xpub..`.
fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    let is_origin = || {
        let (fingerprint, rest) = text.get(1..).and_then(|rest| rest.split_at_checked(8)).unwrap_or_default();
        rest.starts_with(['/', ']']) && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    text.starts_with(['{', '"']) || text.starts_with('[') && !is_origin()
}

#[cfg(test)]
mod tests;
