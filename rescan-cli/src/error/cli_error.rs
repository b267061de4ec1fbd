//! The error that ends the command: a message, the next step, and the exit code.

use std::sync::Arc;
use std::{fmt, io};

use rescan_client::descriptor::{self, DescriptorError};

use super::Exit;

/// An error as the person at the keyboard reads it.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) exit: Exit,
    /// None if the reader of stdout has gone: there is nobody to read a message.
    pub(crate) message: Option<String>,
    /// The next step.
    pub(crate) hint: Option<String>,
}

impl CliError {
    fn new(exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, message: Some(message.into()), hint: Some(hint.into()) }
    }

    /// Something is broken or missing.
    pub(crate) fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message, hint)
    }

    /// The request is impossible.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message, hint)
    }

    /// `option` got a value that is no path and could be a private key. The message does not repeat it.
    pub(crate) fn not_a_path(option: &str, expected: &str) -> Self {
        Self::usage(
            format!("{option} takes {expected}; found something else (not repeated here, since it could hold a key)"),
            "put descriptors after --descriptor, in quotes; write the path from the root: /..",
        )
    }

    /// The operating system refused a call that nearly always succeeds.
    pub(crate) fn system(call: &str, error: &io::Error) -> Self {
        Self::failed(format!("{call}: {error}"), "the operating system refused; check its limits (ulimit -a)")
    }

    /// Ctrl-C before there is a summary to print.
    pub(crate) fn interrupted() -> Self {
        Self { exit: Exit::Interrupted, message: Some("interrupted".to_owned()), hint: None }
    }

    /// A stream of events ended before its last one.
    pub(crate) fn no_summary() -> Self {
        Self::failed("the scan ended without a summary", "this is a bug in rescan; please report it")
    }

    /// A descriptor that cannot be watched. The message does not repeat its text, which may hold a key.
    pub(crate) fn descriptor(position: &DescriptorPosition, error: &DescriptorError) -> Self {
        let hint = match error {
            DescriptorError::PrivateKey { .. } => {
                "`bitcoin-cli listdescriptors` prints descriptors without private keys"
            }
            DescriptorError::WrongNetwork { .. } => {
                "give the socket of a server of that network, or the wallet's descriptors for this one"
            }
            DescriptorError::Checksum { .. } => "`bitcoin-cli getdescriptorinfo` computes a checksum",
            DescriptorError::Hardened { .. } => {
                "`bitcoin-cli listdescriptors` shows the extended public key below the hardened steps"
            }
            DescriptorError::BareKey => {
                "name the function of the key, in quotes: 'wpkh(KEY)', or pkh, sh(wpkh(..)) or tr(..)"
            }
            DescriptorError::CosignersMissing { .. } => {
                "every wallet of a multisig can export the whole descriptor, which has the keys of all cosigners"
            }
            _ => position.hint(),
        };
        Self::usage(format!("{position}: {error}"), hint)
    }

    /// The next step spells the descriptor out, if `text` is a public key alone.
    pub(crate) fn spelled_out(mut self, text: &str) -> Self {
        if let Some(whole) = descriptor::spelled_out(text) {
            let others = "pkh(..), wpkh(..), sh(wpkh(..)) and tr(..) take the same key, as its wallet uses it";
            self.hint = Some(format!("give the whole descriptor in quotes: '{whole}'; {others}"));
        }
        self
    }

    /// Appends to the message, if there is one.
    pub(crate) fn with_detail(mut self, detail: &str) -> Self {
        self.message = self.message.map(|message| format!("{message}{detail}"));
        self
    }
}

/// The place of a descriptor, by which messages name it. Numbers count from 0, lines from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DescriptorPosition {
    /// The number of a `--descriptor` option.
    Argument(u32),
    /// A line of a file of descriptors.
    Line { source: Arc<str>, line: u32 },
    /// An entry of a file of JSON.
    Item { source: Arc<str>, number: u32 },
    /// An entry of a wallet in a `--wallets` file.
    WalletItem { wallet: usize, number: u32 },
    /// An entry of a node's wallet.
    NodeItem { wallet: Arc<str>, number: u32 },
}

impl DescriptorPosition {
    /// Whether it is in a file of descriptors.
    pub(crate) fn is_of_file(&self) -> bool {
        matches!(self, Self::Line { .. } | Self::Item { .. })
    }

    /// The next step if the descriptor does not parse.
    fn hint(&self) -> &'static str {
        match self {
            Self::Argument(_) => {
                "quote the descriptor in the shell: rescan scan --descriptor 'wpkh(..)'; a file goes behind --descriptors"
            }
            Self::Line { .. } => "a file has one descriptor a line, and # begins a comment; or it is JSON",
            Self::Item { .. } | Self::WalletItem { .. } => {
                "`bitcoin-cli getdescriptorinfo` shows whether a descriptor is a good one"
            }
            Self::NodeItem { .. } => "give the wallet's other descriptors in a file: --descriptors FILE",
        }
    }
}

impl fmt::Display for DescriptorPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(number) => write!(f, "--descriptor number {number} (counted from 0)"),
            Self::Line { source, line } => write!(f, "{source}, line {line}"),
            Self::Item { source, number } => write!(f, "{source}, descriptor number {number} (counted from 0)"),
            Self::WalletItem { wallet, number } => {
                write!(f, "wallet number {wallet}, descriptor number {number} (counted from 0)")
            }
            Self::NodeItem { wallet, number } => {
                write!(f, "the node's wallet {wallet:?}, descriptor number {number} (counted from 0)")
            }
        }
    }
}

/// A failed write to stdout.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // The reader has closed its end, as `head` does: this is no failure.
            return Self { exit: Exit::Complete, message: None, hint: None };
        }
        Self::failed(format!("cannot write the output: {error}"), "check whether the disk is full")
    }
}
