//! The match of one block on the wire.

use bitcoin::{OutPoint, ScriptBuf};
use capnp::{data_list, struct_list};

use super::report::{read_block_id, write_block_id};
use super::request::{read_outpoint, write_outpoint};
use super::{WireError, list_length, newer, read_failure, read_refusal, write_failure, write_refusal};
use crate::block_match::{BlockMatch, MatchContent, MatchedBlock};
use crate::rescan_capnp::{block_match, outpoint};

/// Reads the match of one block.
///
/// # Errors
/// [`WireError`] if the message is malformed, lacks its block, or is newer than this version.
pub fn read_block_match(reader: block_match::Reader<'_>) -> Result<BlockMatch, WireError> {
    let content = match reader.which().map_err(newer("block match"))? {
        block_match::Nothing(()) => MatchContent::Nothing,
        block_match::Data(data) => MatchContent::Block(data?.to_vec()),
        block_match::NotOnDisk(()) => MatchContent::NotOnDisk,
        block_match::Refused(refusal) => return Ok(BlockMatch::Refused(read_refusal(refusal?)?)),
        block_match::Failed(failure) => return Ok(BlockMatch::Failed(read_failure(failure?)?)),
    };
    let block = read_block_id(reader.get_block()?)?.ok_or(WireError::Empty { field: "blockMatch.block" })?;
    let next = if reader.has_next() { read_block_id(reader.get_next()?)? } else { None };
    Ok(BlockMatch::Answered(MatchedBlock { block, next, content }))
}

/// Writes the match of one block.
///
/// # Errors
/// [`WireError`] for a value without a counterpart in the schema.
pub fn write_block_match(found: &BlockMatch, mut builder: block_match::Builder<'_>) -> Result<(), WireError> {
    match found {
        BlockMatch::Answered(MatchedBlock { block, next, content }) => {
            write_block_id(block, builder.reborrow().init_block());
            if let Some(next) = next {
                write_block_id(next, builder.reborrow().init_next());
            }
            match content {
                MatchContent::Nothing => builder.set_nothing(()),
                MatchContent::Block(data) => {
                    list_length("blockMatch.data", data.len())?;
                    builder.set_data(data);
                }
                MatchContent::NotOnDisk => builder.set_not_on_disk(()),
            }
            Ok(())
        }
        BlockMatch::Refused(refusal) => write_refusal(refusal, builder.init_refused()),
        BlockMatch::Failed(failure) => write_failure(failure, builder.init_failed()),
    }
}

/// Reads each outpoint separately, so the caller can name a malformed one.
pub fn read_outpoints(
    list: struct_list::Reader<'_, outpoint::Owned>,
) -> impl ExactSizeIterator<Item = Result<OutPoint, WireError>> {
    list.into_iter().map(read_outpoint)
}

/// Writes outpoints to a list of the same length.
pub fn write_outpoints(outpoints: &[OutPoint], mut list: struct_list::Builder<'_, outpoint::Owned>) {
    for (index, outpoint) in (0..list.len()).zip(outpoints) {
        write_outpoint(*outpoint, list.reborrow().get(index));
    }
}

/// Writes scripts to a list of the same length.
pub fn write_scripts(scripts: &[ScriptBuf], mut list: data_list::Builder<'_>) {
    for (index, script) in (0..list.len()).zip(scripts) {
        list.set(index, script.as_bytes());
    }
}
