//! Calls of a node's methods.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use crate::address::Address;
use crate::authorization;
use crate::credentials::Credentials;
use crate::error::RpcError;
use crate::http::{Connections, Http, HttpError};
use crate::message::{Request, Response};
use crate::traffic::RpcTraffic;

/// The default limit on the time that a node takes for one call. `scanblocks` and
/// `rescanblockchain` take minutes.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(3_600);

/// A client of one node's RPC. It connects with the first call; clones share its traffic counts.
///
/// Calls block the thread until the node answers; asynchronous callers wrap them in
/// `spawn_blocking`.
#[derive(Clone, Debug)]
pub struct RpcClient {
    node: Arc<Node>,
    /// `/`, or that of a wallet.
    path: String,
    timeout: Duration,
}

/// The parts that clones share.
#[derive(Debug)]
struct Node {
    http: Http,
    credentials: Credentials,
    last_id: AtomicU64,
}

impl RpcClient {
    /// A client with a connection for each call. A cookie is read now, and not again.
    ///
    /// # Errors
    /// [`RpcError::Cookie`] or [`RpcError::NotACookie`].
    pub fn new(address: Address, credentials: Credentials) -> Result<Self, RpcError> {
        Self::with_connections(address, credentials, Connections::PerCall)
    }

    /// As [`Self::new`], with a choice how connections are used.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_connections(
        address: Address,
        credentials: Credentials,
        connections: Connections,
    ) -> Result<Self, RpcError> {
        let http = Http::new(address, authorization::header(&credentials)?, connections);
        let node = Node { http, credentials, last_id: AtomicU64::new(0) };
        Ok(Self { node: Arc::new(node), path: "/".to_owned(), timeout: TIMEOUT_DEFAULT })
    }

    /// The same node, with calls directed to the wallet of this name (`-rpcwallet` of bitcoin-cli).
    #[must_use]
    pub fn wallet(&self, name: &str) -> Self {
        Self { path: format!("/wallet/{}", utf8_percent_encode(name, NON_ALPHANUMERIC)), ..self.clone() }
    }

    /// The same node, with another time limit for each call.
    ///
    /// It limits the time from the end of a request to the head of its response, and separately the
    /// time to read the body.
    #[must_use]
    pub fn timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// The node's address.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.node.http.address()
    }

    /// The credentials that it was made with. Their `Debug` and messages never show a password.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.node.credentials
    }

    /// Traffic of this client and its clones so far.
    #[must_use]
    pub fn traffic(&self) -> RpcTraffic {
        self.node.http.traffic()
    }

    /// Calls a method with parameters by position (a tuple or slice) or by name (a map), and reads
    /// its result.
    ///
    /// # Errors
    /// [`RpcError`] if there is no result, or none that `T` can hold.
    pub fn call<T: DeserializeOwned>(&self, method: &'static str, params: &impl Serialize) -> Result<T, RpcError> {
        let params = to_raw_value(params).map_err(|error| RpcError::unexpected(method, error))?;
        self.exchange(method, &params, |result| {
            serde_json::from_str(result.get()).map_err(|error| RpcError::unexpected(method, error))
        })
    }

    /// Calls a method with parameters that are JSON already, and returns its result as JSON.
    ///
    /// # Errors
    /// [`RpcError`] if there is no result.
    pub fn call_raw(&self, method: &'static str, params: &RawValue) -> Result<Box<RawValue>, RpcError> {
        self.exchange(method, params, |result| Ok(result.to_owned()))
    }

    fn exchange<T>(
        &self,
        method: &'static str,
        params: &RawValue,
        read: impl FnOnce(&RawValue) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let id = self.node.last_id.fetch_add(1, Ordering::Relaxed);
        let request = serde_json::to_vec(&Request::new(id, method, params))
            .map_err(|error| RpcError::unexpected(method, error))?;
        let reply = self.node.http.post(&self.path, &request, self.timeout);
        let reply = reply.map_err(|error| self.no_answer(method, error))?;
        // An error has its reason in the body, whatever the status: Bitcoin Core sends 404 and 500
        // with one.
        let response: Response<'_> = match serde_json::from_slice(&reply.body) {
            Ok(response) => response,
            Err(error) => return Err(self.no_rpc(reply.status, &error)),
        };
        if let Some(error) = response.error {
            return Err(RpcError::refusal(method, error.code, error.message));
        }
        if response.id != Some(id) {
            return Err(RpcError::unexpected(method, "it answers another call"));
        }
        read(response.result.ok_or_else(|| RpcError::unexpected(method, "it has no result"))?)
    }

    fn no_answer(&self, method: &'static str, error: HttpError) -> RpcError {
        let address = self.address().clone();
        match error {
            HttpError::Connect(source) => RpcError::Connect { address, source },
            HttpError::Broken(source) => RpcError::NoAnswer { address, method, source },
            HttpError::Malformed(detail) => RpcError::NotRpc { address, detail },
        }
    }

    /// A response whose body is no JSON-RPC.
    fn no_rpc(&self, status: u16, error: &serde_json::Error) -> RpcError {
        let address = self.address().clone();
        match status {
            401 => RpcError::Unauthorized { address, credentials: self.node.credentials.clone() },
            403 => RpcError::Forbidden { address },
            404 if self.path != "/" => RpcError::NoWallets { address },
            503 => RpcError::WorkQueueFull,
            200 => RpcError::NotRpc { address, detail: format!("its answer is no JSON-RPC: {error}") },
            status => RpcError::NotRpc { address, detail: format!("it answers with status {status}") },
        }
    }
}
