//! The commitment of a coinbase to the witnesses of its block (BIP141).
//!
//! The witness root is not computed here: it takes another merkle tree over the block.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

use bitcoin::WitnessCommitment;
use bitcoin::hashes::{Hash, HashEngine, sha256d};

use crate::blocks::cursor::{Cursor, Malformed};
use crate::blocks::proof::{Unproven, has_witness};
use crate::blocks::transaction::{TxOutput, TxView};
use crate::blocks::walk::TxBounds;

/// Start of the script of a committing output: `OP_RETURN`, a push of 36 bytes, and four bytes
/// defined by BIP141. The commitment follows; any further bytes have no meaning.
const COMMITMENT_PREFIX: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// A coinbase's commitment to the witnesses of its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct CoinbaseCommitment {
    commitment: [u8; 32],
    /// The witness reserved value, hashed after the witness root.
    reserved: [u8; 32],
}

/// The commitment of a coinbase at `bounds` in its block; `coinbase` is its bytes with witness and
/// without obfuscation. None if there is no commitment.
///
/// # Errors
/// [`Unproven::ReservedValue`] if it commits and its witness is not a reserved value.
pub(super) fn read(coinbase: &[u8], bounds: TxBounds) -> Result<Option<CoinbaseCommitment>, Unproven> {
    let view = TxView::parse(coinbase)?;
    // If several outputs commit, the last one counts.
    let Some(commitment) = view.outputs().filter_map(|output| committed(&output)).last() else { return Ok(None) };
    let witness = if has_witness(&bounds) { bounds.body_end.saturating_sub(bounds.start) } else { coinbase.len() };
    let reserved = reserved_value(coinbase.get(witness..).unwrap_or_default())?;
    Ok(Some(CoinbaseCommitment { commitment, reserved }))
}

impl CoinbaseCommitment {
    /// Checks the commitment against the merkle root of the witnesses.
    ///
    /// # Errors
    /// [`Unproven::WitnessCommitment`] if they differ.
    pub(super) fn check(&self, witness_root: [u8; 32]) -> Result<(), Unproven> {
        let mut engine = sha256d::Hash::engine();
        engine.input(&witness_root);
        engine.input(&self.reserved);
        let found = WitnessCommitment::from_raw_hash(sha256d::Hash::from_engine(engine));
        let expected = WitnessCommitment::from_byte_array(self.commitment);
        if found == expected { Ok(()) } else { Err(Unproven::WitnessCommitment { expected, found }) }
    }
}

fn committed(output: &TxOutput<'_>) -> Option<[u8; 32]> {
    output.script_pubkey.strip_prefix(&COMMITMENT_PREFIX)?.first_chunk().copied()
}

/// The witness of the first input in `witnesses`, if it is one item of 32 bytes. Empty `witnesses`
/// hold none.
fn reserved_value(witnesses: &[u8]) -> Result<[u8; 32], Unproven> {
    let (items, bytes, last) = if witnesses.is_empty() { (0, 0, &[][..]) } else { first_witness(witnesses)? };
    match last.first_chunk() {
        Some(reserved) if items == 1 && bytes == 32 => Ok(*reserved),
        _ => Err(Unproven::ReservedValue { items, bytes }),
    }
}

/// Number of items and bytes of the first witness, and its last item.
fn first_witness(witnesses: &[u8]) -> Result<(u64, u64, &[u8]), Malformed> {
    let mut cursor = Cursor::new(witnesses);
    let items = cursor.compact_size()?;
    let (mut bytes, mut last) = (0_u64, &[][..]);
    for _ in 0..items {
        last = cursor.var_bytes()?;
        bytes = bytes.saturating_add(last.len() as u64);
    }
    Ok((items, bytes, last))
}
