//! The single-path descriptors of a multipath one (BIP 389).

use super::form::Form;
use super::placed_key::{self, PlacedKey};
use super::{DescriptorError, compile, plain_keys, text, with_checksum};

/// Splits a descriptor into its single-path descriptors, in the order of its paths, each with its
/// checksum. The result has one entry for each element of `<a;b;..>`, and one for a single-path
/// descriptor. Spelling is kept; annotations (BIP 393) are checked and dropped.
///
/// # Errors
/// As [`super::Keychain::parse`], except that the network is not checked.
pub fn expand(text: &str) -> Result<Vec<String>, DescriptorError> {
    let (body, _) = text::descriptor(text)?;
    branches(body, &plain_keys(body)?)
}

/// The branches of a descriptor without checksum, whose keys these are.
pub(super) fn branches(body: &str, placed: &[PlacedKey]) -> Result<Vec<String>, DescriptorError> {
    let branch = |path| single_path(body, placed, path);
    let branches: Vec<String> = (0..placed_key::path_count(placed)?).map(branch).collect();
    for branch in &branches {
        let form = Form::parse(branch)?;
        compile(branch, &form)?;
        if !form.is_miniscript() {
            // The paths differ in numbers only. These can make two keys equal, which only
            // miniscript forbids.
            break;
        }
    }
    branches.iter().map(|branch| with_checksum(branch)).collect()
}

/// The text with each `<a;b;..>` replaced by the element at `path`.
fn single_path(body: &str, placed: &[PlacedKey], path: usize) -> String {
    let mut single = String::with_capacity(body.len());
    let mut copied = 0;
    for key in placed {
        let Some(text) = body.get(key.span.clone()) else { continue };
        let Some((before, (choices, _))) =
            text.split_once('<').and_then(|(before, rest)| Some((before, rest.split_once('>')?)))
        else {
            continue;
        };
        let open = key.span.start.saturating_add(before.len());
        single.push_str(body.get(copied..open).unwrap_or_default());
        single.push_str(choices.split(';').nth(path).unwrap_or_default());
        copied = open.saturating_add(choices.len()).saturating_add(2); // the angle brackets
    }
    single.push_str(body.get(copied..).unwrap_or_default());
    single
}
