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
//! Each keychain is watched by its gap limit: [`GivenKeychain::gap_limit`], and [`GivenKeychain::revealed`] for a scan that
//! begins after the wallet's first use. Where the server came to watch a script only after blocks were passed, those are
//! reported again with the new matches alone; a [`History`] puts reports together, whenever they come.
//!
//! # Coins
//!
//! A wallet that wants to know what it could spend, and not how it came by it, asks for coins: what was received and spent
//! within the range cancels out on the server. ([`coins::CoinLedger`] does the same with reports.)
//!
//! ```no_run
//! use futures::StreamExt;
//! use rescan_client::{Client, GivenKeychain, ScanEvent, ScanRequest};
//!
//! # async fn coins(client: &Client, descriptor: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let keychain = GivenKeychain::new(descriptor).gap_limit(20);
//! let mut scan = client.scan(ScanRequest::new().keychain(keychain).coins()).await?;
//! while let Some(event) = scan.next().await {
//!     if let ScanEvent::Coin(coin) = event? {
//!         println!("{} holds {}", coin.outpoint, coin.value);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Going on
//!
//! A summary, and each [`Mark`] where [`ScanRequest::mark_every`] asks for them, says what it takes to go on: where the scan
//! came to, and which indexes of each keychain were watched. Before going on, [`Client::locate`] tells whether blocks that
//! the wallet knows were reorganised away.
//!
//! ```no_run
//! use rescan_client::report::Summary;
//! use rescan_client::{CallError, Client, Covered, ScanRequest, ScanStream};
//!
//! # async fn go_on(client: &Client, request: ScanRequest, before: Summary) -> Result<ScanStream, CallError> {
//! if let Some(fork) = client.locate(before.locator.clone()).await? {
//!     println!("what the wallet knows from above height {} no longer stands", fork.height);
//! }
//! let covered = Covered { from: before.range.first(), watched_through: before.watched_through };
//! client.scan(request.after(before.locator).covered(covered)).await
//! # }
//! ```
//!
//! # Many wallets
//!
//! [`wallets::Wallets`] asks for many wallets in one pass over the blocks, and tells what it finds apart:
//!
//! ```no_run
//! use futures::StreamExt;
//! use rescan_client::wallets::{Wallet, Wallets};
//! use rescan_client::{Client, ScanEvent, ScanRequest};
//!
//! # async fn many(client: &Client, alice: &str, bob: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let mut wallets = Wallets::new();
//! wallets.add("alice", Wallet::new().keychain(alice))?;
//! wallets.add("bob", Wallet::new().keychain(bob))?;
//! let mut scan = client.scan(wallets.watched_by(ScanRequest::new())).await?;
//! while let Some(event) = scan.next().await {
//!     if let ScanEvent::Report(block) = event? {
//!         for (wallet, own) in wallets.split_report(&block) {
//!             println!("{:?}: {} transactions at height {}", wallets.name(wallet), own.transactions.len(), own.height);
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Proofs
//!
//! With [`ScanRequest::raw_transactions`] and [`ScanRequest::merkle_branches`], each reported transaction comes with its
//! bytes and its branch to the header of its block. Both are checked here as they arrive; what does not prove what was
//! reported ends the scan with [`CallError::Protocol`]. That a header is of the chain with the most work is for the wallet
//! to know, and that nothing was left out is for no one to prove.

mod asked;
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
pub mod wallets;

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
