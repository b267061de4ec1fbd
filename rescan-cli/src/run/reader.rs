//! The loop of `scan` and `follow`: reads events, prints them, and saves the checkpoint.
//!
//! Invariant: a line is flushed to stdout before a checkpoint that covers it is in place. So a run that is killed at any
//! point loses no line; some may be printed twice.

use rescan_client::report::{Outcome, Summary};
use rescan_client::{Client, ScanHandle};

use super::checkpoint_file::CheckpointFile;
use super::interrupts::Interrupts;
use super::reconnection::{Reconnection, reason_to_reconnect};
use super::source::{Event, Source};
use crate::error::{CliError, Exit};
use crate::output::{Printer, notice};

/// Reads a source to its end.
pub(super) struct Reader {
    pub(super) client: Client,
    pub(super) source: Source,
    pub(super) printer: Printer,
    /// None without `--checkpoint`.
    pub(super) file: Option<CheckpointFile>,
    /// None for a scan, which ends with its connection.
    pub(super) reconnection: Option<Reconnection>,
    pub(super) state: State,
}

/// Progress of the reading.
#[derive(Default)]
pub(super) struct State {
    /// The latest scan of the source.
    scan: Option<ScanHandle>,
    is_cancelled: bool,
    has_caught_up: bool,
    /// Blocks were disconnected since the last save.
    has_disconnected: bool,
}

impl Reader {
    /// Prints events until the last one. Ctrl-C cancels a scan, once, and ends a following.
    pub(super) async fn run(mut self, interrupts: &mut Interrupts) -> Result<Exit, CliError> {
        loop {
            let event = tokio::select! {
                event = self.source.next() => event,
                () = interrupts.requested(), if !self.state.is_cancelled => {
                    if matches!(self.source, Source::Followed(_)) {
                        return self.stop();
                    }
                    self.cancel()?;
                    continue;
                }
            };
            let reason = match event {
                Ok(Some(Event::Ended(summary))) if self.is_reconnected_after(&summary) => {
                    "the server is gone (it is stopping)".to_owned()
                }
                Ok(Some(Event::Ended(summary))) => return self.end(&summary),
                Ok(Some(event)) => {
                    self.handle(event)?;
                    continue;
                }
                Ok(None) => return Err(CliError::no_summary()),
                Err(error) => match self.reason_to_reconnect(&error) {
                    Some(reason) => reason,
                    None => {
                        // The lines since the last mark are saved too, so that the next run can revert them. The error of
                        // the scan matters more than one of this save.
                        drop(self.save());
                        return Err(error.into());
                    }
                },
            };
            self.save()?;
            self.printer.hide_progress();
            notice(&format!("{reason}; reconnecting until it works, or Ctrl-C"));
            tokio::select! {
                connected = self.reconnect() => connected?,
                () = interrupts.requested() => return self.stop(),
            }
        }
    }

    pub(super) fn handle(&mut self, event: Event) -> Result<(), CliError> {
        // A new scan may be refused at once; the pauses must grow then.
        if let Some(reconnection) = &mut self.reconnection
            && !matches!(event, Event::Began(_))
        {
            reconnection.reset();
        }
        let state = &mut self.state;
        match event {
            Event::Began(scan) => {
                self.printer.begin(scan.clone());
                state.scan = Some(scan);
            }
            Event::Report(report) => self.printer.report(report)?,
            Event::Coin(coin) => self.printer.coin(coin),
            Event::Reverted(reverted) => self.printer.reverted(&reverted)?,
            Event::Restarted => {
                state.has_caught_up = false;
                state.has_disconnected = true;
                self.printer.restarted()?;
            }
            Event::Connected(block) => self.printer.connected(&block)?,
            Event::Disconnected(block) => {
                state.has_disconnected = true;
                self.printer.disconnected(&block)?;
            }
            Event::CaughtUp(summary) => {
                self.printer.hide_progress();
                // Even right after the last save: the next block may be long in coming.
                self.save()?;
                if !std::mem::replace(&mut self.state.has_caught_up, true) {
                    self.printer.summary(&summary, self.client.bytes_received(), self.source.checkpoint())?;
                }
            }
            // After disconnected blocks too, the next block may be long in coming.
            Event::Settled
                if std::mem::take(&mut state.has_disconnected)
                    || self.file.as_ref().is_some_and(CheckpointFile::is_due) =>
            {
                self.save()?;
            }
            Event::Settled | Event::Ended(_) | Event::Unknown => {}
        }
        Ok(())
    }

    /// Saves the checkpoint. The lines that it covers are flushed before it replaces the last one.
    fn save(&mut self) -> Result<(), CliError> {
        if let (Some(file), Some(checkpoint)) = (&mut self.file, self.source.checkpoint()) {
            self.printer.flush()?;
            file.save(checkpoint)?;
        }
        Ok(())
    }

    /// Asks the server to end the scan early; the summary will still come.
    fn cancel(&mut self) -> Result<(), CliError> {
        let scan = self.state.scan.clone().ok_or_else(CliError::interrupted)?;
        self.state.is_cancelled = true;
        // Not awaited, so that reports are read meanwhile. The stream has the outcome.
        tokio::spawn(async move { scan.cancel().await });
        Ok(())
    }

    /// Ends a scan with its summary.
    fn end(mut self, summary: &Summary) -> Result<Exit, CliError> {
        // The next run resumes from here.
        self.save()?;
        self.printer.summary(summary, self.client.bytes_received(), self.source.checkpoint())?;
        self.printer.finish()?;
        // A scan that completed before Ctrl-C reached the server is complete.
        let was_cancelled = summary.outcome == Outcome::Cancelled && self.state.is_cancelled;
        Ok(if was_cancelled { Exit::Interrupted } else { Exit::of_outcome(&summary.outcome) })
    }

    /// Ends a following: prints the events that have arrived, and saves them.
    fn stop(mut self) -> Result<Exit, CliError> {
        while let Source::Followed(follower) = &mut self.source
            && let Some(event) = follower.next_ready()
        {
            self.handle(event.into())?;
        }
        self.printer.hide_progress();
        self.save()?;
        self.printer.finish()?;
        Ok(Exit::Interrupted)
    }

    fn is_reconnected_after(&self, summary: &Summary) -> bool {
        self.reconnection.is_some() && summary.outcome == Outcome::Cancelled
    }

    fn reason_to_reconnect(&self, error: &rescan_client::ScanError) -> Option<String> {
        self.reconnection.as_ref().and_then(|_| reason_to_reconnect(error, self.state.has_caught_up))
    }

    async fn reconnect(&mut self) -> Result<(), CliError> {
        if let (Some(reconnection), Source::Followed(follower)) = (&mut self.reconnection, &mut self.source) {
            self.client = reconnection.connect().await?;
            follower.reconnect(self.client.clone())?;
            notice("reconnected to the server");
        }
        Ok(())
    }
}
