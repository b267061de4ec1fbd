//! Results of Bitcoin Core's wallet methods (`src/wallet/rpc/`), the parts that are read here.

use std::str::FromStr;

use bitcoin::{BlockHash, OutPoint, Txid};
use rescan_node::RpcError;
use serde::Deserialize;

/// Reads hexadecimal of a result.
pub(crate) fn parse<T: FromStr>(method: &'static str, text: &str) -> Result<T, RpcError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| RpcError::unexpected(method, error))
}

/// `getwalletinfo`.
#[derive(Deserialize)]
pub(crate) struct WalletInfoAnswer {
    pub(crate) private_keys_enabled: bool,
    /// Absent from wallets without a passphrase; 0 while locked.
    pub(crate) unlocked_until: Option<u64>,
    pub(crate) scanning: Scanning,
    /// False for wallets from before descriptors; absent once there are no others.
    #[serde(default = "yes")]
    pub(crate) descriptors: bool,
}

fn yes() -> bool {
    true
}

/// `scanning` of `getwalletinfo`: false, or the progress.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Scanning {
    On { progress: f64 },
    Off(serde::de::IgnoredAny),
}

/// An entry of `listsinceblock`: one output or input of a transaction.
#[derive(Deserialize)]
pub(crate) struct TransactionEntry {
    txid: String,
    /// Negative if it conflicts with the chain.
    pub(crate) confirmations: i64,
    blockhash: Option<String>,
    blockheight: Option<u32>,
}

/// A block, by hash and height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Confirmation {
    pub(crate) hash: BlockHash,
    pub(crate) height: u32,
}

impl TransactionEntry {
    pub(crate) fn txid(&self, method: &'static str) -> Result<Txid, RpcError> {
        parse(method, &self.txid)
    }

    /// The block that confirms it; none if it is unconfirmed.
    pub(crate) fn confirmation(&self, method: &'static str) -> Result<Option<Confirmation>, RpcError> {
        match (self.confirmations > 0, &self.blockhash, self.blockheight) {
            (true, Some(hash), Some(height)) => Ok(Some(Confirmation { hash: parse(method, hash)?, height })),
            (true, ..) => Err(RpcError::unexpected(method, "a confirmed transaction without its block")),
            (false, ..) => Ok(None),
        }
    }
}

/// `listsinceblock`.
#[derive(Deserialize)]
pub(crate) struct SinceBlock {
    pub(crate) transactions: Vec<TransactionEntry>,
}

/// `gettransaction`, verbose.
#[derive(Deserialize)]
pub(crate) struct VerboseTransaction {
    #[serde(flatten)]
    pub(crate) entry: TransactionEntry,
    #[serde(default)]
    decoded: Decoded,
}

#[derive(Default, Deserialize)]
struct Decoded {
    vin: Vec<Input>,
}

/// An input; a coinbase has no `txid`.
#[derive(Deserialize)]
struct Input {
    txid: Option<String>,
    vout: Option<u32>,
}

impl VerboseTransaction {
    /// The coins that it spends.
    pub(crate) fn prevouts(&self, method: &'static str) -> Result<Vec<OutPoint>, RpcError> {
        let spends = self.decoded.vin.iter().filter_map(|input| input.txid.as_ref().zip(input.vout));
        spends.map(|(txid, vout)| Ok(OutPoint { txid: parse(method, txid)?, vout })).collect()
    }
}

/// An entry of `listunspent`.
#[derive(Deserialize)]
pub(crate) struct UnspentEntry {
    txid: String,
    vout: u32,
    pub(crate) confirmations: i64,
}

impl UnspentEntry {
    pub(crate) fn outpoint(&self, method: &'static str) -> Result<OutPoint, RpcError> {
        Ok(OutPoint { txid: parse(method, &self.txid)?, vout: self.vout })
    }
}

/// An entry of the result of `importdescriptors`.
#[derive(Deserialize)]
pub(crate) struct ImportResult {
    pub(crate) success: bool,
    pub(crate) error: Option<ImportError>,
}

#[derive(Deserialize)]
pub(crate) struct ImportError {
    pub(crate) code: i32,
    pub(crate) message: String,
}

/// `rescanblockchain`.
#[derive(Deserialize)]
pub(crate) struct RescannedRange {
    pub(crate) stop_height: Option<u32>,
}

/// `listwalletdir`.
#[derive(Deserialize)]
pub(crate) struct WalletDir {
    pub(crate) wallets: Vec<WalletDirEntry>,
}

#[derive(Deserialize)]
pub(crate) struct WalletDirEntry {
    pub(crate) name: String,
}

/// An entry of `getpeerinfo`.
#[derive(Deserialize)]
pub(crate) struct Peer {
    pub(crate) id: u64,
    /// 0 until the peer has sent it.
    #[serde(default)]
    pub(crate) version: u32,
    #[serde(default, rename = "servicesnames")]
    pub(crate) services: Vec<String>,
}
