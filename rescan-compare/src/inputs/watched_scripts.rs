//! The fixed set of scripts that every method looks for, in the form that each needs, made before
//! any clock starts.

use std::collections::HashSet;

use bitcoin::{NetworkKind, ScriptBuf};
use rescan_core::report::{KeychainUse, Origin};
use rescan_core::request::{GivenKeychain, INDEX_MAX};
use rescan_core::watching::descriptor::Keychain;
use rescan_core::watching::watch_set::{WatchSet, WatchSetBuilder};

use crate::error::CompareError;

/// Indexes derived between two yields to other tasks: some milliseconds of work.
const INDEXES_PER_TURN: u32 = 64;

/// A set of scripts.
#[derive(Debug)]
pub(crate) struct WatchedScripts {
    /// The scripts, each once, as they are sent to a server.
    pub(crate) scripts: Vec<ScriptBuf>,
    /// For the server's matcher on the wallet's side.
    pub(crate) compiled: WatchSet,
    /// For a wallet that decodes and compares.
    pub(crate) hashed: HashSet<ScriptBuf>,
}

impl WatchedScripts {
    /// These scripts, without duplicates.
    ///
    /// # Errors
    /// If one of them cannot be watched.
    pub(crate) fn new(mut scripts: Vec<ScriptBuf>) -> Result<Self, CompareError> {
        let mut hashed = HashSet::with_capacity(scripts.len());
        scripts.retain(|script| hashed.insert(script.clone()));
        let mut builder = WatchSetBuilder::new();
        for (number, script) in (0..).zip(&scripts) {
            builder.add_script(script.as_bytes(), Origin::Script(number))?;
        }
        Ok(Self { scripts, compiled: builder.build(), hashed })
    }

    /// The scripts that the gap rule ends with: of each keychain, the indexes up to its last used
    /// or revealed one, and its gap limit beyond. `show` receives their number, again and again.
    ///
    /// # Errors
    /// If a script cannot be derived.
    pub(crate) async fn derive(
        keychains: &[GivenKeychain],
        used: &[KeychainUse],
        network: NetworkKind,
        mut show: impl FnMut(u64),
    ) -> Result<Self, CompareError> {
        let mut scripts = Vec::new();
        for (number, (given, used)) in keychains.iter().zip(used).enumerate() {
            let keychain = Keychain::parse(&given.descriptor, network)
                .map_err(|source| CompareError::Descriptor { number, source })?;
            for index in 0..=last_index(given, &keychain, *used) {
                keychain.scripts(index, &mut scripts).map_err(|source| CompareError::Derive { number, source })?;
                if index % INDEXES_PER_TURN == 0 {
                    show(scripts.len() as u64); // usize is at most 64 bits
                    tokio::task::yield_now().await;
                }
            }
        }
        Self::new(scripts)
    }
}

/// The last index that the rule watches. All indexes of a descriptor without a range are the same.
fn last_index(given: &GivenKeychain, keychain: &Keychain, used: KeychainUse) -> u32 {
    if !keychain.is_ranged() {
        return 0;
    }
    let last_used = match used {
        KeychainUse::LastUsed(index) => Some(index),
        KeychainUse::Unused | KeychainUse::UsedSingle => None,
    };
    match last_used.max(given.last_revealed) {
        Some(index) => index.saturating_add(given.gap_limit).min(INDEX_MAX),
        None => given.gap_limit.saturating_sub(1).min(INDEX_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BIP84's test vector, for a test network.
    const KEY: &str = "tpubDCBWBScQPGv4Xk3JSbhw6wYYpayMjb2eAYyArpbSqQTbLDpphHGAetB6VQgVeftLML8vDSUEWcC2xDi3qJJ3YCDChJDvqVzpgoYSuT52MhJ";

    async fn count(keychain: GivenKeychain, used: KeychainUse) -> usize {
        let watched =
            WatchedScripts::derive(&[keychain], &[used], NetworkKind::Test, |_| {}).await.expect("it derives");
        assert_eq!(watched.scripts.len(), watched.hashed.len());
        assert_eq!(watched.scripts.len(), watched.compiled.script_count());
        watched.scripts.len()
    }

    #[tokio::test]
    async fn a_keychain_is_watched_to_its_last_use_and_the_gap_beyond() {
        let ranged = || GivenKeychain::new(format!("wpkh({KEY}/0/*)")).gap_limit(5);
        assert_eq!(count(ranged(), KeychainUse::Unused).await, 5);
        assert_eq!(count(ranged(), KeychainUse::LastUsed(0)).await, 6);
        assert_eq!(count(ranged(), KeychainUse::LastUsed(70)).await, 76);
        assert_eq!(count(ranged().revealed(80), KeychainUse::LastUsed(70)).await, 86);
        assert_eq!(count(ranged().revealed(3), KeychainUse::Unused).await, 9);
    }

    #[tokio::test]
    async fn a_descriptor_without_a_range_is_watched_once() {
        let single = || GivenKeychain::new(format!("wpkh({KEY}/0/1)")).gap_limit(5);
        assert_eq!(count(single(), KeychainUse::UsedSingle).await, 1);
        assert_eq!(count(single(), KeychainUse::Unused).await, 1);
    }

    #[tokio::test]
    async fn duplicate_scripts_are_watched_once() {
        let same = [GivenKeychain::new(format!("wpkh({KEY}/0/*)")), GivenKeychain::new(format!("wpkh({KEY}/0/*)"))]
            .map(|keychain| keychain.gap_limit(5));
        let watched = WatchedScripts::derive(&same, &[KeychainUse::Unused; 2], NetworkKind::Test, |_| {})
            .await
            .expect("it derives");
        assert_eq!(watched.scripts.len(), 5);
    }
}
