//! Where what a session carries comes from: a scan, or the reading of whole blocks.

use std::sync::Arc;
use std::time::Duration;

use rescan_core::coins::Coin;
use rescan_core::position::Height;
use rescan_core::report::{BlockReport, Failure, FullBlock, Outcome};
use rescan_core::rescan_capnp::report_sink;

use crate::scan::{BlockReader, Scan, ScanProgress, ScanTotals};
use crate::session::scan::cargo::Cargo;
use crate::session::scan::outbox::{Blocked, Outbox};

/// Where cargo comes from.
pub(crate) trait Source {
    type Piece: Cargo;

    /// The next settled segment in chain order; it may be empty. None once the source ended.
    ///
    /// # Errors
    /// What is broken.
    async fn next(&mut self) -> Result<Option<Vec<Self::Piece>>, Failure>;

    fn progress(&self) -> Arc<ScanProgress>;

    /// How it ended; none while it goes on.
    fn outcome(&self) -> Option<Outcome>;

    /// The last height that was settled.
    fn settled(&self) -> Option<Height>;

    /// What it comes to so far.
    fn totals(&self) -> ScanTotals;

    fn height_of(piece: &Self::Piece) -> Height;

    /// How many scripts it looks for at the moment.
    fn scripts(&self) -> u64 {
        0
    }

    /// Whether everything up to the last settled height has been given out, so that a wallet may go on from there.
    fn is_even(&self) -> bool {
        true
    }

    /// Sends what is left to send once the source has come to its outcome.
    async fn send_rest(&self, _sink: &<Self::Piece as Cargo>::Sink, _patience: Duration) -> Result<(), Stopped> {
        Ok(())
    }
}

impl Source for Scan {
    type Piece = BlockReport;

    async fn next(&mut self) -> Result<Option<Vec<BlockReport>>, Failure> {
        Scan::next(self).await
    }

    fn progress(&self) -> Arc<ScanProgress> {
        Scan::progress(self)
    }

    fn outcome(&self) -> Option<Outcome> {
        Scan::outcome(self)
    }

    fn settled(&self) -> Option<Height> {
        Scan::settled(self)
    }

    fn totals(&self) -> ScanTotals {
        Scan::totals(self)
    }

    fn height_of(report: &BlockReport) -> Height {
        report.height
    }

    fn scripts(&self) -> u64 {
        Scan::scripts(self)
    }

    fn is_even(&self) -> bool {
        Scan::is_caught_up(self)
    }

    /// The coins, where they were asked for. Of a chain that was left, none are told: they may not be there any more.
    async fn send_rest(&self, sink: &report_sink::Client, patience: Duration) -> Result<(), Stopped> {
        if !self.delivers_coins() || matches!(Scan::outcome(self), Some(Outcome::ReorganisedFrom(_))) {
            return Ok(());
        }
        let mut outbox = Outbox::<Coin>::new(sink.clone(), patience, |coin| coin.height);
        for coin in self.coins().await.map_err(Stopped::Failed)? {
            outbox.put(coin).await?;
        }
        Ok(outbox.flush().await?)
    }
}

impl Source for BlockReader {
    type Piece = FullBlock;

    async fn next(&mut self) -> Result<Option<Vec<FullBlock>>, Failure> {
        BlockReader::next(self).await
    }

    fn progress(&self) -> Arc<ScanProgress> {
        BlockReader::progress(self)
    }

    fn outcome(&self) -> Option<Outcome> {
        BlockReader::outcome(self)
    }

    fn settled(&self) -> Option<Height> {
        BlockReader::settled(self)
    }

    fn totals(&self) -> ScanTotals {
        BlockReader::totals(self)
    }

    fn height_of(block: &FullBlock) -> Height {
        block.height
    }
}

/// Why a source is no longer carried from.
pub(crate) enum Stopped {
    Blocked(Blocked),
    Failed(Failure),
}

impl From<Blocked> for Stopped {
    fn from(blocked: Blocked) -> Self {
        Self::Blocked(blocked)
    }
}
