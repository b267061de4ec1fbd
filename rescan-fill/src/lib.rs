//! Fills a Bitcoin Core wallet with its history.
//!
//! Core's `rescanblockchain` looks at every block of its range. A rescan server knows the few that
//! match, and Core takes ranges as small as one block. A fill scans for the wallet's descriptors,
//! widens their ranges where an index beyond them was used, has Core rescan the matching blocks in
//! ascending order, and compares the wallet with the scan. Core's own code does all bookkeeping:
//! spends, keypool, conflicts, times.
//!
//! In the order of the data: [`CoreWallet`] calls the wallet, `scan` finds its history, [`Plan`]
//! chooses the calls, [`fill()`] makes them, and `differences` compares. `fetch` gets missing blocks
//! from the node's peers.
//!
//! Every step can be repeated. Blocks whose transactions the wallet has are left out, so a fill that
//! was interrupted at any point goes on where it stopped.

mod answers;
mod blocking;
mod core_wallet;
mod differences;
mod error;
mod event;
mod fetch;
mod fill;
mod found;
mod plan;
mod scan;
mod widening;

pub use core_wallet::{CoreWallet, WalletInfo};
pub use differences::{Difference, Item, Reason};
pub use error::FillError;
pub use event::{FillEvent, FillOptions, FillReport};
pub use fill::fill;
pub use found::{Found, MissingBlock};
pub use plan::{MergeGap, Plan, Run};
pub use scan::{DryRun, dry_run};
pub use widening::Widening;
