//! The status of a running server, as one line for people.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::chain::Chain;
use crate::metrics::counters::Counters;

/// A view of a running server.
#[derive(Clone, Debug)]
pub(crate) struct ServiceStatus {
    pub(crate) serving: watch::Receiver<bool>,
    pub(crate) chain: Arc<Chain>,
    pub(crate) counters: Arc<Counters>,
}

impl ServiceStatus {
    /// The status line for people: the progress of reading, or the served height.
    pub(crate) fn line(&self) -> String {
        let network = self.chain.network();
        match self.counters.chain_height() {
            Some(height) => {
                let scans = self.counters.snapshot().scans_under_way();
                format!("serving {network} to height {height}, {scans} scans under way")
            }
            None => format!("reading the block files of {network}{}", Percent::of(&self.chain)),
        }
    }
}

/// The progress of reading the block files, if known.
struct Percent(Option<u64>);

impl Percent {
    fn of(chain: &Chain) -> Self {
        let progress = chain.progress();
        Self(progress.bytes_done.saturating_mul(100).checked_div(progress.bytes_total))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |percent| write!(f, ", {percent} % done"))
    }
}
