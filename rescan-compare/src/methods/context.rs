//! The input and the outcome of one run.

use rescan_client::Client;

use crate::answer::Answer;
use crate::comparison::Run;
use crate::inputs::{PinnedBlocks, WatchedScripts};
use crate::measuring::Meter;

/// The input of a run. `Peer` is the answering side, the server's client or the
/// [`Node`](crate::Node); the meter is that side's.
#[derive(Clone, Copy)]
pub(crate) struct Context<'c, Peer = &'c Client> {
    pub(crate) peer: Peer,
    pub(crate) meter: &'c Meter,
    pub(crate) pinned: PinnedBlocks,
    pub(crate) watched: &'c WatchedScripts,
}

/// The outcome of a run that did not fail.
pub(crate) enum Outcome {
    /// An answer and its cost.
    Answered(Run, Answer),
    /// This server or node cannot run the method, for this reason.
    LeftOut(String),
}
