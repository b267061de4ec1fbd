//! A node that can be asked, and what it says of itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bitcoin::{BlockHash, Network};
use jsonrpc::serde_json::value::{RawValue, to_raw_value};
use jsonrpc::{Client, serde_json};
use rescan_core::position::Height;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::address::Address;
use super::error::NodeError;
use super::http::{HttpError, HttpTraffic, HttpTransport};
use super::process;
use crate::pinned::Pinned;
use rescan_client::Traffic;

/// The codes that mean something here (`src/rpc/protocol.h` of Bitcoin Core).
mod code {
    pub(super) const MISC: i32 = -1;
    pub(super) const INVALID_PARAMETER: i32 = -8;
    pub(super) const IN_WARMUP: i32 = -28;
    pub(super) const METHOD_NOT_FOUND: i32 = -32_601;
}

/// No arguments.
pub(super) const NONE: [(); 0] = [];

/// A node whose RPC answers. Clones share its one connection.
#[derive(Clone, Debug)]
pub struct Node {
    asked: Arc<Asked>,
    version: String,
    network: String,
    pid: Option<u32>,
}

#[derive(Debug)]
struct Asked {
    client: Client,
    traffic: Arc<HttpTraffic>,
    address: Address,
    cookie: PathBuf,
}

/// `getnetworkinfo`, as far as it matters.
#[derive(serde::Deserialize)]
struct NetworkInfo {
    subversion: String,
}

/// `getblockchaininfo`, as far as it matters.
#[derive(serde::Deserialize)]
struct BlockchainInfo {
    chain: String,
    blocks: u32,
    pruneheight: Option<u32>,
}

impl Node {
    /// Asks the node that listens at `address` who it is, with the cookie that it wrote.
    ///
    /// # Errors
    /// [`NodeError`] tells apart why it does not answer.
    pub async fn connect(address: Address, cookie: &Path) -> Result<Self, NodeError> {
        let cookie = cookie.to_owned();
        // Files and sockets are waited for where that holds up nobody.
        tokio::task::spawn_blocking(move || Self::greet(address, cookie))
            .await
            .unwrap_or_else(|error| Err(gone(&error)))
    }

    fn greet(address: Address, cookie: PathBuf) -> Result<Self, NodeError> {
        let credentials =
            fs::read_to_string(&cookie).map_err(|source| NodeError::Cookie { path: cookie.clone(), source })?;
        let credentials = credentials.trim_end();
        if !credentials.contains(':') || credentials.contains(char::is_whitespace) {
            return Err(NodeError::NoCookie { path: cookie });
        }
        let traffic = Arc::default();
        let transport = HttpTransport::new(address.clone(), credentials, Arc::clone(&traffic));
        let pid = if address.is_this_machine() { process::beside(&cookie) } else { None };
        let asked = Asked { client: Client::with_transport(transport), traffic, address, cookie };
        let NetworkInfo { subversion } = asked.read("getnetworkinfo", &NONE)?;
        let BlockchainInfo { chain, .. } = asked.read("getblockchaininfo", &NONE)?;
        let version = subversion.trim_matches('/').replacen(':', " ", 1);
        Ok(Self { asked: Arc::new(asked), version, network: chain, pid })
    }

    /// Its name and version, as it tells its peers: `Satoshi 29.0.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The number of its process, where that can be told: it runs on this machine, and wrote it beside its cookie.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// What crossed its connection so far: HTTP requests and responses, with their heads.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.asked.traffic.get()
    }

    /// That it is of the same network as the server, and has the same blocks on disk.
    ///
    /// # Errors
    /// [`NodeError`] with what differs.
    pub(crate) async fn check(&self, network: Network, pinned: Pinned) -> Result<(), NodeError> {
        let expected = network.to_core_arg();
        if self.network != expected {
            let (found, expected) = (self.network.clone(), expected.to_owned());
            return Err(NodeError::OtherNetwork { address: self.asked.address.clone(), found, expected });
        }
        let info: BlockchainInfo = self.read("getblockchaininfo", NONE).await?;
        let (first, last) = (pinned.range.first(), pinned.range.last());
        if info.blocks < last.0 {
            return Err(NodeError::Behind { found: info.blocks, expected: last });
        }
        self.check_tip(pinned).await?;
        match info.pruneheight {
            Some(lowest) if first.0 < lowest => Err(NodeError::Pruned { lowest }),
            _ => Ok(()),
        }
    }

    /// That it has the last block of the range, and so all before it.
    ///
    /// # Errors
    /// [`NodeError::OtherChain`] if it has another there.
    pub(super) async fn check_tip(&self, pinned: Pinned) -> Result<(), NodeError> {
        let height = pinned.range.last();
        let found = self.block_hash(height).await?;
        let expected = pinned.tip;
        if found == expected { Ok(()) } else { Err(NodeError::OtherChain { height, found, expected }) }
    }

    /// The block that its active chain has at a height.
    ///
    /// # Errors
    /// As any call.
    pub(super) async fn block_hash(&self, height: Height) -> Result<BlockHash, NodeError> {
        let hash: String = self.read("getblockhash", (height.0,)).await?;
        hash.parse().map_err(|error| NodeError::unexpected("getblockhash", error))
    }

    /// Calls a method, and reads what it answers.
    ///
    /// # Errors
    /// [`NodeError`], if it does not answer, or otherwise than documented.
    pub(super) async fn read<T, P>(&self, method: &'static str, params: P) -> Result<T, NodeError>
    where
        T: DeserializeOwned + Send + 'static,
        P: Serialize + Send + 'static,
    {
        let asked = Arc::clone(&self.asked);
        // A call may take minutes, in which others have their turn, Ctrl-C among them.
        let call = tokio::task::spawn_blocking(move || asked.read(method, &params));
        call.await.unwrap_or_else(|error| Err(gone(&error)))
    }

    /// Calls a method with arguments that are JSON already; what it answers is left as it is.
    ///
    /// # Errors
    /// [`NodeError`], if it does not answer.
    pub(super) async fn call(&self, method: &'static str, params: Box<RawValue>) -> Result<Box<RawValue>, NodeError> {
        let asked = Arc::clone(&self.asked);
        let call = tokio::task::spawn_blocking(move || asked.call(method, &params));
        call.await.unwrap_or_else(|error| Err(gone(&error)))
    }
}

