//! The file of `--wallets`: `{"name": ["descriptor", ..], ..}`.
//!
//! No message repeats any of its content: names and descriptors may hold keys, and serde's own messages quote the text
//! that they fail on. Messages name a wallet by its position.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::args::refuse_key;
use crate::error::CliError;

/// The most bytes of a file. A watch set of all the scripts that a server accepts, a descriptor each, stays below it.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

const FORMAT: &str = r#"the file is one JSON object: {"name": ["descriptor", ..], ..}"#;

/// Reads the wallets of a file, in its order: name and descriptors. There is at least one wallet, and each has at least
/// one descriptor. Names may repeat.
pub(super) fn read(path: &Path) -> Result<Vec<(String, Vec<String>)>, CliError> {
    let text = load(path)?;
    let shown = path.display();
    let Entries(wallets) = serde_json::from_str(&text).map_err(|error| {
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
    Ok(wallets)
}

fn load(path: &Path) -> Result<String, CliError> {
    refuse_key("--wallets", "the path of a file", path)?;
    let shown = path.display();
    let unreadable = |error| CliError::usage(format!("cannot read {shown}: {error}"), FORMAT);
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= FILE_BYTES_MAX) {
        return Ok(text);
    }
    Err(CliError::usage(format!("{shown} has more than {FILE_BYTES_MAX} bytes"), "scan for its wallets in parts"))
}

/// The entries of an object in their order. A map would keep only one of two wallets with the same name.
struct Entries(Vec<(String, Vec<String>)>);

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
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
