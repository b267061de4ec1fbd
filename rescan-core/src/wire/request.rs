//! What a wallet asks for, on the wire.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, ScriptBuf, TxOut};

use super::{WireError, list_length, newer, txid};
use crate::position::Height;
use crate::request::{GivenOutpoint, RangeEnd, RangeRequest, RangeStart, ScanRequest, Verify, WatchSetSize};
use crate::rescan_capnp::{self as capnp_types, given_outpoint, outpoint, output, range, scan_request, watch_set_size};

/// Reads a scan's request.
///
/// # Errors
/// [`WireError`] if the message is malformed or asks for something that this version does not know.
pub fn read_scan_request(reader: scan_request::Reader<'_>) -> Result<ScanRequest, WireError> {
    let verify = match reader.get_verify().map_err(newer("verify"))? {
        capnp_types::Verify::Reported => Verify::Reported,
        capnp_types::Verify::All => Verify::All,
        capnp_types::Verify::None => Verify::None,
    };
    Ok(ScanRequest { range: read_range(reader.get_range()?)?, verify })
}

/// Writes a scan's request.
pub fn write_scan_request(request: &ScanRequest, mut builder: scan_request::Builder<'_>) {
    builder.set_verify(match request.verify {
        Verify::Reported => capnp_types::Verify::Reported,
        Verify::All => capnp_types::Verify::All,
        Verify::None => capnp_types::Verify::None,
    });
    write_range(&request.range, builder.init_range());
}

/// Reads a range as a wallet names it.
///
/// # Errors
/// [`WireError`] if the message is malformed or an end of the range is of a kind that this version does not know.
pub fn read_range(reader: range::Reader<'_>) -> Result<RangeRequest, WireError> {
    let from = match reader.get_from().which().map_err(newer("range.from"))? {
        range::from::Height(height) => RangeStart::Height(Height(height)),
        range::from::BirthdaySeconds(time) => RangeStart::Birthday(time),
    };
    let to = match reader.get_to().which().map_err(newer("range.to"))? {
        range::to::Tip(()) => RangeEnd::Tip,
        range::to::ToHeight(height) => RangeEnd::Height(Height(height)),
    };
    Ok(RangeRequest { from, to })
}

/// Writes a range as a wallet names it.
pub fn write_range(range: &RangeRequest, mut builder: range::Builder<'_>) {
    let mut from = builder.reborrow().init_from();
    match range.from {
        RangeStart::Height(height) => from.set_height(height.0),
        RangeStart::Birthday(time) => from.set_birthday_seconds(time),
    }
    let mut to = builder.init_to();
    match range.to {
        RangeEnd::Tip => to.set_tip(()),
        RangeEnd::Height(height) => to.set_to_height(height.0),
    }
}

/// Reads a given outpoint.
///
/// # Errors
/// [`WireError`] if the message is malformed or what is known of the coin is of a kind that this version does not know.
pub fn read_given_outpoint(reader: given_outpoint::Reader<'_>) -> Result<GivenOutpoint, WireError> {
    let output = match reader.get_known().which().map_err(newer("given outpoint"))? {
        given_outpoint::known::Nothing(()) => None,
        given_outpoint::known::Output(output) => Some(read_output(output?)?),
    };
    Ok(GivenOutpoint { outpoint: read_outpoint(reader.get_outpoint()?)?, output })
}

/// Writes a given outpoint.
///
/// # Errors
/// [`WireError::TooLong`] if the script is longer than a message can carry.
pub fn write_given_outpoint(given: &GivenOutpoint, mut builder: given_outpoint::Builder<'_>) -> Result<(), WireError> {
    write_outpoint(given.outpoint, builder.reborrow().init_outpoint());
    let mut known = builder.init_known();
    match &given.output {
        None => known.set_nothing(()),
        Some(output) => write_output(output.value, &output.script_pubkey, known.init_output())?,
    }
    Ok(())
}

/// Reads the size of a sealed watch set.
#[must_use]
pub fn read_watch_set_size(reader: watch_set_size::Reader<'_>) -> WatchSetSize {
    WatchSetSize { keychains: reader.get_keychains(), scripts: reader.get_scripts(), outpoints: reader.get_outpoints() }
}

/// Writes the size of a sealed watch set.
pub fn write_watch_set_size(size: &WatchSetSize, mut builder: watch_set_size::Builder<'_>) {
    builder.set_keychains(size.keychains);
    builder.set_scripts(size.scripts);
    builder.set_outpoints(size.outpoints);
}

pub(super) fn read_outpoint(reader: outpoint::Reader<'_>) -> Result<OutPoint, WireError> {
    Ok(OutPoint { txid: txid("outpoint.txid", reader.get_txid()?)?, vout: reader.get_vout() })
}

pub(super) fn write_outpoint(outpoint: OutPoint, mut builder: outpoint::Builder<'_>) {
    builder.set_txid(&outpoint.txid.to_byte_array());
    builder.set_vout(outpoint.vout);
}

pub(super) fn read_output(reader: output::Reader<'_>) -> Result<TxOut, WireError> {
    Ok(TxOut {
        value: Amount::from_sat(reader.get_value_sat()),
        script_pubkey: ScriptBuf::from_bytes(reader.get_script_pub_key()?.to_vec()),
    })
}

pub(super) fn write_output(
    value: Amount,
    script_pubkey: &ScriptBuf,
    mut builder: output::Builder<'_>,
) -> Result<(), WireError> {
    list_length("output.scriptPubKey", script_pubkey.len())?;
    builder.set_value_sat(value.to_sat());
    builder.set_script_pub_key(script_pubkey.as_bytes());
    Ok(())
}
