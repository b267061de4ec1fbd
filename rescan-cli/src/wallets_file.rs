//! The file of `--wallets`: `{"name": ["descriptor", ..], ..}`.
//!
//! No message repeats anything of it but its path: names and descriptors may hold keys, and the reader's own messages
//! quote what they stumble on. Wallets are told apart by their position.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::args;
use crate::trouble::Trouble;

/// The most bytes of a file. A watch set of all the scripts that a server takes, a descriptor each, stays below it.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

const FORM: &str = r#"the file is one JSON object: {"name": ["descriptor", ..], ..}"#;

/// The wallets of a file, in its order: name and descriptors. At least one, each of at least one descriptor; names may
/// repeat.
pub(crate) fn read(path: &Path) -> Result<Vec<(String, Vec<String>)>, Trouble> {
    let text = load(path)?;
    let shown = path.display();
    let Entries(wallets) = serde_json::from_str(&text).map_err(|error| {
        // Its text would quote the file.
        let (line, column) = (error.line(), error.column());
        Trouble::usage(format!("{shown}, line {line}, column {column}: not of the form expected"), FORM)
    })?;
    if wallets.is_empty() {
        return Err(Trouble::usage(format!("{shown} has no wallets"), FORM));
    }
    if let Some(number) = wallets.iter().position(|(_name, descriptors)| descriptors.is_empty()) {
        let message = format!("wallet number {number} (counted from 0) in {shown} has no descriptors");
        return Err(Trouble::usage(message, "take it out, or give it one"));
    }
    Ok(wallets)
}

fn load(path: &Path) -> Result<String, Trouble> {
    if args::could_hold_a_key(path) && !path.exists() {
        return Err(Trouble::no_path(
            "--wallets",
            "the path of a file",
            "descriptors go after --descriptor, in quotes; a file's path can be written from the root: /..",
        ));
    }
    let shown = path.display();
    let unreadable = |error| Trouble::usage(format!("cannot read {shown}: {error}"), FORM);
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= FILE_BYTES_MAX) {
        return Ok(text);
    }
    Err(Trouble::usage(format!("{shown} has more than {FILE_BYTES_MAX} bytes"), "scan for its wallets in parts"))
}

/// An object's entries in their order. A map would keep only one of two wallets of the same name.
struct Entries(Vec<(String, Vec<String>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsWritten;
        impl<'de> Visitor<'de> for AsWritten {
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
        deserializer.deserialize_map(AsWritten)
    }
}
