//! A file or stdin as text.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

use super::FORMS;
use crate::args::{refuse_descriptor, refuse_key};
use crate::error::CliError;
use crate::output::notice;

/// The most bytes of a file. The descriptors of all the scripts that a server accepts, one script each, stay below it.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The name of stdin as a path.
const STDIN: &str = "-";

/// The text of a file, without its byte order mark.
#[derive(Debug)]
pub(in crate::request) struct Source {
    /// The path, or `stdin`.
    pub(in crate::request) name: Arc<str>,
    pub(in crate::request) text: String,
}

impl Source {
    /// Loads the file that is the value of `option`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is longer than [`BYTES_MAX`], or is no text. The value itself is repeated only if it can be
    /// no key.
    pub(in crate::request) fn load(option: &str, path: &Path) -> Result<Self, CliError> {
        if path.as_os_str() == STDIN {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                notice(&format!("{option} -: reading from the terminal; end with Ctrl-D on a line of its own"));
            }
            return Self::read("stdin", stdin.lock());
        }
        refuse_descriptor(option, path)?;
        refuse_key(option, "the path of a file", path)?;
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
        Self::read(&name, file)
    }

    fn read(name: &str, from: impl Read) -> Result<Self, CliError> {
        let mut bytes = Vec::new();
        from.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(name, &error))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > BYTES_MAX) {
            return Err(CliError::usage(format!("{name} has more than {BYTES_MAX} bytes"), "scan for its parts"));
        }
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(CliError::usage(
                format!("{name} is UTF-16 text, expected UTF-8"),
                "PowerShell writes UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
            ));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let position = error.utf8_error().valid_up_to();
            CliError::usage(format!("{name} is not text: byte {position} is not UTF-8"), FORMS)
        })?;
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Ok(Self { name: name.into(), text })
    }

    /// The next step if there is no descriptor in it.
    pub(in crate::request) fn hint_if_empty(&self) -> &'static str {
        if &*self.name == "stdin" { "did the command before the pipe fail?" } else { FORMS }
    }
}

fn unreadable(name: &str, error: &io::Error) -> CliError {
    CliError::usage(format!("cannot read {name}: {error}"), FORMS)
}

#[cfg(test)]
impl Source {
    /// The content of a file.
    pub(super) fn of(text: impl AsRef<[u8]>) -> Result<Self, CliError> {
        Self::read("file", text.as_ref())
    }
}
