//! Whether a descriptor belongs to a network.

use bitcoin::NetworkKind;

use super::form::{self, Form};
use super::placed_key::PlacedKey;
use super::{DescriptorError, plain_keys, text};

/// Checks that a single-path descriptor is one of that network, without compiling it. It takes a
/// tenth of the time of [`Keychain::parse`](super::Keychain::parse), which checks the same.
///
/// # Errors
/// [`DescriptorError::WrongNetwork`], or the first fault of text, functions and keys; one of the
/// script as a whole is not found.
pub fn check_network(text: &str, network: NetworkKind) -> Result<(), DescriptorError> {
    let (body, _) = text::descriptor(text)?;
    let placed = plain_keys(body)?;
    if form::is_address(body) {
        check_form(&Form::parse(body)?, &placed, network)
    } else {
        check_keys(&placed, network)
    }
}

/// The same of a parsed descriptor.
pub(super) fn check_form(form: &Form, placed: &[PlacedKey], expected: NetworkKind) -> Result<(), DescriptorError> {
    if let Form::Address(_, found) = form
        && *found != expected
    {
        return Err(DescriptorError::WrongNetwork { what: "address", expected, found: *found });
    }
    check_keys(placed, expected)
}

fn check_keys(placed: &[PlacedKey], expected: NetworkKind) -> Result<(), DescriptorError> {
    match placed.iter().filter_map(PlacedKey::network).find(|found| *found != expected) {
        Some(found) => Err(DescriptorError::WrongNetwork { what: "extended key", expected, found }),
        None => Ok(()),
    }
}
