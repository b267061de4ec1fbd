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
//! [`Client::blocks`] ships whole blocks instead, for a wallet that would rather not show what it watches, and
//! [`Client::match_block`] asks about one block a call, for one that leaves nothing on the server.
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
//! A keychain is watched by its gap limit: indexes 0 to (last used or revealed) plus [`GivenKeychain::gap_limit`], whatever
//! the order of use. Where a use reaches scripts that were used in blocks passed before, reports of those come late, with
//! the new matches alone; [`history::History`] puts them where they belong.
//!
//! # Coins
//!
//! What is unspent, without the history: what was made and spent in the range never leaves the server.
//! [`coins::CoinLedger`] makes the same of reports.
//!
//! ```no_run
//! use futures::StreamExt;
//! use rescan_client::{Client, GivenKeychain, ScanEvent, ScanRequest};
//!
//! # async fn coins(client: Client, descriptor: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let keychain = GivenKeychain::new(descriptor).gap_limit(20).revealed(7);
//! let mut scan = client.scan(ScanRequest::new().keychain(keychain).coins()).await?;
//! while let Some(event) = scan.next().await {
//!     match event? {
//!         ScanEvent::Coin(coin) => println!("{} {} since {}", coin.outpoint, coin.value, coin.height),
//!         ScanEvent::Finished(summary) => println!("{} coins, {}", summary.unspent_count, summary.unspent),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Going on where a scan ended
//!
//! A [`Checkpoint`] keeps what it takes to go on: what is covered, the live coins, and the last 288 blocks, so that a
//! reorganisation can be taken back. Kill the wallet or the server at any moment and run the same again: the union of all
//! that was reported, by block hash and txid, is what one scan reports.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use futures::StreamExt;
//! use rescan_client::{Checkpoint, Client, ResumeEvent, ScanRequest};
//!
//! # async fn resume(client: Client, descriptor: &str, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
//! let request = ScanRequest::new().keychain(descriptor).mark_every(std::time::Duration::from_secs(1));
//! let begun = Checkpoint::load(file)?;
//! let checkpoint = begun.unwrap_or_else(|| Checkpoint::new(client.server_info().chain.genesis, &request));
//! let mut scan = client.resume(request, checkpoint)?;
//! while let Some(event) = scan.next().await {
//!     match event? {
//!         ResumeEvent::Report(block) => println!("block {}", block.height), // store it before the checkpoint is saved
//!         ResumeEvent::Reverted(gone) => println!("{} is no longer in the chain", gone.txid),
//!         ResumeEvent::Settled | ResumeEvent::Finished(_) => drop(scan.checkpoint().save(file)?),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Following
//!
//! [`Client::follow`] goes on from there: a [`Follower`] is a stream that tells every block as the chain gains or leaves it,
//! with the reports that come or go with it, and its checkpoint outlives it. See [`FollowEvent`] for their order.
//!
//! ```no_run
//! use futures::StreamExt;
//! use rescan_client::{Checkpoint, Client, FollowEvent, ScanRequest};
//!
//! # async fn follow(client: Client, descriptor: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let request = ScanRequest::new().keychain(descriptor);
//! let checkpoint = Checkpoint::new(client.server_info().chain.genesis, &request);
//! let mut follower = client.follow(request, checkpoint)?;
//! while let Some(event) = follower.next().await {
//!     match event? {
//!         FollowEvent::Report(block) => println!("{} transactions in {}", block.transactions.len(), block.hash),
//!         FollowEvent::Reverted(gone) => println!("{} is no longer in the chain", gone.txid),
//!         FollowEvent::Disconnected(block) => println!("block {} was left", block.hash),
//!         FollowEvent::Connected(block) => println!("block {} came", block.hash),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Many wallets
//!
//! Any number of wallets share one pass; [`wallets::Wallets`] tells their reports apart.
//!
//! ```no_run
//! use futures::StreamExt;
//! use rescan_client::wallets::{Wallet, Wallets};
//! use rescan_client::{Client, ScanEvent, ScanRequest};
//!
//! # async fn all(client: Client, alice: &str, bob: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let mut wallets = Wallets::new();
//! wallets.add("alice", Wallet::new().keychain(alice))?;
//! wallets.add("bob", Wallet::new().keychain(bob))?;
//! let names: Vec<&str> = wallets.names().collect();
//! let mut scan = client.scan(wallets.watched_by(ScanRequest::new())).await?;
//! while let Some(event) = scan.next().await {
//!     if let ScanEvent::Report(block) = event? {
//!         for (wallet, own) in wallets.split_report(&block) {
//!             println!("{}: {} transactions at {}", names[wallet], own.transactions.len(), own.height);
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # BDK
//!
//! With the feature `bdk`, the module `bdk` fills a `bdk_wallet::Wallet` and keeps it up to date.
//!
#![cfg_attr(feature = "bdk", doc = "```no_run")]
#![cfg_attr(not(feature = "bdk"), doc = "```ignore")]
//! use rescan_client::bdk::{BdkRescanClient, WalletRequest};
//! use rescan_client::{Client, RangeStart};
//!
//! # async fn fill(client: Client, wallet: &mut bdk_wallet::Wallet) -> Result<(), Box<dyn std::error::Error>> {
//! let client = BdkRescanClient::new(client);
//! let request = WalletRequest::of(wallet).gap_limit(100);
//! wallet.apply_update(client.full_scan(&request, RangeStart::Birthday(1_620_000_000)).await?)?;
//! wallet.apply_update(client.sync(&WalletRequest::of(wallet)).await?)?; // from then on
//! println!("{}", wallet.balance());
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

mod connection;
mod error;

mod block_match;
mod calls;
mod request;
mod scan;

mod client;

mod checkpoint;
mod generator;

mod resume;

mod follow;

pub mod wallets;

pub mod blocking;

#[cfg(feature = "bdk")]
pub mod bdk;

pub use bitcoin;
pub use checkpoint::{Checkpoint, LoadError, ResumeError, Reverted, SaveError};
pub use client::Client;
pub use connection::{ByteCount, Traffic};
pub use error::{CallError, ConnectError, LOCATE_HASHES_MAX, SOCKET_PATH_BYTES_MAX, ScanError};
pub use follow::{FollowEvent, Follower};
pub use request::ScanRequest;
pub use rescan_core::block_match::{MatchContent, MatchEntries, MatchedBlock};
pub use rescan_core::blocks::merkle;
pub use rescan_core::request::{
    Deliver, Extras, GAP_LIMIT_DEFAULT, GAP_LIMIT_MAX, GivenKeychain, GivenOutpoint, INDEX_MAX, RangeEnd, RangeRequest,
    RangeStart, Scanned, Verify,
};
pub use rescan_core::watching::descriptor;
pub use rescan_core::{coins, history, position, report, server_info};
pub use resume::{ResumableScan, ResumeEvent};
pub use scan::{BlockEvent, BlockStream, ScanEvent, ScanHandle, ScanStream, WatchSet};
