//! `rescan scan --checkpoint`: a scan that goes on where the last run ended.
//!
//! Invariant: a line has left this program before a checkpoint that covers it is in its place, so that a run that is
//! killed at any point loses no line; some may come twice.

use std::path::Path;
use std::time::Duration;

use rescan_client::report::{Outcome, Summary};
use rescan_client::{Checkpoint, Client, ResumableScan, ResumeEvent, ScanHandle};

use crate::args::ScanArgs;
use crate::checkpoint_file::CheckpointFile;
use crate::exit_code::Exit;
use crate::interrupts::Interrupts;
use crate::output::{Output, json};
use crate::parties::{Parties, Party};
use crate::progress::Progress;
use crate::socket;
use crate::trouble::Trouble;
use crate::watch::{self, Watch};

/// Marks come at least this often, so that what Ctrl-C leaves behind is nearly up to date.
const MARK_EVERY_MAX: Duration = Duration::from_secs(1);

/// None would mean never.
const MARK_EVERY_MIN: Duration = Duration::from_millis(1);

pub(crate) async fn run(
    args: &ScanArgs,
    path: &Path,
    watch: Watch,
    interrupts: &mut Interrupts,
) -> Result<Exit, Trouble> {
    let file = CheckpointFile::lock(path, args.checkpoint_every)?;
    let loaded = file.load()?;
    let client = tokio::select! {
        connected = connect(args, &watch) => connected?,
        () = interrupts.asked() => return Err(Trouble::interrupted()),
    };
    let Parties::One(party) = watch.parties else {
        return Err(Trouble::usage("--checkpoint is of one wallet", "run once for each wallet, with a file each"));
    };
    let mut request = watch.request;
    request.mark_every = Some(mark_every(args.checkpoint_every));
    let checkpoint = loaded.unwrap_or_else(|| Checkpoint::new(client.server_info().chain.genesis, &request));
    let scan = client.resume(request, checkpoint)?;
    let mut run = Run { file, output: Output::stdout(), party, scan, progress: None };
    let (summary, interrupted) = run.follow(interrupts).await?;
    // A run that ends with a summary is one that the next goes on from.
    run.save()?;
    run.output.line(&json::summary(&summary, &run.party, client.bytes_received()))?;
    run.output.finish()?;
    // A scan that was complete before Ctrl-C reached it is complete.
    let cancelled = summary.outcome == Outcome::Cancelled && interrupted;
    Ok(if cancelled { Exit::Interrupted } else { Exit::of_outcome(&summary.outcome) })
}

/// How often marks are to come where a checkpoint is written so often.
pub(crate) fn mark_every(checkpoint_every: Duration) -> Duration {
    checkpoint_every.clamp(MARK_EVERY_MIN, MARK_EVERY_MAX)
}

async fn connect(args: &ScanArgs, watch: &Watch) -> Result<Client, Trouble> {
    let client = socket::connect(&args.socket).await?;
    watch::check_network(watch, client.server_info().network)?;
    Ok(client)
}

struct Run {
    file: CheckpointFile,
    output: Output,
    party: Party,
    scan: ResumableScan,
    /// Of the scan that runs; none before.
    progress: Option<(ScanHandle, Progress)>,
}

impl Run {
    /// Goes on to the summary; Ctrl-C asks for an early end, once. Says whether that happened.
    async fn follow(&mut self, interrupts: &mut Interrupts) -> Result<(Summary, bool), Trouble> {
        let mut cancelling = None;
        loop {
            tokio::select! {
                event = self.scan.next() => match event {
                    Ok(Some(ResumeEvent::Finished(summary))) => return Ok((summary, cancelling.is_some())),
                    Ok(Some(event)) => self.take_in(event)?,
                    Err(error) => {
                        // What was printed since the last mark is kept, so that it can be withdrawn. That the scan broke
                        // off is the greater trouble.
                        drop(self.save());
                        return Err(error.into());
                    }
                    Ok(None) => {
                        return Err(Trouble::failed("the scan ended without a summary", "this is a defect of rescan"));
                    }
                },
                () = interrupts.asked(), if cancelling.is_none() => {
                    let Some((handle, _bar)) = &self.progress else { return Err(Trouble::interrupted()) };
                    let handle = handle.clone();
                    // Not awaited here, so that reports are taken meanwhile; what it comes to arrives in the stream.
                    cancelling = Some(tokio::spawn(async move { handle.cancel().await }));
                }
            }
        }
    }

    fn take_in(&mut self, event: ResumeEvent) -> Result<(), Trouble> {
        match event {
            ResumeEvent::Began(handle) => {
                self.progress = Some((handle.clone(), Progress::watch(handle)));
                Ok(())
            }
            ResumeEvent::Reverted(withdrawn) => self.print([json::withdrawn(&withdrawn)]),
            ResumeEvent::Restarted => self.print([json::Line::Restarted]),
            ResumeEvent::Report(report) => {
                let lines: Vec<json::Line> = json::transactions(&report, &self.party).collect();
                self.print(lines)
            }
            ResumeEvent::Settled if self.file.is_due() => self.save(),
            _ => Ok(()),
        }
    }

    fn print(&mut self, lines: impl IntoIterator<Item = json::Line>) -> Result<(), Trouble> {
        let output = &mut self.output;
        let write = || {
            lines.into_iter().try_for_each(|line| output.line(&line))?;
            output.flush()
        };
        match &self.progress {
            Some((_handle, bar)) => bar.suspended(write)?,
            None => write()?,
        }
        Ok(())
    }

    /// Everything that is in the checkpoint was printed; here it leaves, and only then is the checkpoint put in place.
    fn save(&mut self) -> Result<(), Trouble> {
        self.output.flush()?;
        Ok(self.file.save(self.scan.checkpoint())?)
    }
}
