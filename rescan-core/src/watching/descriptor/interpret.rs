//! Text as a person gives it, and the single-path descriptors that it stands for.

use super::annotations::Annotations;
use super::{DescriptorError, expand, text};

/// The descriptors that a text stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreted {
    /// The single-path descriptors in the order of the paths, each with its checksum and without
    /// annotations. Never empty.
    pub branches: Vec<String>,
    /// The annotations behind the descriptor.
    pub annotations: Annotations,
    /// The descriptor that the text stands for, with its checksum, if the text is not itself a
    /// descriptor.
    pub meaning: Option<String>,
}

/// Reads a descriptor with or without annotations (BIP 393), and splits it as [`expand`] does.
///
/// # Errors
/// As [`expand`].
pub fn interpret(text: &str) -> Result<Interpreted, DescriptorError> {
    let (_, annotations) = text::descriptor(text)?;
    Ok(Interpreted { branches: expand(text)?, annotations, meaning: None })
}
