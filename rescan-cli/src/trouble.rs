//! What went wrong, for the person at the keyboard: what it is, what to do next, and the exit code.

use std::{fmt, io};

use rescan_client::checkpoint::{ForeignCheckpoint, LoadError, SaveError};
use rescan_client::descriptor::DescriptorError;
use rescan_client::report::{Failure, FailureKind, Refusal, RefusalReason};
use rescan_client::{CallError, ConnectError, ScanError};
use rescan_compare::CompareError;
use rescan_compare::node::NodeError;
use rescan_compare::report::ReportError;
use rescan_core::causes::with_causes;

use crate::exit_code::Exit;

/// Why the command ends without having done what it was asked.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) exit: Exit,
    /// What happened; none where there is nobody to tell: the reader of stdout has gone.
    pub(crate) message: Option<String>,
    /// The next step.
    pub(crate) hint: Option<String>,
}

impl Trouble {
    fn new(exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, message: Some(message.into()), hint: Some(hint.into()) }
    }

    /// Something is broken or missing.
    pub(crate) fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message, hint)
    }

    /// What was asked for cannot be.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message, hint)
    }

    /// A word that should be a path and could be a key, for which reason it is not repeated. `takes` is what the flag takes.
    pub(crate) fn no_path(flag: &str, takes: &str, hint: &str) -> Self {
        Self::usage(
            format!("{flag} takes {takes}; something else was given (not repeated here, since it could hold a key)"),
            hint,
        )
    }

    /// The operating system would not do something that it nearly always does.
    pub(crate) fn system(what: &str, error: &io::Error) -> Self {
        Self::failed(format!("{what}: {error}"), "the operating system refused; its limits (ulimit -a) may be reached")
    }

    /// Ctrl-C where there is no summary to print.
    pub(crate) fn interrupted() -> Self {
        Self { exit: Exit::Interrupted, message: Some("interrupted".to_owned()), hint: None }
    }

    /// A descriptor that cannot be watched. Its text is not repeated: it may hold a key.
    pub(crate) fn descriptor(place: DescriptorPlace, error: &DescriptorError) -> Self {
        let hint = match error {
            DescriptorError::PrivateKey { .. } => {
                "`bitcoin-cli listdescriptors` prints descriptors without private keys".to_owned()
            }
            DescriptorError::WrongNetwork { .. } => {
                "give the socket of a server of that network, or the wallet's descriptors for this one".to_owned()
            }
            DescriptorError::Checksum { .. } => "`bitcoin-cli getdescriptorinfo` computes a checksum".to_owned(),
            DescriptorError::Hardened { .. } => {
                "`bitcoin-cli listdescriptors` shows the extended public key below the hardened steps".to_owned()
            }
            _ => "quote the descriptor in the shell: rescan scan --descriptor 'wpkh(..)'".to_owned(),
        };
        Self::usage(format!("{place} (counted from 0): {error}"), hint)
    }
}

/// Where a descriptor was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DescriptorPlace {
    /// The number of the wallet in the file; none where it was on the command line.
    pub(crate) wallet: Option<usize>,
    pub(crate) descriptor: u32,
}

impl fmt::Display for DescriptorPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wallet {
            Some(wallet) => write!(f, "wallet number {wallet}, descriptor number {}", self.descriptor),
            None => write!(f, "--descriptor number {}", self.descriptor),
        }
    }
}

/// stdout or stderr would not take what was written.
impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // Whoever read the output has had enough, as `head` has: that is no failure.
            return Self { exit: Exit::Complete, message: None, hint: None };
        }
        Self::failed(format!("cannot write the output: {error}"), "is the disk full?")
    }
}

impl From<ConnectError> for Trouble {
    fn from(error: ConnectError) -> Self {
        let hint = match &error {
            ConnectError::Missing { .. } => {
                "is rescan-server running, and is this the path it printed? start it with: rescan-server --datadir DIR"
            }
            ConnectError::NotASocket { .. } => "give the path of rescan-server's socket, usually DATADIR/rescan.sock",
            ConnectError::PermissionDenied { .. } => {
                "the socket is its owner's alone: run this as the user who runs rescan-server, or let it have another --socket"
            }
            ConnectError::NobodyListens { .. } => {
                "rescan-server ended without removing its socket; start it again, it replaces the socket"
            }
            ConnectError::PathTooLong { .. } => "start rescan-server with a shorter --socket PATH",
            ConnectError::ForeignPeer { .. } => {
                "a server of another user could tell this wallet anything; run this as the user who runs rescan-server"
            }
            ConnectError::HungUp => {
                "it may be at its limit of connections, or not serve this user; rescan-server's log says which"
            }
            ConnectError::Busy { .. } => "try again later; rescan-server's log says which limit it is",
            ConnectError::NotCapnProto { .. } => "another program listens there; give rescan-server's socket",
            ConnectError::NotRescan { .. } => {
                "is this Bitcoin Core's own node.sock? rescan-server's socket is rescan.sock beside it"
            }
            ConnectError::NewerProtocol { .. } => "upgrade rescan to the server's version",
            ConnectError::NoAnswer { .. } => "is the server stopped or overloaded? its log may say",
            _ => "see what the operating system said above",
        };
        Self::failed(with_causes(&error), hint)
    }
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        let hint = match &error {
            CallError::Disconnected { .. } => {
                "did rescan-server stop? its log says why; once it runs again, repeat the command: what was printed before is true, and --checkpoint goes on \
                 from there"
            }
            CallError::Overloaded { .. } => "wait for other scans to end, and try again",
            CallError::Failed { .. } => "rescan-server's log says more; it looks again by itself",
            CallError::Unsupported { .. } => "upgrade rescan-server to this rescan's version",
            _ => {
                "this is a defect of rescan-server or rescan, or they differ in version; `rescan info` shows the server's"
            }
        };
        Self::failed(error.to_string(), hint)
    }
}

