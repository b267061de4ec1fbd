//! Rules of sane miniscript, as Bitcoin Core has them (`Node::IsSane`, src/script/miniscript.h).
//!
//! Every spend needs a signature, no witness is malleable, no spend exceeds consensus or standard
//! limits, lock times in blocks and in seconds do not mix, and no key stands twice. Keys are
//! compared as Core compares them: by the public key at index 0, not by their spelling. `multi`
//! and `sortedmulti` alone are no miniscript to Core, and may repeat a key.

use bitcoin::PublicKey;
use miniscript::descriptor::{ShInner, WshInner};
use miniscript::{AnalysisError, Descriptor, Miniscript, ScriptContext, Terminal};

use super::DescriptorError;

/// The highest lock time of `after` (BIP 379).
const LOCK_TIME_MAX: u32 = (1 << 31) - 1;

/// The largest redeem script that P2SH can spend (Bitcoin Core: `MAX_SCRIPT_ELEMENT_SIZE`).
const REDEEM_SCRIPT_BYTES_MAX: usize = 520;

/// Checks a descriptor with its keys at index 0.
///
/// # Errors
/// If the miniscript in it is not sane.
pub(super) fn check(descriptor: &Descriptor<PublicKey>) -> Result<(), DescriptorError> {
    match descriptor {
        Descriptor::Wsh(wsh) => check_witness_script(wsh.as_inner()),
        Descriptor::Sh(sh) => match sh.as_inner() {
            ShInner::Wsh(wsh) => check_witness_script(wsh.as_inner()),
            ShInner::Ms(script) => check_redeem_script(script.script_size()),
            ShInner::Wpkh(_) | ShInner::SortedMulti(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Checks a leaf of a tree with its keys at index 0.
///
/// # Errors
/// If it is not sane.
pub(super) fn check_script<Context: ScriptContext>(
    script: &Miniscript<PublicKey, Context>,
) -> Result<(), DescriptorError> {
    if matches!(script.node, Terminal::Multi(_) | Terminal::MultiA(_)) {
        return Ok(());
    }
    // `miniscript` has one more (2^31).
    let is_beyond = |fragment: &Terminal<_, _>| matches!(fragment, Terminal::After(time) if time.to_consensus_u32() > LOCK_TIME_MAX);
    if script.iter().any(|fragment| is_beyond(&fragment.node)) {
        return Err(DescriptorError::InvalidScript { reason: "a lock time is out of its range" });
    }
    script.sanity_check().map_err(|error| DescriptorError::InvalidScript { reason: fault(&error) })
}

/// Checks the size of the script in `sh`.
///
/// # Errors
/// If no transaction can spend it.
pub(super) fn check_redeem_script(script_bytes: usize) -> Result<(), DescriptorError> {
    if script_bytes > REDEEM_SCRIPT_BYTES_MAX {
        return Err(DescriptorError::InvalidScript { reason: "the script in sh() is larger than 520 bytes" });
    }
    Ok(())
}

fn check_witness_script(script: &WshInner<PublicKey>) -> Result<(), DescriptorError> {
    match script {
        WshInner::Ms(script) => check_script(script),
        WshInner::SortedMulti(_) => Ok(()),
    }
}

/// The broken rule.
pub(super) fn fault(error: &AnalysisError) -> &'static str {
    match error {
        AnalysisError::SiglessBranch => "not sane: it can be spent without a signature",
        AnalysisError::RepeatedPubkeys => "not sane: it has the same key twice",
        AnalysisError::BranchExceedResouceLimits => "not sane: a way to spend it is impossible or too large",
        AnalysisError::HeightTimelockCombination => "not sane: it mixes lock times in blocks with those in seconds",
        AnalysisError::Malleable => "not sane: it has malleable witnesses",
        AnalysisError::ContainsRawPkh => "not sane: it has a key hash in place of a key",
    }
}
