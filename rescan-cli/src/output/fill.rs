//! Prints a fill: each step as a line of JSON, or a result at the end. Its progress and notices go to stderr.

use std::io;
use std::time::Instant;

use rescan_compare::units;
use rescan_fill::{Difference, FillEvent, FillReport, Found, Item, MissingBlock, Plan, Widening};

use super::json::{FillLine, FillSummary, fill_milliseconds};
use super::progress::{FillProgress, ScanProgress};
use super::{CallLines, Output, notice};
use crate::error::Exit;

/// Differences are listed up to this many; `--json` lists all.
const DIFFERENCES_LISTED_MAX: usize = 25;

/// Prints the steps of a fill.
pub(crate) struct FillPrinter {
    wallet: String,
    is_json: bool,
    output: Output,
    /// The first failed write. A fill is for the wallet's sake, so it goes on without its reader.
    failed: Option<io::Error>,
    scan: Option<ScanProgress>,
    calls: Option<FillProgress>,
    found: Option<Found>,
    begun: Instant,
    calls_made: u64,
    blocks_rescanned: u64,
}

impl FillPrinter {
    pub(crate) fn new(wallet: &str, is_json: bool) -> Self {
        Self {
            wallet: wallet.to_owned(),
            is_json,
            output: Output::stdout(),
            failed: None,
            scan: None,
            calls: None,
            found: None,
            begun: Instant::now(),
            calls_made: 0,
            blocks_rescanned: 0,
        }
    }

    /// Number of rescans that Core has made.
    pub(crate) fn calls_made(&self) -> u64 {
        self.calls_made
    }

    /// Prints the wallet.
    pub(crate) fn wallet(&mut self, is_new: bool, descriptors: usize, private_keys: bool) {
        let (name, descriptors) = (self.wallet.clone(), u64::try_from(descriptors).unwrap_or(u64::MAX));
        self.line(&FillLine::Wallet { name, is_new, descriptors, private_keys });
    }

    /// Prints a step.
    pub(crate) fn event(&mut self, event: FillEvent<'_>) {
        match event {
            FillEvent::Scanning(handle) => self.scan = Some(ScanProgress::of(handle)),
            FillEvent::Scanned(found) => {
                self.scan = None;
                self.calls = None;
                self.found = Some(*found);
                self.line(&FillLine::scanned(found));
            }
            FillEvent::Planned(plan) => self.planned(plan),
            FillEvent::Widening(widening) => self.widening(widening),
            FillEvent::Rescanned { run, took } => {
                self.calls_made += 1;
                self.blocks_rescanned += u64::from(run.blocks());
                if let Some(calls) = &self.calls {
                    calls.advance(run);
                }
                self.line(&FillLine::call(run, Some(took)));
            }
            FillEvent::Missing(block) => self.block(&FillLine::missing(block), "the node lacks", block),
            FillEvent::Fetching(block) => self.block(&FillLine::fetching(block), "asking peers for", block),
            FillEvent::Fetched(block) => self.block(&FillLine::fetched(block), "a peer has sent", block),
            FillEvent::ChainChanged { height } => {
                self.calls = None;
                self.line(&FillLine::Reorganised { height });
                self.notice(&format!(
                    "the chain was reorganised at or below height {height}: scanning again from there"
                ));
            }
            _ => {}
        }
    }

    fn planned(&mut self, plan: &Plan) {
        let Some(found) = self.found else { return };
        self.line(&FillLine::plan(plan, &found));
        let calls = u64::try_from(plan.runs.len()).unwrap_or(u64::MAX);
        self.notice(&format!(
            "{} of {} to rescan, in {} of rescanblockchain",
            units::grouped(plan.blocks()),
            units::counted(found.blocks(), "block"),
            units::counted(calls, "call"),
        ));
        if !plan.is_worthwhile(found.blocks()) {
            self.notice(
                "most blocks of the range have transactions of this wallet: this takes about as long as a rescan of all",
            );
        }
        self.calls = Some(FillProgress::of(plan));
    }

    fn widening(&mut self, widening: &Widening) {
        for import in &widening.imports {
            self.line(&FillLine::import(import));
        }
        if let Some(size) = widening.keypool {
            self.line(&FillLine::keypool(size));
        }
        self.notice("addresses beyond the wallet's range were used: widening the range first");
    }

    fn block(&mut self, line: &FillLine, words: &str, block: MissingBlock) {
        self.line(line);
        self.notice(&format!("{words} block {} at height {}", block.hash, block.height));
    }

    /// Prints the result, and returns the exit code.
    pub(crate) fn result(&mut self, report: &FillReport) -> io::Result<Exit> {
        self.calls = None;
        let outcome = if report.is_equal() {
            "equal"
        } else if report.missing.is_empty() {
            "different"
        } else {
            "missing_blocks"
        };
        if self.is_json {
            report.differences.iter().for_each(|difference| self.line(&FillLine::difference(difference)));
            let counts = (report.missing.len(), report.differences.len());
            self.summary(outcome, Some(&report.found), counts);
        } else {
            self.output.text(&self.text(report))?;
        }
        self.finish()?;
        Ok(if report.is_equal() { Exit::Complete } else { Exit::Incomplete })
    }

