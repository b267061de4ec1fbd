//! The lines of one configuration file (`GetConfigOptions`, `src/common/config.cpp`).

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::error::{LocateError, Place};

/// A larger file is no configuration. People keep a few hundred lines in one.
const CONF_BYTES_MAX: u64 = 1 << 20;

/// The options that are kept; all others are skipped, as bitcoin-cli does.
const KEPT: [&str; 13] = [
    "chain",
    "datadir",
    "includeconf",
    "regtest",
    "rpcauth",
    "rpcconnect",
    "rpccookiefile",
    "rpcpassword",
    "rpcport",
    "rpcuser",
    "signet",
    "testnet",
    "testnet4",
];

/// `option=value`, with its place. It has no `Debug`: the value may be a password.
pub(super) struct Entry {
    /// The chain of its section; empty outside of one.
    pub(super) section: String,
    /// Without `no` before it.
    pub(super) name: String,
    /// None if it is negated (`noname=1`).
    pub(super) value: Option<String>,
    pub(super) place: Place,
}

/// Reads a file. None if there is none.
///
/// # Errors
/// [`LocateError::Unreadable`] or [`LocateError::BadLine`].
pub(super) fn read(path: &Path) -> Result<Option<Vec<Entry>>, LocateError> {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LocateError::Unreadable { path: path.to_owned(), source }),
    };
    parse(&text, &Arc::from(path)).map(Some)
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    // A pipe or a device would block or never end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file"));
    }
    fs::File::open(path)?.take(CONF_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > CONF_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {CONF_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn parse(text: &str, path: &Arc<Path>) -> Result<Vec<Entry>, LocateError> {
    let mut entries = Vec::new();
    let mut prefix = String::new();
    for (line, text) in (1..).zip(text.split('\n')) {
        let place = Place { path: Arc::clone(path), line };
        let (text, has_comment) = text.split_once('#').map_or((text, false), |(before, _comment)| (before, true));
        let text = trim(text);
        if text.is_empty() {
            continue;
        }
        if let Some(section) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            prefix = format!("{section}.");
            continue;
        }
        if text.starts_with('-') {
            return Err(LocateError::BadLine { place, detail: "expected an option without a dash before it" });
        }
        let Some((name, value)) = text.split_once('=') else {
            return Err(LocateError::BadLine { place, detail: "expected option=value, found no = in it" });
        };
        let name = format!("{prefix}{}", trim(name));
        if has_comment && name.contains("rpcpassword") {
            return Err(LocateError::BadLine {
                place,
                detail: "found # behind rpcpassword, where it begins a comment",
            });
        }
        let entry = interpret(&name, trim(value), place);
        if entry.name == "conf" {
            return Err(LocateError::BadLine {
                place: entry.place,
                detail: "conf= is for the command line alone; expected includeconf=",
            });
        }
        if KEPT.contains(&entry.name.as_str()) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Splits `section.noname` (`InterpretKey` and `InterpretValue`, `src/common/args.cpp`).
fn interpret(key: &str, value: &str, place: Place) -> Entry {
    let (section, name) = key.split_once('.').unwrap_or(("", key));
    let (name, value) = match name.strip_prefix("no") {
        None => (name, Some(value.to_owned())),
        // `noname=0` is a double negation.
        Some(name) => (name, (!is_true(value)).then(|| "1".to_owned())),
    };
    Entry { section: section.to_owned(), name: name.to_owned(), value, place }
}

/// A switch is on if its value is empty or a number other than 0 (`InterpretBool`): `true` is off.
pub(super) fn is_true(value: &str) -> bool {
    let number = value.trim_start();
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    let digits = digits.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    value.is_empty() || digits.contains(|digit| digit != '0')
}
