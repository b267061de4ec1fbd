//! `rescan follow`: a scan, and then every block as it comes, until Ctrl-C.
//!
//! Invariant: a line has left this program before a checkpoint that covers it is in its place, so that a run that is
//! killed at any point loses no line; some may come twice.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt;
use rescan_client::report::{FailureKind, Outcome, RefusalReason};
use rescan_client::{CallError, Checkpoint, Client, ConnectError, FollowEvent, Follower, ScanError};

use crate::args::FollowArgs;
use crate::checkpoint_file::CheckpointFile;
use crate::exit_code::Exit;
use crate::interrupts::Interrupts;
use crate::output::{Output, json, live, notice};
use crate::parties::{Parties, Party};
use crate::progress::Progress;
use crate::resumed::mark_every;
use crate::socket;
use crate::trouble::Trouble;
use crate::watch::{self, Watch};

/// How soon a lost connection is made again, at first and at last: a server that is restarted is there within a second.
const RETRY_AFTER: Duration = Duration::from_millis(200);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: &FollowArgs, interrupts: &mut Interrupts) -> Result<Exit, Trouble> {
    let watch = watch::prepare_following(args)?;
    let lock = |path: &PathBuf| CheckpointFile::lock(path, args.checkpoint_every);
    let file = args.checkpoint.as_ref().map(lock).transpose()?;
    let loaded = file.as_ref().map(CheckpointFile::load).transpose()?.flatten();
    let path = socket::path(&args.socket)?;
    let client = tokio::select! {
        connected = Client::connect(&path) => connected?,
        () = interrupts.asked() => return Err(Trouble::interrupted()),
    };
    watch::check_network(&watch, client.server_info().network)?;
    let Watch { mut request, parties: Parties::One(party) } = watch else {
        return Err(Trouble::usage("following is for one wallet", "run once for each wallet"));
    };
    request.mark_every = Some(mark_every(args.checkpoint_every));
    let checkpoint = loaded.unwrap_or_else(|| Checkpoint::new(client.server_info().chain.genesis, &request));
    let follower = client.follow(request, checkpoint)?;
    let output = Output::stdout();
    let run = Run {
        path,
        client,
        follower,
        file,
        output,
        party,
        is_json: args.json,
        progress: None,
        caught_up: false,
        has_left: false,
        pause: RETRY_AFTER,
    };
    run.until_the_end(interrupts).await
}

struct Run {
    /// Where the server is, also when its socket is not there for a while.
    path: PathBuf,
    client: Client,
    follower: Follower,
    file: Option<CheckpointFile>,
    output: Output,
    party: Party,
    is_json: bool,
    /// Of the scan that catches up.
    progress: Option<Progress>,
    caught_up: bool,
    /// Blocks were left since it was last saved.
    has_left: bool,
    /// How long to wait before the next attempt, should the connection be lost.
    pause: Duration,
}

/// Why a following broke off, if that may pass: the server is gone, or at a limit, or cannot read the blocks. The last only where
/// it could before, so that a following had `caught_up`: else whoever begins one is told at once.
fn passing(error: &ScanError, caught_up: bool) -> Option<String> {
    match error {
        ScanError::Call(CallError::Disconnected { reason }) => Some(format!("the server is gone ({reason})")),
        ScanError::Call(CallError::Ended) => Some("the server is gone (the scan ended without a word)".to_owned()),
        ScanError::Call(CallError::Failed { detail }) if caught_up => Some(detail.clone()),
        ScanError::Failed(failure) if caught_up && failure.kind == FailureKind::Unreadable => Some(failure.to_string()),
        ScanError::Call(CallError::Overloaded { detail }) => Some(format!("the server is at a limit ({detail})")),
        ScanError::Refused(refusal) if refusal.reason == RefusalReason::TooManyScans => Some(refusal.detail.clone()),
        _ => None,
    }
}