    /// Prints the calls of a fill that makes none.
    pub(crate) fn calls(&mut self, calls: &CallLines<'_>) -> io::Result<()> {
        if !self.is_json {
            self.output.text(&calls.text())?;
            return self.finish();
        }
        let dry = calls.dry;
        self.line(&FillLine::plan(&dry.plan, &dry.found));
        calls.imports.iter().chain(&dry.widening.imports).for_each(|import| self.line(&FillLine::import(import)));
        if let Some(size) = dry.widening.keypool {
            self.line(&FillLine::keypool(size));
        }
        dry.plan.runs.iter().for_each(|run| self.line(&FillLine::call(run, None)));
        self.finish()
    }

    /// Prints the end of a fill that was interrupted.
    pub(crate) fn interrupted(&mut self) -> io::Result<()> {
        (self.scan, self.calls) = (None, None);
        let found = self.found;
        self.summary("interrupted", found.as_ref(), (0, 0));
        notice(&format!(
            "interrupted after {}; the wallet keeps what they found, and the same command goes on with the rest",
            units::counted(self.calls_made, "call"),
        ));
        self.finish()
    }

    /// Flushes.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.output.flush(),
        }
    }

    fn summary(&mut self, outcome: &'static str, found: Option<&Found>, (missing, differences): (usize, usize)) {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        self.line(&FillLine::Summary(FillSummary {
            wallet: self.wallet.clone(),
            outcome,
            from_height: found.map(|found| found.from.0),
            to_height: found.map(|found| found.tip.height.0),
            transactions: found.map(|found| found.transactions),
            coins: found.map(|found| found.coins),
            total_sat: found.map(|found| found.unspent.to_sat()),
            calls: self.calls_made,
            blocks_in_calls: self.blocks_rescanned,
            missing_blocks: count(missing),
            differences: count(differences),
            milliseconds: fill_milliseconds(self.begun.elapsed()),
        }));
    }

    fn text(&self, report: &FillReport) -> String {
        let FillReport { found, missing, differences, .. } = report;
        let (expected, open): (Vec<_>, Vec<_>) = differences.iter().partition(|difference| difference.is_expected());
        let verdict = match (report.is_equal(), expected.is_empty()) {
            (true, true) => "equal to the scan".to_owned(),
            (true, false) => "equal to the scan, but for the wallet's own unconfirmed transactions".to_owned(),
            (false, _) => {
                let missing = count_of(missing.len(), "block");
                format!("not equal to the scan: {missing} missing, {}", count_of(open.len(), "difference"))
            }
        };
        let mut text = format!(
            "wallet {}: {}, {}, {} BTC from height {} to {}\n{verdict}\n",
            self.wallet,
            units::counted(found.transactions, "transaction"),
            units::counted(found.coins, "coin"),
            units::bitcoin(i128::from(found.unspent.to_sat())),
            found.from,
            found.tip.height,
        );
        for difference in open.iter().chain(&expected).take(DIFFERENCES_LISTED_MAX) {
            text.push_str(&described(difference));
        }
        if differences.len() > DIFFERENCES_LISTED_MAX {
            text.push_str(&format!("  .. {} in all; --json lists them\n", differences.len()));
        }
        if !missing.is_empty() {
            text.push_str("missing blocks: --fetch asks the node's peers for them, and the same command goes on\n");
        }
        if found.transactions == 0 && found.from.0 > 0 {
            text.push_str("nothing since the descriptors' birthday; --from-height 0 scans the whole chain\n");
        }
        text.push_str(&self.cost(report));
        text
    }

    fn cost(&self, report: &FillReport) -> String {
        let elapsed = units::duration(self.begun.elapsed());
        if report.calls == 0 {
            return format!("no block left to rescan; {elapsed}\n");
        }
        format!(
            "Bitcoin Core rescanned {} of {} in {}, {}; {elapsed} in all\n",
            units::grouped(report.blocks),
            units::counted(report.found.blocks(), "block"),
            units::counted(report.calls, "call"),
            units::duration(report.rescan_time),
        )
    }

    fn line(&mut self, line: &FillLine) {
        if !self.is_json || self.failed.is_some() {
            return;
        }
        let output = &mut self.output;
        let mut write = || output.fill(line).and_then(|()| output.flush());
        let written = match &self.calls {
            Some(calls) => calls.suspend(write),
            None => write(),
        };
        self.failed = written.err();
    }

    fn notice(&self, text: &str) {
        match &self.calls {
            Some(calls) => calls.suspend(|| notice(text)),
            None => notice(text),
        }
    }
}

fn described(difference: &Difference) -> String {
    match difference.item {
        Item::Transaction(txid) => format!("  transaction {txid}: {}\n", difference.reason),
        Item::Coin(outpoint) => format!("  coin {outpoint}: {}\n", difference.reason),
    }
}

fn count_of(length: usize, noun: &str) -> String {
    units::counted(u64::try_from(length).unwrap_or(u64::MAX), noun)
}
