//! Errors of a fill, each with the next step.

use rescan_core::causes::with_causes;
use rescan_fill::FillError;

use super::CliError;

impl From<FillError> for CliError {
    fn from(error: FillError) -> Self {
        let hint = match &error {
            FillError::Scan(error) => return error.clone().into(),
            FillError::Node(_) => {
                let FillError::Node(error) = error else { return Self::no_summary() };
                return error.into();
            }
            FillError::NoWallet { name, on_disk: true, .. } => format!("load it: bitcoin-cli loadwallet {name:?}"),
            FillError::NoWallet { name, .. } => format!(
                "make a watch-only one with --create and --descriptors FILE, or: bitcoin-cli -named createwallet \
                 wallet_name={name:?} disable_private_keys=true blank=true"
            ),
            FillError::WalletExists { .. } => "leave out --create: its descriptors are added to those it has".to_owned(),
            FillError::LegacyWallet { .. } => "bitcoin-cli migratewallet makes a descriptor wallet of it".to_owned(),
            FillError::NoDescriptors { .. } => "give its descriptors: --descriptors FILE".to_owned(),
            FillError::Locked { name } => format!(
                "unlock it for long enough: bitcoin-cli -rpcwallet={name:?} walletpassphrase PASSPHRASE 3600"
            ),
            FillError::Scanning { name } => format!(
                "wait for it (bitcoin-cli -rpcwallet={name:?} getwalletinfo shows its progress), or stop it: abortrescan"
            ),
            FillError::Aborted { .. } => "run the same command again: it goes on with the blocks that are left".to_owned(),
            FillError::Import { .. } => {
                "`bitcoin-cli getdescriptorinfo` describes a descriptor; the wallet keeps those before it".to_owned()
            }
            FillError::PrivateKeysEnabled { .. } => {
                "import it into a watch-only wallet of its own: --wallet OTHER --create".to_owned()
            }
            FillError::Pruned { lowest } => {
                format!("scan the rest: --from-height {lowest}; earlier history needs a server with all blocks")
            }
            FillError::Cancelled => "start rescan-server again, and repeat the command".to_owned(),
            FillError::OtherNetwork { .. } => {
                "give node and server of one network: --network NAME, or --datadir DIR with --socket PATH".to_owned()
            }
            FillError::Behind { .. } => {
                "wait until the node has those blocks: `bitcoin-cli getblockchaininfo` shows its height".to_owned()
            }
            FillError::OtherChain { .. } => {
                "do both belong together? `rescan info` shows the server's tip and its link to a node; then repeat the command"
                    .to_owned()
            }
            _ => "this is a bug in rescan or rescan-server; please report it".to_owned(),
        };
        match error {
            FillError::NoWallet { .. }
            | FillError::WalletExists { .. }
            | FillError::LegacyWallet { .. }
            | FillError::NoDescriptors { .. }
            | FillError::Import { .. }
            | FillError::PrivateKeysEnabled { .. }
            | FillError::OtherNetwork { .. } => Self::usage(with_causes(&error), hint),
            error => Self::failed(with_causes(&error), hint),
        }
    }
}
