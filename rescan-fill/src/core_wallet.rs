//! A wallet of a Bitcoin Core node, over JSON-RPC. Calls block.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Duration;

use bitcoin::{OutPoint, Txid};
use rescan_node::{IndexRange, ListedDescriptor, ListedDescriptors, RpcClient, RpcError, code};
use serde_json::{Value, json};

use crate::answers::{
    Confirmation, ImportResult, RescannedRange, Scanning, SinceBlock, UnspentEntry, VerboseTransaction, WalletDir,
    WalletInfoAnswer,
};
use crate::error::FillError;

/// The interval of requests to stop the rescan of an import.
const ABORT_EVERY: Duration = Duration::from_millis(5);

/// The time after which a wallet that is being unloaded is gone.
const UNLOADED_AFTER: Duration = Duration::from_millis(500);

/// Most confirmations that `listunspent` takes.
const CONFIRMATIONS_MAX: u32 = 9_999_999;

/// `RPC_TYPE_ERROR` (Bitcoin Core, `src/rpc/protocol.h`), which answers an unknown option.
const TYPE_ERROR: i32 = -3;

/// A loaded wallet.
#[derive(Clone, Debug)]
pub struct CoreWallet {
    node: RpcClient,
    rpc: RpcClient,
    name: String,
}

/// The state of a wallet.
#[derive(Clone, Copy, Debug)]
pub struct WalletInfo {
    /// Whether it can hold private keys. Such a wallet takes no descriptor without them.
    pub has_private_keys: bool,
    /// Whether its passphrase is needed.
    pub is_locked: bool,
    /// The progress of a rescan, 0 to 1.
    pub scanning: Option<f64>,
}

/// Transactions of a wallet.
#[derive(Debug, Default)]
pub(crate) struct WalletTransactions {
    pub(crate) confirmed: HashMap<Txid, Confirmation>,
    pub(crate) unconfirmed: Vec<Txid>,
    /// False for nodes from before 25.0, which leave out payments between a wallet's own addresses.
    pub(crate) is_complete: bool,
}

/// Confirmed coins of a wallet.
#[derive(Debug, Default)]
pub(crate) struct WalletCoins {
    pub(crate) outpoints: HashSet<OutPoint>,
    /// False for nodes from before 25.0, which leave out immature coinbase outputs.
    pub(crate) has_immature: bool,
}

impl CoreWallet {
    /// The loaded wallet of this name.
    ///
    /// # Errors
    /// [`FillError::NoWallet`], [`FillError::LegacyWallet`], [`FillError::Node`].
    pub fn open(node: &RpcClient, name: &str) -> Result<Self, FillError> {
        let wallet = Self { node: node.clone(), rpc: node.wallet(name), name: name.to_owned() };
        match wallet.info() {
            Ok(_info) => Ok(wallet),
            Err(FillError::Node(RpcError::WalletNotFound { .. })) => Err(wallet.missing()),
            Err(error) => Err(error),
        }
    }

