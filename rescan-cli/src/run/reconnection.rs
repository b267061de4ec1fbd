//! When a follower reconnects, and how often it tries.

use std::path::PathBuf;
use std::time::Duration;

use rescan_client::report::{FailureKind, RefusalReason};
use rescan_client::{CallError, Client, ConnectError, ScanError};

use crate::error::CliError;

/// The first pause between two attempts: a restarted server is back within a second.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A server to which a follower reconnects.
pub(super) struct Reconnection {
    /// The socket's path, at which there may be no socket for a while.
    socket: PathBuf,
    /// Time to wait before the next attempt.
    pause: Duration,
}

impl Reconnection {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket, pause: PAUSE_MIN }
    }

    /// The server answers: the next attempt is soon again.
    pub(super) fn reset(&mut self) {
        self.pause = PAUSE_MIN;
    }

    /// Connects, however many attempts it takes.
    ///
    /// # Errors
    ///
    /// If another attempt would not help.
    pub(super) async fn connect(&mut self) -> Result<Client, CliError> {
        loop {
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(PAUSE_MAX);
            match Client::connect(&self.socket).await {
                Ok(client) => return Ok(client),
                Err(
                    ConnectError::Missing { .. }
                    | ConnectError::ConnectionRefused { .. }
                    | ConnectError::HungUp
                    | ConnectError::Busy { .. }
                    | ConnectError::NoAnswer { .. },
                ) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The reason to reconnect after an error; none if the error is final. The server may be gone, or at a limit, or unable to
/// read its block files. The last is final before the follower `has_caught_up`: the person who starts it should see it.
pub(super) fn reason_to_reconnect(error: &ScanError, has_caught_up: bool) -> Option<String> {
    match error {
        ScanError::Call(CallError::Disconnected { reason }) => Some(format!("the server is gone ({reason})")),
        ScanError::Call(CallError::Ended) => Some("the server is gone (the scan ended without a summary)".to_owned()),
        ScanError::Call(CallError::Failed { detail }) if has_caught_up => Some(detail.clone()),
        ScanError::Failed(failure) if has_caught_up && failure.kind == FailureKind::Unreadable => {
            Some(failure.to_string())
        }
        ScanError::Call(CallError::Overloaded { detail }) => Some(format!("the server is at a limit ({detail})")),
        ScanError::Refused(refusal) if refusal.reason == RefusalReason::TooManyScans => Some(refusal.detail.clone()),
        _ => None,
    }
}
