//! What a coinbase says about the witnesses of its block (BIP141): where it says it, and with what.
//!
//! It does not compute the witness root: that is one more merkle tree over the block.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

use bitcoin::WitnessCommitment;
use bitcoin::hashes::{Hash, HashEngine, sha256d};

use crate::blocks::cursor::{Cursor, Malformed};
use crate::blocks::proof::{Unproven, has_witness};
use crate::blocks::transaction::{TxOutput, TxView};
use crate::blocks::walk::TxBounds;

/// How the script of an output begins that commits: `OP_RETURN`, a push of 36 bytes, and four bytes that BIP141 names.
/// The commitment follows, and whatever else follows that says nothing.
const COMMITMENT_PREFIX: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// A coinbase's commitment to the witnesses of its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct CoinbaseCommitment {
    commitment: [u8; 32],
    /// The witness reserved value: what is hashed behind the witness root.
    reserved: [u8; 32],
}

/// The commitment of the coinbase whose bytes in the clear, witness and all, are `coinbase`, and which lies at `bounds`
/// in its block. None if it makes none.
///
/// # Errors
/// [`Unproven::ReservedValue`] where it makes one and its witness is not what belongs to it.
pub(super) fn read(coinbase: &[u8], bounds: TxBounds) -> Result<Option<CoinbaseCommitment>, Unproven> {
    let view = TxView::parse(coinbase)?;
    // Where several outputs commit, the last one counts.
    let Some(commitment) = view.outputs().filter_map(|output| committed(&output)).last() else { return Ok(None) };
    let witness = if has_witness(&bounds) { bounds.body_end.saturating_sub(bounds.start) } else { coinbase.len() };
    let reserved = reserved_value(coinbase.get(witness..).unwrap_or_default())?;
    Ok(Some(CoinbaseCommitment { commitment, reserved }))
}

impl CoinbaseCommitment {
    /// Whether it commits to witnesses with this merkle root.
    ///
    /// # Errors
    /// [`Unproven::WitnessCommitment`] where it does not.
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

/// The one item of 32 bytes that is the witness of the input with which `witnesses` begin; without a byte, there is none.
fn reserved_value(witnesses: &[u8]) -> Result<[u8; 32], Unproven> {
    let (items, bytes, last) = if witnesses.is_empty() { (0, 0, &[][..]) } else { first_witness(witnesses)? };
    match last.first_chunk() {
        Some(reserved) if items == 1 && bytes == 32 => Ok(*reserved),
        _ => Err(Unproven::ReservedValue { items, bytes }),
    }
}

/// Of the first witness: how many items, how many bytes in all of them, and the last one.
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
