//! A blocking client of Bitcoin Core's JSON-RPC, with its traffic counted.
//!
//! An [`Address`] and [`Credentials`] make an [`RpcClient`]; [`RpcClient::wallet`] directs calls to
//! one of the node's wallets. [`NodeSearch`] finds address and credentials of a datadir's node, as
//! bitcoin-cli does. [`RpcError`] separates failures by the operator's next step. The
//! crate knows nothing of scans or comparisons; callers interpret codes that belong to one method
//! alone.
//!
//! # HTTP
//! `ureq` speaks HTTP/1.1, without TLS, as Bitcoin Core does. It reads bodies by the buffer;
//! `minreq` and `bitreq` read a byte at a time, and a block in hexadecimal has up to 8 million. It
//! also accepts a connector, which counts the bytes of every socket (see [`RpcTraffic`]). That part
//! of its interface may change in a minor version, so the workspace pins the minor version.
//!
//! # A connection for each call
//! [`Connections::PerCall`] is the default, as in bitcoin-cli: it is never slow. Builds of Bitcoin
//! Core differ in kept connections. With master of August 2026, each later request on one waited
//! about 14 ms: 228 calls took 3.0 s, and 0.19 s with a connection for each. With v31.99 of July
//! 2026, 228 calls took 0.07 to 0.09 s on a kept connection, and 0.34 s with a connection for each
//! (2026-12-01, 2 virtual cores under load). A millisecond a call is the price of the safe choice.
//! This measures both:
//!
//! ```text
//! cargo run --release -p rescan-node --example connections -- URL COOKIE
//! ```

mod address;
mod authorization;
mod client;
mod credentials;
mod error;
mod http;
mod listed_descriptors;
mod locate;
mod message;
mod replies;
mod traffic;

pub use address::{Address, AddressError};
pub use client::{RpcClient, TIMEOUT_DEFAULT};
pub use credentials::Credentials;
pub use error::{RpcError, code};
pub use http::Connections;
pub use listed_descriptors::{IndexRange, ListedDescriptor, ListedDescriptors, Now, Timestamp};
pub use locate::{ChainSource, ChainType, Datadir, FoundNode, LocateError, NodeSearch, Place, network_dir};
pub use replies::{BlockchainInfo, NetworkInfo};
pub use traffic::RpcTraffic;
