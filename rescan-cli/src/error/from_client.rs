//! Errors of the client library, each with the next step.

use rescan_client::report::{Failure, FailureKind, Refusal, RefusalReason};
use rescan_client::{CallError, ConnectError, ScanError};
use rescan_client::{LoadError, ResumeError, SaveError};
use rescan_core::causes::with_causes;

use super::CliError;

impl From<ConnectError> for CliError {
    fn from(error: ConnectError) -> Self {
        let hint = match &error {
            ConnectError::Missing { .. } => {
                "is rescan-server running, and is this the path in its log? start it: rescan-server --datadir DIR"
            }
            ConnectError::NotASocket { .. } => "give the path of rescan-server's socket, usually DATADIR/rescan.sock",
            ConnectError::PermissionDenied { .. } => {
                "the socket belongs to the user who runs rescan-server: run rescan as that user, or start the server with another --socket"
            }
            ConnectError::ConnectionRefused { .. } => {
                "rescan-server ended without removing its socket; start it again, it replaces the socket"
            }
            ConnectError::PathTooLong { .. } => "start rescan-server with a shorter --socket PATH",
            ConnectError::ForeignPeer { .. } => {
                "a server of another user could send false data; run rescan as the user who runs rescan-server"
            }
            ConnectError::HungUp => {
                "the server may be at its connection limit, or refuse this user; see rescan-server's log"
            }
            ConnectError::Busy { .. } => "try again later; rescan-server's log names the limit",
            ConnectError::NotCapnProto { .. } => "another program listens there; give rescan-server's socket",
            ConnectError::NotRescan { .. } => {
                "is this Bitcoin Core's own node.sock? rescan-server's socket is rescan.sock beside it"
            }
            ConnectError::NewerProtocol { .. } => "upgrade rescan to the server's version",
            ConnectError::NoAnswer { .. } => "is the server stopped or overloaded? see its log",
            _ => "see the operating system's error above",
        };
        Self::failed(with_causes(&error), hint)
    }
}

impl From<CallError> for CliError {
    fn from(error: CallError) -> Self {
        let hint = match &error {
            CallError::Disconnected { .. } => {
                "did rescan-server stop? see its log; then repeat the command. Lines printed before are valid, and \
                 --checkpoint resumes after them"
            }
            CallError::Overloaded { .. } => "wait for other scans to end, and try again",
            CallError::Failed { .. } => "see rescan-server's log; it retries by itself",
            CallError::Unsupported { .. } => "upgrade rescan-server to the version of this rescan",
            _ => "this is a bug in rescan-server or rescan, or their versions differ; `rescan info` shows the server's",
        };
        Self::failed(error.to_string(), hint)
    }
}

impl From<ScanError> for CliError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Refused(refusal) => refused(&refusal),
            ScanError::Failed(failure) => failed(&failure),
            ScanError::Call(error) => error.into(),
            other => Self::failed(other.to_string(), "`rescan info` shows the server's state"),
        }
    }
}

impl From<LoadError> for CliError {
    fn from(error: LoadError) -> Self {
        Self::failed(with_causes(&error), "the file was not changed")
    }
}

impl From<SaveError> for CliError {
    fn from(error: SaveError) -> Self {
        Self::failed(
            with_causes(&error),
            "is the disk full, or the directory read-only? lines printed before are valid; the next run resumes from \
             the last checkpoint written",
        )
    }
}

impl From<ResumeError> for CliError {
    fn from(error: ResumeError) -> Self {
        Self::usage(
            error.to_string(),
            "use the arguments of the first run, or another --checkpoint file; this file was not changed",
        )
    }
}

fn refused(refusal: &Refusal) -> CliError {
    let hint = match refusal.reason {
        RefusalReason::BadGapLimit => "give a --gap-limit from 1 to 1000000",
        RefusalReason::BadRange => "`rescan info` shows the server's tip",
        RefusalReason::TooManyScans | RefusalReason::TooManyEntries => "`rescan info` shows the server's limits",
        RefusalReason::WrongNetwork => "`rescan info` shows the server's network",
        RefusalReason::Unknown => "upgrade rescan to the server's version, which knows the reason",
        _ => "`rescan scan --help` shows the forms of descriptors and outpoints",
    };
    CliError::usage(format!("the server refuses: {}", refusal.detail), hint)
}

fn failed(failure: &Failure) -> CliError {
    let position = failure.at.as_ref().map_or_else(String::new, |at| {
        format!(" (height {}, {} at offset {})", at.height, at.path.display(), at.offset)
    });
    let kind = match failure.kind {
        FailureKind::CorruptBlock => "a corrupt block: ",
        _ => "",
    };
    let hint = match failure.at {
        None if failure.kind == FailureKind::LimitReached => {
            "reduce the number of scripts: a smaller --gap-limit, or fewer wallets at once"
        }
        Some(_) => "check that disk; Bitcoin Core can fetch its blocks again with -reindex",
        None => "see rescan-server's log",
    };
    CliError::failed(format!("the scan failed: {kind}{}{position}", failure.detail), hint)
}
