//! `rescan scan`: one scan, from the command line to its summary.

use futures::StreamExt;
use rescan_client::coins::Coin;
use rescan_client::report::{BlockReport, Outcome, Summary};
use rescan_client::{Client, Deliver, ScanEvent, ScanStream};

use crate::args::ScanArgs;
use crate::exit_code::Exit;
use crate::interrupts::Interrupts;
use crate::output::{Output, human, json};
use crate::parties::Parties;
use crate::progress::Progress;
use crate::resumed;
use crate::settled::{Part, Told};
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
    let deliver = watch.request.deliver;
    let mut printer =
        Printer { output: Output::stdout(), form, deliver, parties: watch.parties, told: Told::default() };
    let (summary, interrupted) = follow(stream, interrupts, &mut printer).await?;
    let outcome = summary.outcome;
    printer.end(&summary, client.bytes_received())?;
    // A scan that was complete before Ctrl-C reached it is complete.
    let cancelled = outcome == Outcome::Cancelled && interrupted;
    Ok(if cancelled { Exit::Interrupted } else { Exit::of_outcome(&outcome) })
}

async fn begin(args: &ScanArgs, watch: &watch::Watch) -> Result<(Client, ScanStream), Trouble> {
    let client = socket::connect(&args.socket).await?;
    watch::check_network(watch, client.server_info().network)?;
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
                Some(ScanEvent::Coin(coin)) => printer.coin(coin),
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
    deliver: Deliver,
    parties: Parties,
    /// What arrived and is printed or counted at the end.
    told: Told,
}

impl Printer {
    fn report(&mut self, report: BlockReport) -> Result<(), Trouble> {
        if self.form == Form::JsonStream {
            for (number, own) in self.parties.split_report(&report) {
                for line in json::transactions(&own, &self.parties.list()[number]) {
                    self.output.line(&line)?;
                }
            }
            self.output.flush()?;
        }
        // The server counts for all wallets together, so that each one's own reports have to be counted here.
        if self.form != Form::JsonStream || matches!(self.parties, Parties::Wallets(..)) {
            self.told.history.add(report);
        }
        Ok(())
    }

    fn coin(&mut self, coin: Coin) {
        self.told.coins.push(coin);
    }

    fn end(mut self, summary: &Summary, bytes_received: u64) -> Result<(), Trouble> {
        let mut recount = matches!(self.parties, Parties::Wallets(..));
        let mut reuse = recount && self.deliver == Deliver::History;
        // What was streamed is printed, and its summary counts it: the help says what becomes of that.
        if let Outcome::ReorganisedFrom(fork) = summary.outcome
            && self.form != Form::JsonStream
        {
            self.told.take_back(fork);
            (recount, reuse) = (true, true);
        }
        let parts = std::mem::take(&mut self.told).split(&self.parties);
        let own_summary = |(number, part): (usize, &Part)| {
            let mut own = summary.clone();
            own.keychains = self.parties.keychains_of(number, &summary.keychains).to_vec();
            own.watched_through = self.parties.keychains_of(number, &summary.watched_through).to_vec();
            if recount {
                part.count(&mut own);
            }
            if reuse {
                part.note_uses(&mut own);
            }
            own
        };
        let summaries: Vec<Summary> = parts.iter().enumerate().map(own_summary).collect();
        match self.form {
            Form::Human => self.tables(&parts, &summaries, summary, bytes_received)?,
            Form::Json | Form::JsonStream => self.lines(&parts, &summaries, bytes_received)?,
        }
        Ok(self.output.finish()?)
    }

    fn tables(
        &mut self,
        parts: &[Part],
        summaries: &[Summary],
        whole: &Summary,
        bytes_received: u64,
    ) -> Result<(), Trouble> {
        let parties = self.parties.list().iter().zip(parts).zip(summaries);
        let sections = parties.map(|((party, part), summary)| human::section(party, part, self.deliver, summary));
        let sections: Vec<String> = sections.collect();
        Ok(self.output.text(&human::scan(&sections, whole, bytes_received))?)
    }

    /// What was not streamed in chain order, whosever it is; then a summary each.
    fn lines(&mut self, parts: &[Part], summaries: &[Summary], bytes_received: u64) -> Result<(), Trouble> {
        let parties = self.parties.list();
        if self.form == Form::Json {
            let whose = || parties.iter().zip(parts);
            let reports = whose().flat_map(|(party, part)| part.reports.iter().map(move |report| (party, report)));
            let mut transactions: Vec<_> = reports
                .flat_map(|(party, report)| report.transactions.iter().map(move |it| (party, report, it)))
                .collect();
            // Stable: within a transaction, wallets keep their order.
            transactions.sort_by_key(|(_party, report, transaction)| (report.height, transaction.tx_index));
            for (party, report, transaction) in transactions {
                self.output.line(&json::transaction(report, transaction, party))?;
            }
            let coins = whose().flat_map(|(party, part)| part.coins.iter().map(move |coin| (party, coin)));
            let mut coins: Vec<_> = coins.collect();
            coins.sort_by_key(|(_party, coin)| (coin.height, coin.tx_index, coin.outpoint.vout));
            for (party, coin) in coins {
                self.output.line(&json::coin(coin, party))?;
            }
        }
        for (party, summary) in parties.iter().zip(summaries) {
            self.output.line(&json::summary(summary, party, bytes_received))?;
        }
        Ok(())
    }
}
