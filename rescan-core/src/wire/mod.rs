//! Conversion between messages and domain types. Generated names stop here.
//!
//! Every struct that both sides need has a `read_` and a `write_` function, in the submodule of its
//! topic. `read_` restores the value that `write_` took. Reading trusts nothing: any bytes result
//! in a valid value or a [`WireError`], and never in a panic. Additions of a newer peer that an
//! older one can ignore (features, phases, reasons) are read as `Unknown`. Additions that it cannot
//! ignore (an outcome, a network) are an error.
//!
//! Claims that only the server can check, such as a range within the chain, are not checked here.

mod block_match;
mod coin;
mod ending;
mod metrics;
mod report;
mod request;
mod server_info;

#[cfg(test)]
mod tests;

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, Txid};
use capnp::traits::OwnedStruct;
use capnp::{data_list, struct_list};

pub use block_match::{read_block_match, read_outpoints, write_block_match, write_outpoints, write_scripts};
pub use coin::{coin_bytes, read_coin, read_coins, write_coin, write_coins};
pub use ending::{
    read_ending, read_failure, read_refusal, read_resume_point, write_ending, write_failure, write_refusal,
    write_resume_point,
};
pub use report::{
    read_block_id, read_blocks, read_full_block, read_progress, read_report, read_reports, report_bytes,
    write_block_id, write_blocks, write_full_block, write_progress, write_report, write_reports,
};
pub use request::{
    read_given_keychain, read_given_outpoint, read_range, read_scan_request, read_watch_set_size, write_given_keychain,
    write_given_outpoint, write_range, write_scan_request, write_watch_set_size,
};
pub use server_info::{read_server_info, write_server_info};

/// The reason why a message could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The message is not valid Cap'n Proto.
    #[error("malformed message")]
    Malformed(#[from] capnp::Error),
    /// A text is not UTF-8.
    #[error("malformed text")]
    Text(#[from] std::str::Utf8Error),
    /// A hash of another length than 32 bytes.
    #[error("{field} is {found} bytes long, expected 32")]
    HashLength {
        /// The hash.
        field: &'static str,
        /// Its length in bytes.
        found: usize,
    },
    /// An empty list that must not be empty.
    #[error("{field} is empty, expected at least one entry")]
    Empty {
        /// The list.
        field: &'static str,
    },
    /// A range whose first height is above its last.
    #[error("heights run from {from} to {to}, expected an ascending range")]
    UpsideDown {
        /// The first height.
        from: u32,
        /// The last height.
        to: u32,
    },
    /// A union member or enumerant that the schema of this version does not have.
    #[error("{field} has the value {value}, which is newer than this program: upgrade it")]
    Newer {
        /// The union or enum.
        field: &'static str,
        /// Its discriminant.
        value: u16,
    },
    /// A list with more entries than a message can carry.
    #[error("{field} has {found} entries, expected at most {LIST_LENGTH_MAX} in a message")]
    TooLong {
        /// The list.
        field: &'static str,
        /// Number of its entries.
        found: usize,
    },
    /// A malformed field that is valid or absent in every correct message.
    #[error("{field} is malformed: {detail}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The expected and the found.
        detail: String,
    },
    /// A value without a counterpart in the schema.
    #[error("{field} has no counterpart in this protocol version")]
    Unsayable {
        /// The value.
        field: &'static str,
    },
}

/// Most entries in a list of a message: its length has 29 bits.
const LIST_LENGTH_MAX: u32 = (1 << 29) - 1;

/// The length of a list to write.
fn list_length(field: &'static str, found: usize) -> Result<u32, WireError> {
    u32::try_from(found).ok().filter(|&length| length <= LIST_LENGTH_MAX).ok_or(WireError::TooLong { field, found })
}

/// Writes each item to its position in a list of the same length.
fn write_each<T, S: OwnedStruct>(
    items: &[T],
    mut list: struct_list::Builder<'_, S>,
    write: impl Fn(&T, S::Builder<'_>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    for (index, item) in (0..list.len()).zip(items) {
        write(item, list.reborrow().get(index))?;
    }
    Ok(())
}

/// The error for a union member or enumerant that is not in the schema.
fn newer(field: &'static str) -> impl Fn(capnp::NotInSchema) -> WireError {
    move |unknown| WireError::Newer { field, value: unknown.0 }
}

fn hash_bytes(field: &'static str, data: &[u8]) -> Result<[u8; 32], WireError> {
    // The source adds nothing to the length.
    <[u8; 32]>::try_from(data).map_err(|_length| WireError::HashLength { field, found: data.len() })
}

/// Reads a block hash.
///
/// # Errors
/// [`WireError::HashLength`] if it does not have 32 bytes.
pub fn read_block_hash(field: &'static str, data: &[u8]) -> Result<BlockHash, WireError> {
    hash_bytes(field, data).map(BlockHash::from_byte_array)
}

/// Reads block hashes.
///
/// # Errors
/// [`WireError`] if the message is malformed, or a hash does not have 32 bytes.
pub fn read_hashes(field: &'static str, list: data_list::Reader<'_>) -> Result<Vec<BlockHash>, WireError> {
    list.iter().map(|hash| read_block_hash(field, hash?)).collect()
}

/// Writes block hashes to a list of the same length.
pub fn write_hashes(hashes: &[BlockHash], mut list: data_list::Builder<'_>) {
    for (index, hash) in (0..list.len()).zip(hashes) {
        list.set(index, &hash.to_byte_array());
    }
}

fn txid(field: &'static str, data: &[u8]) -> Result<Txid, WireError> {
    hash_bytes(field, data).map(Txid::from_byte_array)
}
