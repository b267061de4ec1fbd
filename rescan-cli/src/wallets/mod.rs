//! The wallets of a scan, the labels of their keychains, and the part of a result that each of them owns.

mod collected;
mod labels;
mod wallet_set;

pub(crate) use self::collected::{Collected, WalletResult};
pub(crate) use self::labels::{Label, Labels, Owner};
pub(crate) use self::wallet_set::{Wallet, WalletSet};
