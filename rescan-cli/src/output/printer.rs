//! Prints the events of a scan in one of four forms.

use std::io;

use rescan_client::Reverted;
use rescan_client::coins::Coin;
use rescan_client::report::{BlockId, BlockReport, Outcome, Summary};
use rescan_client::{Checkpoint, Deliver, ScanHandle};

use super::progress::ScanProgress;
use super::tables::Section;
use super::{Output, following, json, tables};
use crate::wallets::{Collected, WalletResult, WalletSet};

/// When events are printed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Tables, at the end.
    Tables,
    /// JSON Lines, at the end: transactions that a reorganisation makes void are never printed.
    Json,
    /// JSON Lines as events arrive.
    JsonStream,
    /// Lines of text as events arrive.
    TextStream,
}

/// Prints a scan in its form.
pub(crate) struct Printer {
    writer: EventWriter,
    deliver: Deliver,
    wallets: WalletSet,
    /// Printed or counted at the end.
    collected: Collected,
    /// Whether a summary is still to come.
    awaits_summary: bool,
}

impl Printer {
    pub(crate) fn new(form: Form, deliver: Deliver, wallets: WalletSet) -> Self {
        let writer = EventWriter { output: Output::stdout(), form, progress: None };
        Self { writer, deliver, wallets, collected: Collected::default(), awaits_summary: true }
    }

    /// Shows the progress of a scan that begins, if stderr is a terminal. The summary counts the transactions of the last
    /// scan, as the server does.
    pub(crate) fn begin(&mut self, scan: ScanHandle) {
        self.writer.progress = Some(ScanProgress::of(scan));
        self.collected = Collected::default();
    }

    pub(crate) fn hide_progress(&mut self) {
        self.writer.progress = None;
    }

    pub(crate) fn report(&mut self, report: BlockReport) -> io::Result<()> {
        let wallets = &self.wallets;
        let lines = || {
            let mut lines = Vec::with_capacity(report.transactions.len());
            for (number, own) in wallets.split_report(&report) {
                lines.extend(json::transactions(&own, &wallets.list()[number]));
            }
            lines
        };
        let text = || {
            let split = wallets.split_report(&report).into_iter();
            split.map(|(number, own)| following::transactions(&own, &wallets.list()[number])).collect()
        };
        self.writer.event(lines, text)?;
        let is_kept = match self.writer.form {
            Form::Tables | Form::Json => true,
            // The server counts for all wallets together; the counts of each wallet come from its own reports.
            Form::JsonStream => self.awaits_summary && matches!(self.wallets, WalletSet::Named(..)),
            Form::TextStream => false,
        };
        if is_kept {
            self.collected.history.add(report);
        }
        Ok(())
    }

    pub(crate) fn coin(&mut self, coin: Coin) {
        self.collected.coins.push(coin);
    }

    pub(crate) fn reverted(&mut self, reverted: &Reverted) -> io::Result<()> {
        let wallets = self.wallets.owners(&reverted.origins);
        let lines = || wallets.iter().map(|wallet| json::reverted(reverted, *wallet)).collect();
        self.writer.event(lines, || following::reverted(reverted))
    }

    pub(crate) fn restarted(&mut self) -> io::Result<()> {
        self.awaits_summary = true;
        self.writer.event(|| vec![json::Line::Restarted], following::restarted)
    }

    pub(crate) fn connected(&mut self, block: &BlockId) -> io::Result<()> {
        self.writer.event(|| vec![json::connected(block)], || following::connected(block))
    }

    pub(crate) fn disconnected(&mut self, block: &BlockId) -> io::Result<()> {
        self.writer.event(|| vec![json::disconnected(block)], || following::disconnected(block))
    }

    /// Prints everything collected, and the summary of each wallet. The coins of a resumed scan are those of its
    /// `checkpoint`, since some are from earlier runs.
    pub(crate) fn summary(
        &mut self,
        summary: &Summary,
        bytes_received: u64,
        checkpoint: Option<&Checkpoint>,
    ) -> io::Result<()> {
        self.hide_progress();
        self.awaits_summary = false;
        let (results, summaries) = self.settle(summary, checkpoint);
        let output = &mut self.writer.output;
        let wallets = self.wallets.list();
        match self.writer.form {
            Form::Tables => {
                let parts = wallets.iter().zip(&results).zip(&summaries);
                let sections = parts.map(|((wallet, result), summary)| Section { wallet, result, summary });
                output.text(&tables::scan(sections, self.deliver, summary, bytes_received))?;
            }
            Form::Json | Form::JsonStream => {
                if self.writer.form == Form::Json {
                    json::results(wallets, &results).iter().try_for_each(|line| output.line(line))?;
                }
                for (wallet, summary) in wallets.iter().zip(&summaries) {
                    output.line(&json::summary(summary, wallet, bytes_received))?;
                }
            }
            Form::TextStream if summary.outcome == Outcome::Complete => output.text(&following::caught_up(summary))?,
            Form::TextStream => output.text(&following::stopped(summary))?,
        }
        output.flush()
    }

    /// The result and the summary of each wallet.
    fn settle(&mut self, summary: &Summary, checkpoint: Option<&Checkpoint>) -> (Vec<WalletResult>, Vec<Summary>) {
        let mut recounts = matches!(self.wallets, WalletSet::Named(..));
        // A checkpoint's summary knows the uses of all runs.
        let mut recounts_use = recounts && self.deliver == Deliver::History && checkpoint.is_none();
        let saved = checkpoint.filter(|_| recounts).map(|checkpoint| self.wallets.balances(checkpoint.coins()));
        // Streamed lines were printed, and the summary counts them; the help documents this.
        if let Outcome::ReorganisedFrom(fork) = summary.outcome
            && matches!(self.writer.form, Form::Tables | Form::Json)
        {
            self.collected.revert(fork);
            (recounts, recounts_use) = (true, true);
        }
        let results = std::mem::take(&mut self.collected).split(&self.wallets);
        let own_summary = |(number, result): (usize, &WalletResult)| {
            let mut own = summary.clone();
            own.keychains = self.wallets.keychains_of(number, &summary.keychains).to_vec();
            own.watched_through = self.wallets.keychains_of(number, &summary.watched_through).to_vec();
            if recounts {
                result.recount(&mut own);
            }
            if let Some(balance) = saved.as_ref().and_then(|balances| balances.get(number)) {
                balance.set(&mut own);
            }
            if recounts_use {
                result.set_keychain_use(&mut own);
            }
            own
        };
        let summaries = results.iter().enumerate().map(own_summary).collect();
        (results, summaries)
    }

    /// Hands everything printed so far to the reader.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.output.flush()
    }

    /// Flushes; an error means that the reader did not get all of it.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.writer.output.finish()
    }
}

/// Prints events as they arrive, in the forms that stream.
struct EventWriter {
    output: Output,
    form: Form,
    progress: Option<ScanProgress>,
}

impl EventWriter {
    /// Prints one event and flushes. The progress bar is cleared meanwhile.
    fn event(&mut self, lines: impl FnOnce() -> Vec<json::Line>, text: impl FnOnce() -> String) -> io::Result<()> {
        let (output, form) = (&mut self.output, self.form);
        if matches!(form, Form::Tables | Form::Json) {
            return Ok(());
        }
        let write = || {
            if form == Form::JsonStream {
                lines().iter().try_for_each(|line| output.line(line))?;
            } else {
                output.text(&text())?;
            }
            output.flush()
        };
        match &self.progress {
            Some(progress) => progress.suspend(write),
            None => write(),
        }
    }
}
