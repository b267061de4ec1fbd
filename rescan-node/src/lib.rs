//! A blocking client of Bitcoin Core's JSON-RPC, with its traffic counted.
//!
//! An [`Address`] and [`Credentials`] make an [`RpcClient`]; [`RpcClient::wallet`] directs calls to
//! one of the node's wallets. [`RpcError`] separates failures by the operator's next step. The
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
//! [`Connections::PerCall`] is the default, as in bitcoin-cli. Bitcoin Core's HTTP server of 2026
//! answers a later request on a kept connection only after a wait of about 14 ms: 228 calls took
//! 3.0 s on one, and 0.19 s with a connection for each. This measures both:
//!
//! ```text
//! cargo run --release -p rescan-node --example connections -- URL COOKIE
//! ```

mod address;
mod client;
mod credentials;
mod error;
mod http;
mod message;
mod replies;
mod traffic;

pub use address::{Address, AddressError};
pub use client::{RpcClient, TIMEOUT_DEFAULT};
pub use credentials::Credentials;
pub use error::{RpcError, code};
pub use http::Connections;
pub use replies::{BlockchainInfo, NetworkInfo};
pub use traffic::RpcTraffic;
