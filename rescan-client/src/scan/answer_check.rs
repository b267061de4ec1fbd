//! Checks the server's answers against the request.
//!
//! A report, coin or summary that names an entry never sent, a kind of answer that was not asked for, and a proof that fails
//! are breaches of the protocol. It cannot be checked whether the server left something out.

use bitcoin::{Transaction, consensus};
use rescan_core::blocks::merkle;
use rescan_core::coins::Coin;
use rescan_core::report::{BlockReport, Ending, Origin, ResumePoint, TransactionReport};
use rescan_core::request::{Deliver, Extras};

use crate::error::CallError;
use crate::request::ScanRequest;

/// The counts of the entries that were sent, and the kinds of answers that were asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AnswerCheck {
    keychains: usize,
    scripts: usize,
    outpoints: usize,
    deliver: Deliver,
    extras: Extras,
    wants_marks: bool,
}

impl AnswerCheck {
    pub(super) fn of(request: &ScanRequest) -> Self {
        Self {
            keychains: request.keychains.len(),
            scripts: request.scripts.len(),
            outpoints: request.outpoints.len(),
            deliver: request.deliver,
            extras: request.extras,
            wants_marks: request.mark_every.is_some(),
        }
    }

    /// The number of keychains that were sent.
    pub(super) fn keychains(self) -> usize {
        self.keychains
    }

    pub(super) fn check_reports(self, mut reports: Vec<BlockReport>) -> Result<Vec<BlockReport>, CallError> {
        if self.deliver != Deliver::History {
            return Err(CallError::protocol("received a report, asked for coins only"));
        }
        for report in &mut reports {
            for transaction in &report.transactions {
                let received = transaction.received.iter().map(|received| &received.origins);
                let spent = transaction.spent.iter().map(|spent| &spent.origins);
                received.chain(spent).try_for_each(|origins| self.check_origins(origins))?;
            }
            if self.extras.merkle_branches {
                check_branches(report)?;
            }
            if self.extras.raw_transactions {
                report.transactions.iter().try_for_each(check_raw)?;
            }
        }
        Ok(reports)
    }

    pub(super) fn check_coins(self, coins: Vec<Coin>) -> Result<Vec<Coin>, CallError> {
        if self.deliver != Deliver::Coins {
            return Err(CallError::protocol("received a coin, asked for history only"));
        }
        coins.iter().try_for_each(|coin| self.check_origins(&coin.origins))?;
        Ok(coins)
    }

    pub(super) fn check_mark(self, mark: ResumePoint) -> Result<ResumePoint, CallError> {
        if !self.wants_marks {
            return Err(CallError::protocol("received a mark, asked for none"));
        }
        self.check_keychains("mark", mark.keychains.len())?;
        Ok(mark)
    }

    pub(super) fn check_ending(self, ending: Ending) -> Result<Ending, CallError> {
        if let Ending::Summary(summary) = &ending {
            self.check_keychains("summary", summary.keychains.len())?;
        }
        Ok(ending)
    }

    fn check_origins(self, origins: &[Origin]) -> Result<(), CallError> {
        match origins.iter().find(|origin| !self.has(**origin)) {
            None => Ok(()),
            Some(stranger) => Err(CallError::protocol(format!(
                "a match of {stranger:?}, which is not in the watch set of {} keychains, {} scripts and {} outpoints",
                self.keychains, self.scripts, self.outpoints
            ))),
        }
    }

    fn has(self, origin: Origin) -> bool {
        let (number, count) = match origin {
            Origin::Keychain { keychain, .. } => (keychain, self.keychains),
            Origin::Script(script) => (script, self.scripts),
            Origin::Outpoint(outpoint) => (outpoint, self.outpoints),
        };
        usize::try_from(number).is_ok_and(|number| number < count)
    }

    /// A summary and a mark name each keychain of the watch set.
    fn check_keychains(self, of: &str, found: usize) -> Result<(), CallError> {
        if found == self.keychains {
            return Ok(());
        }
        Err(CallError::protocol(format!("a {of} of {found} keychains, expected {}", self.keychains)))
    }
}

/// Checks that the header is the block's, and that its merkle root commits to each transaction at its index.
fn check_branches(report: &mut BlockReport) -> Result<(), CallError> {
    let (height, hash) = (report.height, report.hash);
    let header =
        report.header.ok_or_else(|| CallError::protocol(format!("no header for block {hash} at height {height}")))?;
    if header.block_hash() != hash || header.time != report.time {
        return Err(CallError::protocol(format!(
            "the header sent for block {hash} at height {height} is of another block"
        )));
    }
    for transaction in &mut report.transactions {
        let TransactionReport { txid, tx_index, .. } = *transaction;
        // The branch of a block's only transaction is empty, and may be absent.
        let branch = transaction.merkle_branch.get_or_insert_default();
        merkle::verify_branch(&header, txid, tx_index, branch)
            .map_err(|error| CallError::protocol(format!("transaction {txid} of block {hash}: {error}")))?;
    }
    Ok(())
}

/// Checks that the bytes hash to the txid, and contain the reported outputs and inputs.
fn check_raw(transaction: &TransactionReport) -> Result<(), CallError> {
    let txid = transaction.txid;
    let raw = transaction
        .raw
        .as_deref()
        .ok_or_else(|| CallError::protocol(format!("transaction {txid} without its bytes")))?;
    let whole: Transaction = consensus::deserialize(raw)
        .map_err(|error| CallError::protocol(format!("the bytes of transaction {txid} do not decode: {error}")))?;
    if whole.compute_txid() != txid {
        return Err(CallError::protocol(format!("the bytes of transaction {txid} hash to {}", whole.compute_txid())));
    }
    let at = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let pays = transaction.received.iter().all(|received| {
        let output = whole.output.get(at(received.vout));
        output.is_some_and(|output| output.value == received.value && output.script_pubkey == received.script_pubkey)
    });
    let spends = transaction
        .spent
        .iter()
        .all(|spent| whole.input.get(at(spent.vin)).is_some_and(|input| input.previous_output == spent.prevout));
    if pays && spends {
        return Ok(());
    }
    Err(CallError::protocol(format!("the bytes of transaction {txid} contradict its report")))
}