impl From<ScanError> for Trouble {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Refused(refusal) => refused(&refusal),
            ScanError::Failed(failure) => broken(&failure),
            ScanError::Call(error) => error.into(),
            other => Self::failed(other.to_string(), "`rescan info` shows what the server sees"),
        }
    }
}

impl From<CompareError> for Trouble {
    fn from(error: CompareError) -> Self {
        let hint = match error {
            CompareError::Scan(error) => return error.into(),
            CompareError::NoBlocks => "is the node still at its first blocks? `rescan info` shows what the server sees".to_owned(),
            CompareError::Pruned { lowest } => format!("compare from there: --from-height {lowest}"),
            CompareError::Reorganised { .. } => "nothing is reported; run it again, or --to-height a few blocks below the tip".to_owned(),
            CompareError::Node(error) => return error.into(),
            CompareError::Thread(_) => "the operating system refused; its limits (ulimit -a) may be reached".to_owned(),
            _ => "this is a defect of rescan or of rescan-server, and worth a report: a scan may be wrong where answers differ"
                .to_owned(),
        };
        Self::failed(with_causes(&error), hint)
    }
}

impl From<NodeError> for Trouble {
    fn from(error: NodeError) -> Self {
        Self::failed(with_causes(&error), "without --bitcoin-rpc, the ways over the server's socket are compared alone")
    }
}

impl From<ReportError> for Trouble {
    fn from(error: ReportError) -> Self {
        Self::failed(with_causes(&error), "name another folder with --report; nothing of an older report was changed")
    }
}

impl From<LoadError> for Trouble {
    fn from(error: LoadError) -> Self {
        Self::failed(with_causes(&error), "the file was left as it was")
    }
}

impl From<SaveError> for Trouble {
    fn from(error: SaveError) -> Self {
        Self::failed(
            with_causes(&error),
            "is the disk full, or the directory read-only? what was printed is true; the next run goes on from the last \
             checkpoint that was written",
        )
    }
}

impl From<ForeignCheckpoint> for Trouble {
    fn from(error: ForeignCheckpoint) -> Self {
        Self::usage(
            error.to_string(),
            "give the words that it was begun with, or another --checkpoint file; this one was left as it was",
        )
    }
}

fn refused(refusal: &Refusal) -> Trouble {
    let hint = match refusal.reason {
        RefusalReason::BadGapLimit => "give a --gap-limit from 1 to 1000000",
        RefusalReason::BadRange => "`rescan info` shows the tip that the server sees",
        RefusalReason::TooManyScans | RefusalReason::TooManyEntries => "`rescan info` shows the server's limits",
        RefusalReason::WrongNetwork => "`rescan info` shows the server's network",
        RefusalReason::Unknown => "upgrade rescan to the server's version to hear more",
        _ => "`rescan scan --help` shows what can be watched",
    };
    Trouble::usage(format!("the server refuses: {}", refusal.detail), hint)
}

fn broken(failure: &Failure) -> Trouble {
    let place = failure.at.as_ref().map_or_else(String::new, |at| {
        format!(" (height {}, {} at offset {})", at.height, at.path.display(), at.offset)
    });
    let what = match failure.kind {
        FailureKind::CorruptBlock => "a corrupt block: ",
        _ => "",
    };
    let hint = match failure.at {
        None if failure.kind == FailureKind::LimitReached => {
            "a smaller --gap-limit, or fewer wallets at once, asks for fewer"
        }
        Some(_) => "check that disk; Bitcoin Core can fetch its blocks again with -reindex",
        None => "rescan-server's log says more",
    };
    Trouble::failed(format!("the scan failed: {what}{}{place}", failure.detail), hint)
}
