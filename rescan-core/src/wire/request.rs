//! Requests of a wallet on the wire.

use std::time::Duration;

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, ScriptBuf, TxOut};

use super::{WireError, list_length, newer, read_hashes, txid, write_hashes};
use crate::position::Height;
use crate::request::{
    Deliver, Extras, GivenKeychain, GivenOutpoint, RangeEnd, RangeRequest, RangeStart, ScanOptions, Scanned, Verify,
    WatchSetSize,
};
use crate::rescan_capnp::{
    self as capnp_types, covered, given_outpoint, keychain, outpoint, output, range, scan_request, watch_set_size,
    watched_indexes,
};

/// Reads the request of a scan.
///
/// # Errors
/// [`WireError`] if the message is malformed, or requests something that this version does not
/// know.
pub fn read_scan_request(reader: scan_request::Reader<'_>) -> Result<ScanOptions, WireError> {
    let verify = match reader.get_verify().map_err(newer("verify"))? {
        capnp_types::Verify::Reported => Verify::Reported,
        capnp_types::Verify::All => Verify::All,
        capnp_types::Verify::None => Verify::None,
    };
    let deliver = match reader.get_deliver().map_err(newer("deliver"))? {
        capnp_types::Deliver::History => Deliver::History,
        capnp_types::Deliver::Coins => Deliver::Coins,
    };
    let extras =
        Extras { raw_transactions: reader.get_raw_transactions(), merkle_branches: reader.get_merkle_branches() };
    let mark_every = Some(reader.get_mark_millis()).filter(|millis| *millis > 0);
    let scanned = if reader.has_covered() { Some(read_scanned(reader.get_covered()?)?) } else { None };
    Ok(ScanOptions {
        range: read_range(reader.get_range()?)?,
        verify,
        deliver,
        extras,
        mark_every: mark_every.map(|millis| Duration::from_millis(millis.into())),
        scanned,
    })
}

/// Writes the request of a scan.
///
/// # Errors
/// [`WireError::TooLong`] if a list is longer than a message can carry.
pub fn write_scan_request(request: &ScanOptions, mut builder: scan_request::Builder<'_>) -> Result<(), WireError> {
    builder.set_verify(match request.verify {
        Verify::Reported => capnp_types::Verify::Reported,
        Verify::All => capnp_types::Verify::All,
        Verify::None => capnp_types::Verify::None,
    });
    builder.set_deliver(match request.deliver {
        Deliver::History => capnp_types::Deliver::History,
        Deliver::Coins => capnp_types::Deliver::Coins,
    });
    builder.set_raw_transactions(request.extras.raw_transactions);
    builder.set_merkle_branches(request.extras.merkle_branches);
    // Intervals below a millisecond are sent as one millisecond: 0 stands for never.
    let millis = request.mark_every.map(|every| u32::try_from(every.as_millis()).unwrap_or(u32::MAX).max(1));
    builder.set_mark_millis(millis.unwrap_or(0));
    if let Some(scanned) = &request.scanned {
        write_scanned(scanned, builder.reborrow().init_covered())?;
    }
    write_range(&request.range, builder.init_range())
}

fn read_scanned(reader: covered::Reader<'_>) -> Result<Scanned, WireError> {
    let keychains = reader.get_keychains()?;
    Ok(Scanned {
        from: Height(reader.get_from_height()),
        watched_through: keychains.iter().map(read_watched).collect::<Result<_, _>>()?,
    })
}

fn write_scanned(scanned: &Scanned, mut builder: covered::Builder<'_>) -> Result<(), WireError> {
    builder.set_from_height(scanned.from.0);
    let length = list_length("covered.keychains", scanned.watched_through.len())?;
    let mut keychains = builder.init_keychains(length);
    for (index, watched) in (0..length).zip(&scanned.watched_through) {
        write_watched(*watched, keychains.reborrow().get(index));
    }
    Ok(())
}

pub(super) fn read_watched(reader: watched_indexes::Reader<'_>) -> Result<Option<u32>, WireError> {
    Ok(match reader.which().map_err(newer("watched indexes"))? {
        watched_indexes::None(()) => None,
        watched_indexes::Through(index) => Some(index),
    })
}

pub(super) fn write_watched(watched: Option<u32>, mut builder: watched_indexes::Builder<'_>) {
    match watched {
        None => builder.set_none(()),
        Some(index) => builder.set_through(index),
    }
}

/// Reads a keychain. Its descriptor is not checked.
///
/// # Errors
/// [`WireError`] if the message is malformed.
pub fn read_given_keychain(reader: keychain::Reader<'_>) -> Result<GivenKeychain, WireError> {
    let last_revealed = match reader.get_revealed().which().map_err(newer("keychain.revealed"))? {
        keychain::revealed::Nothing(()) => None,
        keychain::revealed::LastIndex(index) => Some(index),
    };
    let descriptor = reader.get_descriptor()?.to_str()?.to_owned();
    Ok(GivenKeychain { descriptor, gap_limit: reader.get_gap_limit(), last_revealed })
}

/// Writes a keychain.
pub fn write_given_keychain(given: &GivenKeychain, mut builder: keychain::Builder<'_>) {
    builder.set_descriptor(&given.descriptor);
    builder.set_gap_limit(given.gap_limit);
    let mut revealed = builder.init_revealed();
    match given.last_revealed {
        None => revealed.set_nothing(()),
        Some(index) => revealed.set_last_index(index),
    }
}

/// Reads the requested range.
///
/// # Errors
/// [`WireError`] if the message is malformed, or an end of the range is of a kind that this version
/// does not know.
pub fn read_range(reader: range::Reader<'_>) -> Result<RangeRequest, WireError> {
    let from = match reader.get_start().which().map_err(newer("range.start"))? {
        range::start::Height(height) => RangeStart::Height(Height(height)),
        range::start::BirthdaySeconds(time) => RangeStart::Birthday(time),
        range::start::AfterLocator(hashes) => RangeStart::After(read_hashes("range.start.afterLocator", hashes?)?),
    };
    let to = match reader.get_end().which().map_err(newer("range.end"))? {
        range::end::Tip(()) => RangeEnd::Tip,
        range::end::ToHeight(height) => RangeEnd::Height(Height(height)),
    };
    Ok(RangeRequest { from, to })
}

/// Writes the requested range.
///
/// # Errors
/// [`WireError::TooLong`] if a locator is longer than a message can carry.
pub fn write_range(range: &RangeRequest, mut builder: range::Builder<'_>) -> Result<(), WireError> {
    let mut from = builder.reborrow().init_start();
    match &range.from {
        RangeStart::Height(height) => from.set_height(height.0),
        RangeStart::Birthday(time) => from.set_birthday_seconds(*time),
        RangeStart::After(hashes) => {
            let length = list_length("range.start.afterLocator", hashes.len())?;
            write_hashes(hashes, from.init_after_locator(length));
        }
    }
    let mut to = builder.init_end();
    match range.to {
        RangeEnd::Tip => to.set_tip(()),
        RangeEnd::Height(height) => to.set_to_height(height.0),
    }
    Ok(())
}

/// Reads a given outpoint.
///
/// # Errors
/// [`WireError`] if the message is malformed, or the known part of the coin is of a kind that this
/// version does not know.
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
