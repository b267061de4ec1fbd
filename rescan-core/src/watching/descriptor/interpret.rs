//! Text as a person gives it, and the single-path descriptors that it stands for.

use super::annotations::Annotations;
use super::branches::branches;
use super::placed_key::PlacedKey;
use super::{DescriptorError, bare, outline, text, with_checksum};

/// The descriptors that a text stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreted {
    /// The single-path descriptors in the order of the paths, each with its checksum and without
    /// annotations. Never empty.
    pub branches: Vec<String>,
    /// The annotations behind the descriptor.
    pub annotations: Annotations,
    /// The descriptor that the text stands for, with its checksum and without annotations. None if
    /// the text is that descriptor.
    pub meaning: Option<String>,
}

/// Reads a descriptor with or without annotations (BIP 393), and splits it as [`super::expand`]
/// does. Three further forms are accepted, each with or without annotations and checksum:
///
/// - a descriptor with keys that have a prefix of SLIP 132, each in the function that it means;
/// - `ypub`, `zpub`, `upub` or `vpub` alone, with or without origin and path: `sh(wpkh(..))` or
///   `wpkh(..)`. `/<0;1>/*` is added, unless the path ends in `*`;
/// - an address alone: `addr(..)`.
///
/// # Errors
/// As [`super::expand`]; and if a key is in another function than its prefix means, or stands alone
/// without one.
pub fn interpret(text: &str) -> Result<Interpreted, DescriptorError> {
    let (body, annotations) = text::descriptor(text)?;
    let meant = if body.contains(['(', ')', '{', '}', ',']) {
        let placed = outline::keys(body)?;
        if placed.iter().all(|key| key.plain.is_none()) {
            return Ok(Interpreted { branches: branches(body, &placed)?, annotations, meaning: None });
        }
        with_plain_keys(body, &placed)
    } else {
        bare::meaning(body)?
    };
    let branches = branches(&meant, &outline::keys(&meant)?)?;
    Ok(Interpreted { branches, annotations, meaning: Some(with_checksum(&meant)?) })
}

/// The text with `xpub` and `tpub` in place of the prefixes of SLIP 132.
fn with_plain_keys(body: &str, placed: &[PlacedKey]) -> String {
    let mut text = String::with_capacity(body.len());
    let mut copied = 0;
    for key in placed {
        let Some(plain) = &key.plain else { continue };
        text.push_str(body.get(copied..key.span.start).unwrap_or_default());
        text.push_str(plain);
        copied = key.span.end;
    }
    text.push_str(body.get(copied..).unwrap_or_default());
    text
}
