//! The wallet's side of rescan: ask a server that runs beside a Bitcoin Core node for the history of what a wallet
//! watches, and take in what matched as it is found.
//!
//! # The objects
//!
//! A [`Client`] is a connection to the server's Unix socket. [`Client::scan`] sends a [`ScanRequest`] (descriptors,
//! scripts, coins, a range of blocks) and gives a [`ScanStream`]: a [`Stream`](futures::Stream) of [`ScanEvent`]s, one
//! [`BlockReport`](report::BlockReport) for each block that touches the wallet, in chain order, and at last the
//! [`Summary`](report::Summary). Reports arrive while the scan runs. A wallet that reads slowly slows its own scan: a
//! bounded number of reports waits here, then on the server.
//!
//! Dropping the stream is how a scan is given up: the server stops within one block. [`ScanStream::cancel`] ends it
//! politely instead, with a summary that says how far it came. How a scan ended is an
//! [`Outcome`](report::Outcome) in the summary; a [`ScanError`] means that there is none.
//!
//! [`Client::blocks`] ships whole blocks instead, for a wallet that would rather not show what it watches.
//!
//! Everything here is [`Send`] and runs under any executor: the Cap'n Proto objects, which are neither, stay on a thread
//! of the connection's own.
//!
//! # A scan
//!
//! ```no_run
//! use futures::StreamExt;
//! use rescan_client::{Client, ScanEvent, ScanRequest};
//!
//! # async fn history(descriptor: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("/home/satoshi/.bitcoin/rescan.sock").await?;
//! let mut scan = client.scan(ScanRequest::new().keychain(descriptor)).await?;
//! while let Some(event) = scan.next().await {
//!     match event? {
//!         ScanEvent::Report(block) => {
//!             for transaction in block.transactions {
//!                 println!("{} at height {}", transaction.txid, block.height);
//!             }
//!         }
//!         ScanEvent::Finished(summary) => println!("{:?}, {} unspent", summary.outcome, summary.unspent),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Coins
//!
//! [`coins::CoinLedger`] turns reports into what is left unspent.

mod asked;
#[cfg(feature = "bdk")]
pub mod bdk;
mod client;
mod connect;
mod connection;
mod counting;
mod error;
mod request;
mod scan_stream;
mod scan_task;
mod sink;
mod upload;

/// The README's example is compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub use bitcoin;
pub use client::Client;
pub use error::{CallError, ConnectError, LOCATE_HASHES_MAX, SOCKET_PATH_BYTES_MAX, ScanError};
pub use request::ScanRequest;
pub use rescan_core::coins::Coin;
pub use rescan_core::history::History;
pub use rescan_core::report::Mark;
pub use rescan_core::request::{
    Covered, Deliver, Extras, GAP_LIMIT_DEFAULT, GAP_LIMIT_MAX, GivenKeychain, GivenOutpoint, INDEX_MAX, RangeEnd,
    RangeRequest, RangeStart, Verify,
};
pub use rescan_core::{coins, descriptor, history, merkle, position, report, server_info};
pub use scan_stream::{BlockEvent, BlockStream, ScanEvent, ScanHandle, ScanStream};