impl Asked {
    fn read<T: DeserializeOwned>(&self, method: &'static str, params: &impl Serialize) -> Result<T, NodeError> {
        let params = to_raw_value(params).map_err(|error| NodeError::unexpected(method, error))?;
        let answer = self.call(method, &params)?;
        serde_json::from_str(answer.get()).map_err(|error| NodeError::unexpected(method, error))
    }

    fn call(&self, method: &'static str, params: &RawValue) -> Result<Box<RawValue>, NodeError> {
        let request = self.client.build_request(method, Some(params));
        let id = request.id.clone();
        let response = self.client.send_request(request).map_err(|error| self.no_answer(method, error))?;
        if let Some(refused) = response.error {
            return Err(refusal(method, refused.code, refused.message));
        }
        if response.id != id {
            return Err(NodeError::unexpected(method, "it is the answer to another call"));
        }
        response.result.ok_or_else(|| NodeError::unexpected(method, "there is nothing in it"))
    }

    fn no_answer(&self, method: &'static str, error: jsonrpc::Error) -> NodeError {
        let address = self.address.clone();
        let error = match error {
            jsonrpc::Error::Transport(error) => error,
            other => return NodeError::unexpected(method, other),
        };
        match error.downcast::<HttpError>().map(|error| *error) {
            Ok(HttpError::Connect(source)) => NodeError::NobodyListens { address, source },
            Ok(HttpError::Broken(source)) => NodeError::NoAnswer { address, method, source },
            Ok(HttpError::Status(401)) => NodeError::Unauthorized { address, cookie: self.cookie.clone() },
            Ok(HttpError::Status(403)) => NodeError::Forbidden { address },
            Ok(HttpError::Status(503)) => NodeError::Busy,
            Ok(HttpError::Status(status)) => {
                NodeError::NotRpc { address, detail: format!("it answers with status {status}") }
            }
            Ok(HttpError::Malformed(detail)) => NodeError::NotRpc { address, detail },
            Err(other) => NodeError::unexpected(method, other),
        }
    }
}

/// What a refusal of the node means.
fn refusal(method: &'static str, code: i32, said: String) -> NodeError {
    match (code, method) {
        (code::IN_WARMUP, _) => NodeError::WarmingUp { said },
        (code::METHOD_NOT_FOUND, "scanblocks") => NodeError::Unknown { method, since: "25.0" },
        (code::METHOD_NOT_FOUND, "getdescriptoractivity") => NodeError::Unknown { method, since: "29.0" },
        (code::METHOD_NOT_FOUND, _) => NodeError::Unknown { method, since: "0.21" },
        (code::MISC, "scanblocks") if said.contains("Index is not enabled") => NodeError::NoFilters,
        (code::MISC, "getblock" | "getdescriptoractivity") if said.contains("pruned data") => {
            NodeError::PrunedMeanwhile
        }
        (code::INVALID_PARAMETER, "scanblocks") if said.contains("already in progress") => NodeError::ScanningAlready,
        _ => NodeError::Refused { method, code, said },
    }
}

/// A call whose thread is gone: it panicked, which is a defect of ours, or the runtime is ending.
fn gone(error: &tokio::task::JoinError) -> NodeError {
    NodeError::unexpected("a call", error)
}
