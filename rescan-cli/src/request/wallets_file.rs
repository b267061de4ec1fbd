//! The file of `--wallets`: `{"name": .., ..}`. The value of each wallet has any form of JSON that `--descriptors` takes.
//!
//! No message repeats any of its content. Messages name a wallet by its position.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::forms::{Form, Source};
use super::given::GivenDescriptor;
use crate::error::{CliError, DescriptorPosition};

const FORMAT: &str = r#"the file is one JSON object: {"name": ["descriptor", ..], ..}; in place of a list, the output of `bitcoin-cli listdescriptors` is accepted too"#;

/// Reads the wallets of a file, in its order: name and descriptors. There is at least one wallet, and each has at least
/// one descriptor. Names may repeat.
pub(super) fn read(path: &Path) -> Result<Vec<(String, Vec<GivenDescriptor>)>, CliError> {
    let source = Source::load("--wallets", path)?;
    let shown = &source.name;
    let Entries(mut wallets) = serde_json::from_str(&source.text).map_err(|error| {
        // The error's own text would quote the file.
        let (line, column) = (error.line(), error.column());
        CliError::usage(format!("{shown}, line {line}, column {column}: not of the form expected"), FORMAT)
    })?;
    if wallets.is_empty() {
        return Err(CliError::usage(format!("{shown} has no wallets"), FORMAT));
    }
    if let Some(number) = wallets.iter().position(|(_name, descriptors)| descriptors.is_empty()) {
        let message = format!("wallet number {number} (counted from 0) in {shown} has no descriptors");
        return Err(CliError::usage(message, "remove the wallet, or add a descriptor"));
    }
    for (wallet, (_name, descriptors)) in wallets.iter_mut().enumerate() {
        for (number, given) in (0..).zip(descriptors) {
            given.position = DescriptorPosition::WalletItem { wallet, number };
        }
    }
    Ok(wallets)
}

/// The entries of an object in their order. A map would keep only one of two wallets with the same name.
struct Entries(Vec<(String, Vec<GivenDescriptor>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of wallets")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some((name, Form(descriptors))) = map.next_entry()? {
                    entries.push((name, descriptors));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
