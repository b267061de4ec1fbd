//! A borrowed view of one transaction: checked once when it is parsed, then iterated without
//! failure.
//!
//! Scripts and witnesses are located but not interpreted. Serialisation: BIP144.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

use bitcoin::hashes::{Hash, HashEngine, sha256d};
use bitcoin::{OutPoint, Txid};

use crate::blocks::cursor::{Cursor, Malformed};
use crate::blocks::obfuscation::RawBlock;
use crate::blocks::walk::TxBounds;

/// A well-formed transaction without obfuscation.
#[derive(Clone, Copy, Debug)]
pub struct TxView<'a> {
    version: &'a [u8; 4],
    /// Input count, inputs, output count and outputs: the bytes under the txid between version and
    /// lock time.
    body: &'a [u8],
    lock_time: &'a [u8; 4],
}

/// One input: the coin it spends. Its script and witness are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxInput {
    /// The spent coin.
    pub prevout: OutPoint,
}

/// One output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxOutput<'a> {
    /// Its value, in satoshi.
    pub value_sat: u64,
    /// The script it pays.
    pub script_pubkey: &'a [u8],
}

impl<'a> TxView<'a> {
    /// Parses the transaction at `cursor`, and leaves the cursor after its last byte.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are not a transaction.
    pub fn read(cursor: &mut Cursor<'a>, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let at = cursor.position();
        let version = cursor.array::<4>()?;
        let segwit = bytes.get(cursor.position()) == Some(&0);
        if segwit && cursor.array::<2>()? != &[0, 1] {
            return Err(Malformed::NeitherSerialisation { at });
        }
        let body_start = cursor.position();
        let input_count = cursor.compact_size()?;
        if input_count == 0 {
            return Err(Malformed::NoInputs { at });
        }
        for _ in 0..input_count {
            cursor.take(36)?;
            cursor.var_bytes()?;
            cursor.take(4)?;
        }
        let output_count = cursor.compact_size()?;
        for _ in 0..output_count {
            cursor.take(8)?;
            cursor.var_bytes()?;
        }
        let body = bytes.get(body_start..cursor.position()).unwrap_or_default();
        if segwit {
            for _ in 0..input_count {
                for _ in 0..cursor.compact_size()? {
                    cursor.var_bytes()?;
                }
            }
        }
        let lock_time = cursor.array::<4>()?;
        Ok(Self { version, body, lock_time })
    }

    /// Parses the transaction that fills `bytes`.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are not exactly one transaction.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let view = Self::read(&mut cursor, bytes)?;
        if !cursor.is_at_end() {
            return Err(Malformed::TrailingBytes { end: cursor.position(), size: bytes.len() });
        }
        Ok(view)
    }

    /// The inputs, in order.
    pub fn inputs(&self) -> impl Iterator<Item = TxInput> + 'a {
        let mut cursor = Cursor::new(self.body);
        let count = cursor.compact_size().unwrap_or(0);
        (0..count).map_while(move |_| read_input(&mut cursor).ok())
    }

    /// The outputs, in order.
    pub fn outputs(&self) -> impl Iterator<Item = TxOutput<'a>> + 'a {
        let mut cursor = Cursor::new(self.body);
        let input_count = cursor.compact_size().unwrap_or(0);
        let passed = (0..input_count).try_for_each(|_| read_input(&mut cursor).map(|_| ()));
        let count = passed.and_then(|()| cursor.compact_size()).unwrap_or(0);
        (0..count).map_while(move |_| read_output(&mut cursor).ok())
    }

    /// The transaction's id: the double SHA-256 of its serialisation without witnesses.
    #[must_use]
    pub fn txid(&self) -> Txid {
        let mut engine = sha256d::Hash::engine();
        engine.input(self.version);
        engine.input(self.body);
        engine.input(self.lock_time);
        Txid::from_raw_hash(sha256d::Hash::from_engine(engine))
    }
}

/// Replaces the content of `buffer` by a transaction of `block`, without witnesses and obfuscation:
/// the bytes that its txid covers.
pub fn strip(block: RawBlock<'_>, transaction: TxBounds, buffer: &mut Vec<u8>) {
    buffer.resize(stripped_bytes(transaction), 0);
    strip_into(block, transaction, buffer);
}

/// Number of bytes that [`strip`] writes.
pub(crate) fn stripped_bytes(transaction: TxBounds) -> usize {
    transaction.body_end.saturating_sub(transaction.body).saturating_add(8)
}

/// Writes the output of [`strip`] to `place`, which has [`stripped_bytes`] bytes.
pub(crate) fn strip_into(block: RawBlock<'_>, transaction: TxBounds, place: &mut [u8]) {
    let TxBounds { start, body, body_end, end, .. } = transaction;
    let mut rest = place;
    for (from, to) in [(start, start.saturating_add(4)), (body, body_end), (end.saturating_sub(4), end)] {
        let part = block.bytes().get(from..to).unwrap_or_default();
        let Some((here, behind)) = rest.split_at_mut_checked(part.len()) else { return };
        block.key().advanced(from as u64).copy(part, here);
        rest = behind;
    }
}

/// Replaces the content of `buffer` by a transaction of `block`, with witnesses and without
/// obfuscation: the bytes that its wtxid covers (BIP141), and a raw transaction to a node.
pub fn copy_whole(block: RawBlock<'_>, transaction: TxBounds, buffer: &mut Vec<u8>) {
    buffer.resize(whole_bytes(transaction), 0);
    copy_whole_into(block, transaction, buffer);
}

/// Number of bytes that [`copy_whole`] writes.
pub(crate) fn whole_bytes(transaction: TxBounds) -> usize {
    transaction.end.saturating_sub(transaction.start)
}

/// Writes the output of [`copy_whole`] to `place`, which has [`whole_bytes`] bytes.
pub(crate) fn copy_whole_into(block: RawBlock<'_>, transaction: TxBounds, place: &mut [u8]) {
    let TxBounds { start, end, .. } = transaction;
    let whole = block.bytes().get(start..end).unwrap_or_default();
    block.key().advanced(start as u64).copy(whole, place);
}

fn read_input(cursor: &mut Cursor<'_>) -> Result<TxInput, Malformed> {
    let txid = Txid::from_byte_array(*cursor.array()?);
    let vout = cursor.u32()?;
    cursor.var_bytes()?;
    cursor.take(4)?;
    Ok(TxInput { prevout: OutPoint { txid, vout } })
}

fn read_output<'a>(cursor: &mut Cursor<'a>) -> Result<TxOutput<'a>, Malformed> {
    let value_sat = cursor.u64()?;
    let script_pubkey = cursor.var_bytes()?;
    Ok(TxOutput { value_sat, script_pubkey })
}
