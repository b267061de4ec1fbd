//! A scan: walks a range of a pinned chain in parallel and reports matches in chain order.
//!
//! In the order in which data flows: `plan` holds the request. `segments` divides the range, and
//! workers of the `pool` walk each segment (`segment`), whose blocks they read through
//! `pinned_chain`. `ordered` restores chain order. `pass` settles each segment in turn: it matches
//! again for coins found meanwhile, commits the segment's coins and makes its reports final.
//! `wallet_scan` withholds matches beyond the gap limit (`gap_rule`), and `lookahead` derives
//! further scripts. [`BlockReader`] and [`match_single_block`] use the lower half alone.
//!
//! Invariant: the result is the same as if every script up to the final gap limit had been watched
//! from the first block, for any number of workers, any segment size and any order of use.

mod block_reader;
mod derivation;
mod fair_queue;
mod found_coins;
mod gap_rule;
mod lookahead;
mod ordered;
mod pass;
mod pinned_chain;
mod plan;
mod pool;
mod progress;
mod segment;
mod segments;
mod single_block;
mod transaction_counter;
mod wallet_scan;

pub use self::block_reader::BlockReader;
pub use self::derivation::{DerivationError, WatchedKeychain, derive};
pub use self::found_coins::CoinTotals;
pub use self::gap_rule::{GapLimit, IndexRange};
pub use self::lookahead::LookaheadConfig;
pub(crate) use self::ordered::RETRIES_MAX;
pub use self::plan::{ScanPlan, ScanTotals, ScannedPart};
pub use self::pool::{Job, PoolError, WorkerPanicked, WorkerPool};
pub use self::progress::ScanProgress;
pub use self::segments::SegmentSize;
pub use self::single_block::match_single_block;
pub use self::wallet_scan::Scan;
