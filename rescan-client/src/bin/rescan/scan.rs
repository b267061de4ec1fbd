//! `rescan scan`: one scan, from the command line to its summary.

use futures::StreamExt;
use rescan_client::coins::CoinLedger;
use rescan_client::report::{BlockReport, Outcome, Summary};
use rescan_client::{Client, ScanEvent, ScanStream};

use crate::args::ScanArgs;
use crate::exit_code::Exit;
use crate::interrupts::Interrupts;
use crate::labels::Labels;
use crate::output::{Output, human, json};
use crate::progress::Progress;
use crate::resumed;
use crate::settled;
use crate::socket;
use crate::trouble::Trouble;
use crate::watch;

/// When what arrives is printed, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Tables, at the end.
    Human,
    /// JSON Lines, at the end: what does not stand when the scan ends is never printed.
    Json,
    /// JSON Lines as they arrive.
    JsonStream,
}

pub(crate) async fn run(args: &ScanArgs, interrupts: &mut Interrupts) -> Result<Exit, Trouble> {
    let watch = watch::prepare(args)?;
    if let Some(path) = &args.checkpoint {
        return resumed::run(args, path, watch, interrupts).await;
    }
    let form = match (args.json, args.stream) {
        (false, _) => Form::Human,
        (true, false) => Form::Json,
        (true, true) => Form::JsonStream,
    };
    let (client, stream) = tokio::select! {
        begun = begin(args, &watch) => begun?,
        () = interrupts.asked() => return Err(Trouble::interrupted()),
    };
    let mut printer = Printer { output: Output::stdout(), form, labels: watch.labels, settled: Vec::new() };
    let (summary, interrupted) = follow(stream, interrupts, &mut printer).await?;
    let outcome = summary.outcome;
    printer.end(summary, client.bytes_received())?;
    // A scan that was complete before Ctrl-C reached it is complete.
    let cancelled = outcome == Outcome::Cancelled && interrupted;
    Ok(if cancelled { Exit::Interrupted } else { Exit::of_outcome(&outcome) })
}

async fn begin(args: &ScanArgs, watch: &watch::Watch) -> Result<(Client, ScanStream), Trouble> {
    let client = socket::connect(&args.socket).await?;
    watch::check_network(watch, client.greeting().network)?;
    let stream = client.scan(watch.request.clone()).await?;
    Ok((client, stream))
}

/// Reads the scan to its summary; Ctrl-C asks it to end early, once. Says whether that happened.
async fn follow(
    mut stream: ScanStream,
    interrupts: &mut Interrupts,
    printer: &mut Printer,
) -> Result<(Summary, bool), Trouble> {
    let progress = Progress::watch(stream.handle());
    let mut cancelling = None;
    loop {
        tokio::select! {
            event = stream.next() => match event.transpose()? {
                Some(ScanEvent::Report(report)) => progress.suspended(|| printer.report(report))?,
                Some(ScanEvent::Finished(summary)) => return Ok((summary, cancelling.is_some())),
                Some(_) => {}
                None => return Err(Trouble::failed("the scan ended without a summary", "this is a defect of rescan")),
            },
            () = interrupts.asked(), if cancelling.is_none() => {
                let handle = stream.handle();
                // Not awaited here, so that reports are taken meanwhile; what it comes to arrives in the stream.
                cancelling = Some(tokio::spawn(async move { handle.cancel().await }));
            }
        }
    }
}

/// Prints a scan as its form has it.
struct Printer {
    output: Output,
    form: Form,
    labels: Labels,
    /// What arrived and is printed at the end.
    settled: Vec<BlockReport>,
}

impl Printer {
    fn report(&mut self, report: BlockReport) -> Result<(), Trouble> {
        if self.form != Form::JsonStream {
            self.settled.push(report);
            return Ok(());
        }
        for line in json::transactions(&report, &self.labels) {
            self.output.line(&line)?;
        }
        Ok(self.output.flush()?)
    }

    fn end(mut self, mut summary: Summary, bytes_received: u64) -> Result<(), Trouble> {
        // What was streamed is printed, and its summary counts it: the help says what becomes of that.
        if let Outcome::ReorganisedFrom(fork) = summary.outcome
            && self.form != Form::JsonStream
        {
            settled::take_back(&mut self.settled, &mut summary, fork);
        }
        match self.form {
            Form::Human => {
                let mut coins = CoinLedger::new();
                self.settled.iter().for_each(|report| coins.apply(report));
                self.output.text(&human::scan(&self.settled, &coins, &summary, &self.labels, bytes_received))?;
            }
            Form::Json | Form::JsonStream => {
                for line in self.settled.iter().flat_map(|report| json::transactions(report, &self.labels)) {
                    self.output.line(&line)?;
                }
                self.output.line(&json::summary(&summary, &self.labels, bytes_received))?;
            }
        }
        Ok(self.output.finish()?)
    }
}