    /// Makes a wallet without keys, for descriptors without private keys, and loads it.
    ///
    /// # Errors
    /// [`FillError::WalletExists`], [`FillError::Node`].
    pub fn create(node: &RpcClient, name: &str) -> Result<Self, FillError> {
        let params = json!({"wallet_name": name, "disable_private_keys": true, "blank": true});
        match node.call::<Value>("createwallet", &params) {
            Ok(_answer) => Self::open(node, name),
            Err(RpcError::Refused { code, ref message, .. })
                if code == code::WALLET_ALREADY_EXISTS || message.contains("already exists") =>
            {
                Err(FillError::WalletExists { name: name.to_owned() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node that has it.
    #[must_use]
    pub fn node(&self) -> &RpcClient {
        &self.node
    }

    /// Its state.
    ///
    /// # Errors
    /// [`FillError::LegacyWallet`], [`FillError::Node`].
    pub fn info(&self) -> Result<WalletInfo, FillError> {
        let answer: WalletInfoAnswer = self.rpc.call("getwalletinfo", &[(); 0])?;
        if !answer.descriptors {
            return Err(FillError::LegacyWallet { name: self.name.clone() });
        }
        let scanning = match answer.scanning {
            Scanning::On { progress } => Some(progress),
            Scanning::Off(_) => None,
        };
        let is_locked = answer.unlocked_until == Some(0);
        Ok(WalletInfo { has_private_keys: answer.private_keys_enabled, is_locked, scanning })
    }

    /// Refuses a wallet that cannot rescan now.
    ///
    /// # Errors
    /// [`FillError::Locked`], [`FillError::Scanning`], [`FillError::Node`].
    pub fn check_ready(&self) -> Result<WalletInfo, FillError> {
        let info = self.info()?;
        if info.is_locked {
            return Err(FillError::Locked { name: self.name.clone() });
        }
        if info.scanning.is_some() {
            return Err(FillError::Scanning { name: self.name.clone() });
        }
        Ok(info)
    }

    /// Its descriptors, in public form. Descriptors without scripts (`unused()`) are left out.
    ///
    /// # Errors
    /// [`FillError::Node`].
    pub fn descriptors(&self) -> Result<Vec<ListedDescriptor>, FillError> {
        let listed: ListedDescriptors = self.rpc.call("listdescriptors", &[(); 0])?;
        Ok(listed.descriptors.into_iter().filter(|listed| !listed.desc.starts_with("unused(")).collect())
    }

    /// Imports the descriptors that the wallet does not have, or not with their range. The others
    /// stay as they are. Returns the number imported.
    ///
    /// Core rescans from the earliest time of creation among them; that rescan is stopped. With
    /// `now` in place of the time, Core would scan two hours and forget when the descriptor was made.
    ///
    /// # Errors
    /// [`FillError::Import`], [`FillError::PrivateKeysEnabled`], [`FillError::Locked`],
    /// [`FillError::Scanning`], [`FillError::Node`]. Descriptors other than the refused one may have
    /// been imported.
    pub fn import(&self, descriptors: &[ListedDescriptor]) -> Result<usize, FillError> {
        let needed = self.missing_descriptors(descriptors)?;
        let Some((first, _)) = needed.first() else { return Ok(0) };
        if self.check_ready()?.has_private_keys {
            return Err(FillError::PrivateKeysEnabled { name: self.name.clone(), number: *first });
        }
        match self.call_import(&needed) {
            Err(FillError::Node(error)) if is_aborted(&error) => {}
            imported => return imported.map(|()| needed.len()),
        }
        // A stopped rescan answers with one error, whichever descriptors were taken. If only
        // refused ones are left, there is no rescan, and the answer has their reasons.
        let refused = self.missing_descriptors(descriptors)?;
        if !refused.is_empty() {
            self.call_import(&refused)?;
        }
        Ok(needed.len())
    }

    /// Descriptors that the wallet lacks, by position; those of a smaller range with the rest of
    /// their data as the wallet has it.
    fn missing_descriptors(&self, given: &[ListedDescriptor]) -> Result<Vec<(usize, ListedDescriptor)>, FillError> {
        let listed = self.descriptors()?;
        let known: HashMap<String, &ListedDescriptor> =
            listed.iter().map(|listed| (listed.spelling(), listed)).collect();
        let missing = given.iter().enumerate().filter_map(|(number, given)| match known.get(&given.spelling()) {
            None => Some((number, given.clone())),
            Some(has) if range_end(has) >= range_end(given) => None,
            Some(has) => {
                let range = range_end(given).map(|end| IndexRange::Both([0, end]));
                Some((number, ListedDescriptor { range, ..(*has).clone() }))
            }
        });
        Ok(missing.collect())
    }

    fn call_import(&self, descriptors: &[(usize, ListedDescriptor)]) -> Result<(), FillError> {
        let requests: Vec<&ListedDescriptor> = descriptors.iter().map(|(_, descriptor)| descriptor).collect();
        let call = || self.rpc.call::<Vec<ImportResult>>("importdescriptors", &(&requests,));
        let results = self.while_stopping_rescans(call).map_err(|error| self.refused(error))?;
        let refused = descriptors.iter().zip(results).find(|(_, result)| !result.success);
        match refused {
            None => Ok(()),
            Some(((number, _), result)) => {
                let reason = result.error.map(|error| (error.code, error.message));
                let (code, message) = reason.unwrap_or_else(|| (code::MISC, "no reason given".to_owned()));
                Err(FillError::Import { number: *number, code, message })
            }
        }
    }

    /// Tops up the keypool of each active descriptor to this many indexes beyond its next one.
    ///
    /// # Errors
    /// [`FillError::Locked`], [`FillError::Node`].
    pub fn refill_keypool(&self, size: u32) -> Result<(), FillError> {
        self.rpc.call::<()>("keypoolrefill", &(size,)).map_err(|error| self.refused(error))
    }

    /// Has Core look at the blocks of a range, both ends included; without a last one, at all blocks
    /// to the tip, and then at the mempool. Returns the height of the last block that it has looked
    /// at: a lower one than asked for, or none, if the chain was reorganised meanwhile.
    ///
    /// # Errors
    /// [`FillError::Locked`], [`FillError::Scanning`], [`FillError::Aborted`], [`FillError::Node`].
    pub fn rescan(&self, first: u32, last: Option<u32>) -> Result<Option<u32>, FillError> {
        match self.rpc.call::<RescannedRange>("rescanblockchain", &(first, last)) {
            Ok(range) => Ok(range.stop_height),
            Err(error) if is_aborted(&error) => Err(FillError::Aborted { name: self.name.clone() }),
            Err(error) => Err(match self.refused(error) {
                FillError::Scanning { .. } => self.scanning_or_unloaded(),
                refused => refused,
            }),
        }
    }

    /// The reason for which a wallet refuses to rescan as if it were scanning: one that is being
    /// unloaded does so too.
    fn scanning_or_unloaded(&self) -> FillError {
        thread::sleep(UNLOADED_AFTER);
        match self.info() {
            Err(FillError::Node(RpcError::WalletNotFound { .. })) => self.missing(),
            _ => FillError::Scanning { name: self.name.clone() },
        }
    }

    /// Stops a rescan, if there is one.
    ///
    /// # Errors
    /// [`FillError::Node`].
    pub fn abort_rescan(&self) -> Result<bool, FillError> {
        Ok(self.rpc.call("abortrescan", &[(); 0])?)
    }

    /// Its transactions, payments between its own addresses included.
    pub(crate) fn transactions(&self) -> Result<WalletTransactions, FillError> {
        const METHOD: &str = "listsinceblock";
        let ask = |params: Value| self.rpc.call::<SinceBlock>(METHOD, &params);
        let (since, is_complete) = match ask(json!({"include_removed": false, "include_change": true})) {
            Ok(since) => (since, true),
            // Named parameters of newer nodes.
            Err(RpcError::Refused { code: code::INVALID_PARAMETER, .. }) => {
                (ask(json!({"include_removed": false}))?, false)
            }
            Err(error) => return Err(error.into()),
        };
        let mut all = WalletTransactions { is_complete, ..WalletTransactions::default() };
        for entry in since.transactions {
            let txid = entry.txid(METHOD)?;
            if let Some(confirmation) = entry.confirmation(METHOD)? {
                all.confirmed.insert(txid, confirmation);
            } else if entry.confirmations == 0 {
                all.unconfirmed.push(txid);
            }
        }
        all.unconfirmed.sort_unstable();
        all.unconfirmed.dedup();
        Ok(all)
    }

    /// The block that confirms a transaction; none if the wallet does not have it, or unconfirmed.
    pub(crate) fn confirmation(&self, txid: Txid) -> Result<Option<Confirmation>, FillError> {
        Ok(match self.transaction(txid)? {
            Some(transaction) => transaction.entry.confirmation("gettransaction")?,
            None => None,
        })
    }

    /// The coins that a transaction of the wallet spends; none of one that it does not have.
    pub(crate) fn prevouts(&self, txid: Txid) -> Result<Vec<OutPoint>, FillError> {
        Ok(match self.transaction(txid)? {
            Some(transaction) => transaction.prevouts("gettransaction")?,
            None => Vec::new(),
        })
    }

    fn transaction(&self, txid: Txid) -> Result<Option<VerboseTransaction>, FillError> {
        match self.rpc.call("gettransaction", &json!({"txid": txid.to_string(), "verbose": true})) {
            Ok(transaction) => Ok(Some(transaction)),
            Err(RpcError::Refused { code: code::INVALID_ADDRESS_OR_KEY, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Its confirmed coins, immature ones included.
    pub(crate) fn coins(&self) -> Result<WalletCoins, FillError> {
        const METHOD: &str = "listunspent";
        let ask = |options: Value| {
            self.rpc.call::<Vec<UnspentEntry>>(METHOD, &(1, CONFIRMATIONS_MAX, [(); 0], true, options))
        };
        let (entries, has_immature) = match ask(json!({"include_immature_coinbase": true})) {
            Ok(entries) => (entries, true),
            Err(RpcError::Refused { code: TYPE_ERROR, .. }) => (ask(json!({}))?, false),
            Err(error) => return Err(error.into()),
        };
        let confirmed = entries.iter().filter(|entry| entry.confirmations > 0);
        let outpoints = confirmed.map(|entry| entry.outpoint(METHOD)).collect::<Result<_, _>>()?;
        Ok(WalletCoins { outpoints, has_immature })
    }

    /// Makes a call, and stops each rescan of the wallet until it returns.
    fn while_stopping_rescans<T: Send>(
        &self,
        call: impl FnOnce() -> Result<T, RpcError> + Send,
    ) -> Result<T, RpcError> {
        thread::scope(|scope| {
            let calling = scope.spawn(call);
            while !calling.is_finished() {
                // The import's own answer has the reason if the node is gone.
                drop(self.rpc.call::<bool>("abortrescan", &[(); 0]));
                thread::sleep(ABORT_EVERY);
            }
            calling.join().unwrap_or_else(|_panic| Err(RpcError::unexpected("importdescriptors", "the call panicked")))
        })
    }

    /// The error for a wallet that is not loaded.
    fn missing(&self) -> FillError {
        let name = self.name.clone();
        // Both lists only improve the message.
        let loaded = self.node.call("listwallets", &[(); 0]).unwrap_or_default();
        let on_disk = self.node.call::<WalletDir>("listwalletdir", &[(); 0]);
        let on_disk = on_disk.is_ok_and(|folder| folder.wallets.iter().any(|wallet| wallet.name == name));
        FillError::NoWallet { name, loaded, on_disk }
    }

    fn refused(&self, error: RpcError) -> FillError {
        let name = self.name.clone();
        match error {
            RpcError::WalletNotFound { .. } => self.missing(),
            RpcError::WalletLocked { .. } => FillError::Locked { name },
            RpcError::Refused { code: code::WALLET, ref message, .. } if message.contains("rescanning") => {
                FillError::Scanning { name }
            }
            error => error.into(),
        }
    }
}

fn range_end(listed: &ListedDescriptor) -> Option<u32> {
    listed.range.map(IndexRange::last)
}

fn is_aborted(error: &RpcError) -> bool {
    matches!(error, RpcError::Refused { code: code::MISC, message, .. } if message.contains("abort"))
}
