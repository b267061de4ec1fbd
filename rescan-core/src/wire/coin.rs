//! Coins on the wire: the unspent outputs at the end of a scan.

use bitcoin::hashes::Hash;
use capnp::struct_list;

use super::report::{ORIGIN, read_origins, write_origins};
use super::request::{read_outpoint, read_output, write_outpoint, write_output};
use super::{WireError, list_length, read_block_hash, write_each};
use crate::coins::Coin;
use crate::position::Height;
use crate::rescan_capnp::coin;

/// Approximate size of a coin in a message, in bytes.
#[must_use]
pub fn coin_bytes(coin: &Coin) -> usize {
    const COIN: usize = 152;
    COIN + coin.script_pubkey.len() + ORIGIN * coin.origins.len()
}

/// Reads a batch of coins.
///
/// # Errors
/// [`WireError`] if a coin is malformed.
pub fn read_coins(batch: struct_list::Reader<'_, coin::Owned>) -> Result<Vec<Coin>, WireError> {
    batch.iter().map(read_coin).collect()
}

/// Writes a batch of coins to a list of the same length.
///
/// # Errors
/// [`WireError::TooLong`] if a list in a coin has more entries than a message can carry.
pub fn write_coins(coins: &[Coin], batch: struct_list::Builder<'_, coin::Owned>) -> Result<(), WireError> {
    write_each(coins, batch, write_coin)
}

/// Reads a coin.
///
/// # Errors
/// [`WireError`] if the message is malformed, or the coin has no origin.
pub fn read_coin(reader: coin::Reader<'_>) -> Result<Coin, WireError> {
    let output = read_output(reader.get_output()?)?;
    Ok(Coin {
        height: Height(reader.get_height()),
        block_hash: read_block_hash("coin.blockHash", reader.get_block_hash()?)?,
        tx_index: reader.get_tx_index(),
        outpoint: read_outpoint(reader.get_outpoint()?)?,
        value: output.value,
        script_pubkey: output.script_pubkey,
        origins: read_origins("coin.origins", reader.get_origins()?)?,
    })
}

/// Writes a coin.
///
/// # Errors
/// [`WireError::TooLong`] if a list has more entries than a message can carry.
pub fn write_coin(coin: &Coin, mut builder: coin::Builder<'_>) -> Result<(), WireError> {
    builder.set_height(coin.height.0);
    builder.set_block_hash(&coin.block_hash.to_byte_array());
    builder.set_tx_index(coin.tx_index);
    write_outpoint(coin.outpoint, builder.reborrow().init_outpoint());
    write_output(coin.value, &coin.script_pubkey, builder.reborrow().init_output())?;
    let length = list_length("coin.origins", coin.origins.len())?;
    write_origins(&coin.origins, builder.init_origins(length));
    Ok(())
}
