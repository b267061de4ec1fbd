//! The subject of a checkpoint: a network, the entries of a request, their wallets, and the start of its range.
//!
//! Only a fingerprint of the request is kept. It leaves out the parts that may change from one scan to the next: gap
//! limits, last revealed indexes, the end of the range, the blocks to verify.

use bitcoin::BlockHash;
use bitcoin::hashes::{Hash, HashEngine, sha256};
use rescan_core::request::RangeStart;

use super::error::ResumeError;
use crate::request::ScanRequest;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) genesis: BlockHash,
    pub(super) fingerprint: sha256::Hash,
}

impl Subject {
    pub(super) fn of(genesis: BlockHash, request: &ScanRequest) -> Self {
        Self { genesis, fingerprint: fingerprint(request) }
    }

    /// # Errors
    ///
    /// [`ResumeError`] if this is not the subject that is `asked` for.
    pub(super) fn check(&self, asked: &Self) -> Result<(), ResumeError> {
        if self.genesis != asked.genesis {
            return Err(ResumeError::Network { expected: asked.genesis, found: self.genesis });
        }
        if self.fingerprint != asked.fingerprint {
            return Err(ResumeError::Request { expected: asked.fingerprint, found: self.fingerprint });
        }
        Ok(())
    }
}

/// Each list and each text goes in with its length, so that no two requests are the same bytes.
fn fingerprint(request: &ScanRequest) -> sha256::Hash {
    let mut engine = sha256::Hash::engine();
    let mut add = |bytes: &[u8]| {
        engine.input(&(bytes.len() as u64).to_le_bytes()); // usize has at most 64 bits
        engine.input(bytes);
    };
    add(&count(&request.keychains));
    for keychain in &request.keychains {
        // With its checksum or without, it is the same descriptor.
        let descriptor = keychain.descriptor.split('#').next().unwrap_or_default();
        add(descriptor.as_bytes());
    }
    add(&count(&request.scripts));
    request.scripts.iter().for_each(|script| add(script.as_bytes()));
    add(&count(&request.outpoints));
    for given in &request.outpoints {
        add(&given.outpoint.txid.to_byte_array());
        add(&given.outpoint.vout.to_le_bytes());
    }
    match &request.range.from {
        RangeStart::Height(height) => add(&[&b"height"[..], &height.0.to_le_bytes()].concat()),
        RangeStart::Birthday(seconds) => add(&[&b"birthday"[..], &seconds.to_le_bytes()].concat()),
        RangeStart::After(locator) => {
            add(b"after");
            locator.iter().for_each(|hash| add(&hash.to_byte_array()));
        }
    }
    // The lines printed for a transaction name its wallets. A request of one wallet has no names.
    for owner in &request.owners {
        add(owner.name.as_bytes());
        [owner.keychains, owner.scripts, owner.outpoints].iter().for_each(|entries| add(&number(*entries)));
    }
    sha256::Hash::from_engine(engine)
}

fn count<T>(entries: &[T]) -> [u8; 8] {
    number(entries.len())
}

fn number(count: usize) -> [u8; 8] {
    (count as u64).to_le_bytes() // usize has at most 64 bits
}