impl Run {
    async fn until_the_end(mut self, interrupts: &mut Interrupts) -> Result<Exit, Trouble> {
        loop {
            let event = tokio::select! {
                event = self.follower.next() => event,
                () = interrupts.asked() => return self.interrupted(),
            };
            let lost = match event {
                Some(Ok(FollowEvent::Stopped(summary))) if summary.outcome == Outcome::Cancelled => {
                    "the server is gone (it is stopping)".to_owned()
                }
                Some(Ok(FollowEvent::Stopped(summary))) => {
                    let line = json::summary(&summary, &self.party, self.client.bytes_received());
                    self.print(&[line], || live::stopped(&summary))?;
                    self.save()?;
                    self.output.finish()?;
                    return Ok(Exit::of_outcome(&summary.outcome));
                }
                Some(Ok(event)) => {
                    self.take_in(event)?;
                    continue;
                }
                Some(Err(error)) => match passing(&error, self.caught_up) {
                    Some(reason) => reason,
                    None => {
                        // What was printed since the last mark is kept, so that it can be withdrawn. That the following
                        // broke off is the greater trouble.
                        drop(self.save());
                        return Err(error.into());
                    }
                },
                None => return Err(Trouble::failed("the following ended by itself", "this is a defect of rescan")),
            };
            self.save()?;
            self.progress = None;
            notice(&format!("{lost}; it is tried again until it goes on, or Ctrl-C"));
            tokio::select! {
                again = self.reconnect() => again?,
                () = interrupts.asked() => return self.interrupted(),
            }
        }
    }

    /// Prints what happened already, and keeps it.
    fn interrupted(mut self) -> Result<Exit, Trouble> {
        while let Some(event) = self.follower.next_ready() {
            self.take_in(event)?;
        }
        self.progress = None;
        self.save()?;
        self.output.finish()?;
        Ok(Exit::Interrupted)
    }

    async fn reconnect(&mut self) -> Result<(), Trouble> {
        self.client = loop {
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(RETRY_AFTER_MAX);
            match Client::connect(&self.path).await {
                Ok(client) => break client,
                Err(
                    ConnectError::Missing { .. }
                    | ConnectError::NobodyListens { .. }
                    | ConnectError::HungUp
                    | ConnectError::Busy { .. }
                    | ConnectError::NoAnswer { .. },
                ) => {}
                Err(error) => return Err(error.into()),
            }
        };
        self.follower.reconnect(self.client.clone())?;
        notice("the server is there again");
        Ok(())
    }

    fn take_in(&mut self, event: FollowEvent) -> Result<(), Trouble> {
        // A scan that has begun may be refused at once: then the pause is to grow.
        if !matches!(event, FollowEvent::Began(_)) {
            self.pause = RETRY_AFTER;
        }
        match event {
            FollowEvent::Began(handle) => self.progress = Some(Progress::watch(handle)),
            FollowEvent::Reverted(it) => self.print(&[json::withdrawn(&it)], || live::withdrawn(&it))?,
            FollowEvent::Restarted => {
                self.caught_up = false;
                self.has_left = true;
                self.print(&[json::Line::Restarted], live::restarted)?;
            }
            FollowEvent::Report(report) => {
                let lines: Vec<json::Line> = json::transactions(&report, &self.party).collect();
                self.print(&lines, || live::transactions(&report))?;
            }
            FollowEvent::Connected(block) => self.print(&[json::connected(&block)], || live::connected(&block))?,
            FollowEvent::Disconnected(block) => {
                self.has_left = true;
                self.print(&[json::disconnected(&block)], || live::disconnected(&block))?;
            }
            FollowEvent::CaughtUp(summary) => {
                self.progress = None;
                // However lately it was saved: nobody knows when the next block comes.
                self.save()?;
                if !std::mem::replace(&mut self.caught_up, true) {
                    let line = json::summary(&summary, &self.party, self.client.bytes_received());
                    self.print(&[line], || live::caught_up(&summary))?;
                }
            }
            // After blocks were left too, nobody knows when the next comes.
            FollowEvent::Settled
                if std::mem::take(&mut self.has_left) || self.file.as_ref().is_some_and(CheckpointFile::is_due) =>
            {
                self.save()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Prints one thing that happened, and lets the reader see it.
    fn print(&mut self, lines: &[json::Line], text: impl FnOnce() -> String) -> Result<(), Trouble> {
        let (output, is_json) = (&mut self.output, self.is_json);
        let write = || {
            if is_json {
                lines.iter().try_for_each(|line| output.line(line))?;
            } else {
                output.text(&text())?;
            }
            output.flush()
        };
        match &self.progress {
            Some(bar) => bar.suspended(write)?,
            None => write()?,
        }
        Ok(())
    }

    /// Everything that is in the checkpoint was printed, and each line has left.
    fn save(&mut self) -> Result<(), Trouble> {
        if let Some(file) = &mut self.file {
            file.save(self.follower.checkpoint())?;
        }
        Ok(())
    }
}
