//! The end of a scan on the wire: summary, refusal, failure.

use std::path::PathBuf;

use bitcoin::Amount;
use capnp::struct_list;

use super::report::{read_block_id, write_block_id};
use super::request::{read_watched, write_watched};
use super::{WireError, list_length, newer, read_hashes, write_hashes};
use crate::position::{Height, HeightRange};
use crate::report::{
    Ending, Failure, FailureKind, FailurePlace, KeychainUse, Outcome, Refusal, RefusalReason, ResumePoint, Summary,
};
use crate::rescan_capnp::{self as capnp_types, failure, keychain_use, mark, outcome, refusal, scan_result, summary};

/// Reads the end of a scan.
///
/// # Errors
/// [`WireError`] if the message is malformed, or the end is of a kind that this version does not
/// know.
pub fn read_ending(reader: scan_result::Reader<'_>) -> Result<Ending, WireError> {
    Ok(match reader.which().map_err(newer("scan result"))? {
        scan_result::Summary(summary) => Ending::Summary(read_summary(summary?)?),
        scan_result::Refused(refusal) => Ending::Refused(read_refusal(refusal?)?),
        scan_result::Failed(failure) => Ending::Failed(read_failure(failure?)?),
    })
}

/// Writes the end of a scan.
///
/// # Errors
/// [`WireError`] if a list is longer than a message can carry, or a value was read as unknown.
pub fn write_ending(ending: &Ending, builder: scan_result::Builder<'_>) -> Result<(), WireError> {
    match ending {
        Ending::Summary(summary) => write_summary(summary, builder.init_summary()),
        Ending::Refused(refusal) => write_refusal(refusal, builder.init_refused()),
        Ending::Failed(failure) => write_failure(failure, builder.init_failed()),
    }
}

fn read_summary(reader: summary::Reader<'_>) -> Result<Summary, WireError> {
    let (from, to) = (reader.get_from_height(), reader.get_to_height());
    let (keychains, watched_through) = read_keychains(reader.get_keychains()?)?;
    Ok(Summary {
        outcome: read_outcome(reader.get_outcome()?)?,
        range: HeightRange::new(Height(from), Height(to)).ok_or(WireError::UpsideDown { from, to })?,
        tip: read_block_id(reader.get_tip()?)?.ok_or(WireError::Empty { field: "summary.tip" })?,
        transactions: reader.get_transactions(),
        unspent_count: reader.get_unspent_count(),
        unspent: Amount::from_sat(reader.get_unspent_sat()),
        keychains,
        watched_through,
        blocks_scanned: reader.get_blocks_scanned(),
        bytes_scanned: reader.get_bytes_scanned(),
        prepare_micros: reader.get_prepare_microseconds(),
        elapsed_micros: reader.get_elapsed_microseconds(),
        locator: read_hashes("summary.locator", reader.get_locator()?)?,
        passes: reader.get_passes(),
    })
}

fn write_summary(summary: &Summary, mut builder: summary::Builder<'_>) -> Result<(), WireError> {
    write_outcome(summary.outcome, builder.reborrow().init_outcome());
    builder.set_from_height(summary.range.first().0);
    builder.set_to_height(summary.range.last().0);
    write_block_id(&summary.tip, builder.reborrow().init_tip());
    builder.set_transactions(summary.transactions);
    builder.set_unspent_count(summary.unspent_count);
    builder.set_unspent_sat(summary.unspent.to_sat());
    let length = list_length("summary.keychains", summary.keychains.len())?;
    write_keychains(&summary.keychains, &summary.watched_through, builder.reborrow().init_keychains(length));
    builder.set_blocks_scanned(summary.blocks_scanned);
    builder.set_bytes_scanned(summary.bytes_scanned);
    builder.set_prepare_microseconds(summary.prepare_micros);
    builder.set_elapsed_microseconds(summary.elapsed_micros);
    let length = list_length("summary.locator", summary.locator.len())?;
    write_hashes(&summary.locator, builder.reborrow().init_locator(length));
    builder.set_passes(summary.passes);
    Ok(())
}

/// Reads a resume point.
///
/// # Errors
/// [`WireError`] if the message is malformed.
pub fn read_resume_point(reader: mark::Reader<'_>) -> Result<ResumePoint, WireError> {
    let (keychains, watched_through) = read_keychains(reader.get_keychains()?)?;
    Ok(ResumePoint {
        from: Height(reader.get_from_height()),
        block: read_block_id(reader.get_block()?)?.ok_or(WireError::Empty { field: "mark.block" })?,
        locator: read_hashes("mark.locator", reader.get_locator()?)?,
        keychains,
        watched_through,
    })
}

/// Writes a resume point.
///
/// # Errors
/// [`WireError`] if a list is longer than a message can carry.
pub fn write_resume_point(mark: &ResumePoint, mut builder: mark::Builder<'_>) -> Result<(), WireError> {
    builder.set_from_height(mark.from.0);
    write_block_id(&mark.block, builder.reborrow().init_block());
    let length = list_length("mark.locator", mark.locator.len())?;
    write_hashes(&mark.locator, builder.reborrow().init_locator(length));
    let length = list_length("mark.keychains", mark.keychains.len())?;
    write_keychains(&mark.keychains, &mark.watched_through, builder.init_keychains(length));
    Ok(())
}

type Keychains = (Vec<KeychainUse>, Vec<Option<u32>>);

fn read_keychains(list: struct_list::Reader<'_, keychain_use::Owned>) -> Result<Keychains, WireError> {
    let both = list.iter().map(|keychain| Ok((read_keychain_use(keychain)?, read_watched(keychain.get_watched()?)?)));
    both.collect()
}

fn write_keychains(
    used: &[KeychainUse],
    watched_through: &[Option<u32>],
    mut list: struct_list::Builder<'_, keychain_use::Owned>,
) {
    let watched = watched_through.iter().copied().chain(std::iter::repeat(None));
    for (index, (&used, watched)) in (0..list.len()).zip(used.iter().zip(watched)) {
        write_keychain_use(used, list.reborrow().get(index));
        write_watched(watched, list.reborrow().get(index).init_watched());
    }
}

pub(super) fn read_outcome(reader: outcome::Reader<'_>) -> Result<Outcome, WireError> {
    Ok(match reader.which().map_err(newer("outcome"))? {
        outcome::Complete(()) => Outcome::Complete,
        outcome::Cancelled(()) => Outcome::Cancelled,
        outcome::PrunedBelow(height) => Outcome::PrunedBelow(Height(height)),
        outcome::ReorganisedFrom(height) => Outcome::ReorganisedFrom(Height(height)),
    })
}

fn write_outcome(outcome: Outcome, mut builder: outcome::Builder<'_>) {
    match outcome {
        Outcome::Complete => builder.set_complete(()),
        Outcome::Cancelled => builder.set_cancelled(()),
        Outcome::PrunedBelow(height) => builder.set_pruned_below(height.0),
        Outcome::ReorganisedFrom(height) => builder.set_reorganised_from(height.0),
    }
}

fn read_keychain_use(reader: keychain_use::Reader<'_>) -> Result<KeychainUse, WireError> {
    Ok(match reader.which().map_err(newer("keychain use"))? {
        keychain_use::Unused(()) => KeychainUse::Unused,
        keychain_use::LastUsedIndex(index) => KeychainUse::LastUsed(index),
        keychain_use::UsedSingle(()) => KeychainUse::UsedSingle,
    })
}

fn write_keychain_use(used: KeychainUse, mut builder: keychain_use::Builder<'_>) {
    match used {
        KeychainUse::Unused => builder.set_unused(()),
        KeychainUse::LastUsed(index) => builder.set_last_used_index(index),
        KeychainUse::UsedSingle => builder.set_used_single(()),
    }
}

/// Reads a refusal. A reason that this version does not know is read as unknown; the detail still
/// explains it.
///
/// # Errors
/// [`WireError`] if the message is malformed.
pub fn read_refusal(reader: refusal::Reader<'_>) -> Result<Refusal, WireError> {
    Ok(Refusal {
        reason: read_reason(reader.get_reason()),
        position: reader.get_position(),
        detail: reader.get_detail()?.to_str()?.to_owned(),
    })
}

/// Writes a refusal.
///
/// # Errors
/// [`WireError::Unsayable`] for a reason that was read as unknown.
pub fn write_refusal(refusal: &Refusal, mut builder: refusal::Builder<'_>) -> Result<(), WireError> {
    builder.set_reason(write_reason(refusal.reason)?);
    builder.set_position(refusal.position);
    builder.set_detail(&refusal.detail);
    Ok(())
}

/// Reads a failure. A kind that this version does not know is read as unknown.
///
/// # Errors
/// [`WireError`] if the message is malformed.
pub fn read_failure(reader: failure::Reader<'_>) -> Result<Failure, WireError> {
    let at = if reader.has_at() {
        let place = reader.get_at()?;
        Some(FailurePlace {
            height: Height(place.get_height()),
            path: PathBuf::from(place.get_path()?.to_str()?),
            offset: place.get_offset(),
        })
    } else {
        None
    };
    Ok(Failure { kind: read_kind(reader.get_kind()), detail: reader.get_detail()?.to_str()?.to_owned(), at })
}

/// Writes a failure. A path that is not UTF-8 is written with replacement characters, since it is
/// for people.
///
/// # Errors
/// [`WireError::Unsayable`] for a kind that was read as unknown.
pub fn write_failure(failure: &Failure, mut builder: failure::Builder<'_>) -> Result<(), WireError> {
    builder.set_kind(write_kind(failure.kind)?);
    builder.set_detail(&failure.detail);
    if let Some(at) = &failure.at {
        let mut place = builder.init_at();
        place.set_height(at.height.0);
        place.set_path(&*at.path.to_string_lossy());
        place.set_offset(at.offset);
    }
    Ok(())
}

pub(super) fn read_reason(reason: Result<capnp_types::RefusalReason, capnp::NotInSchema>) -> RefusalReason {
    use capnp_types::RefusalReason as Wire;
    match reason {
        Ok(Wire::BadDescriptor) => RefusalReason::BadDescriptor,
        Ok(Wire::WrongNetwork) => RefusalReason::WrongNetwork,
        Ok(Wire::BadScript) => RefusalReason::BadScript,
        Ok(Wire::BadOutpoint) => RefusalReason::BadOutpoint,
        Ok(Wire::TooManyEntries) => RefusalReason::TooManyEntries,
        Ok(Wire::AlreadySealed) => RefusalReason::AlreadySealed,
        Ok(Wire::NotSealed) => RefusalReason::NotSealed,
        Ok(Wire::BadRange) => RefusalReason::BadRange,
        Ok(Wire::ForeignWatchSet) => RefusalReason::ForeignWatchSet,
        Ok(Wire::TooManyScans) => RefusalReason::TooManyScans,
        Ok(Wire::BadGapLimit) => RefusalReason::BadGapLimit,
        Ok(Wire::NotInChain) => RefusalReason::NotInChain,
        Ok(Wire::BadCoverage) => RefusalReason::BadCoverage,
        Err(capnp::NotInSchema(_)) => RefusalReason::Unknown,
    }
}

pub(super) fn write_reason(reason: RefusalReason) -> Result<capnp_types::RefusalReason, WireError> {
    use capnp_types::RefusalReason as Wire;
    Ok(match reason {
        RefusalReason::BadDescriptor => Wire::BadDescriptor,
        RefusalReason::WrongNetwork => Wire::WrongNetwork,
        RefusalReason::BadScript => Wire::BadScript,
        RefusalReason::BadOutpoint => Wire::BadOutpoint,
        RefusalReason::TooManyEntries => Wire::TooManyEntries,
        RefusalReason::AlreadySealed => Wire::AlreadySealed,
        RefusalReason::NotSealed => Wire::NotSealed,
        RefusalReason::BadRange => Wire::BadRange,
        RefusalReason::ForeignWatchSet => Wire::ForeignWatchSet,
        RefusalReason::TooManyScans => Wire::TooManyScans,
        RefusalReason::BadGapLimit => Wire::BadGapLimit,
        RefusalReason::NotInChain => Wire::NotInChain,
        RefusalReason::BadCoverage => Wire::BadCoverage,
        RefusalReason::Unknown => return Err(WireError::Unsayable { field: "refusal.reason" }),
    })
}

pub(super) fn read_kind(kind: Result<capnp_types::FailureKind, capnp::NotInSchema>) -> FailureKind {
    match kind {
        Ok(capnp_types::FailureKind::CorruptBlock) => FailureKind::CorruptBlock,
        Ok(capnp_types::FailureKind::Unreadable) => FailureKind::Unreadable,
        Ok(capnp_types::FailureKind::Internal) => FailureKind::Internal,
        Ok(capnp_types::FailureKind::LimitReached) => FailureKind::LimitReached,
        Err(capnp::NotInSchema(_)) => FailureKind::Unknown,
    }
}

pub(super) fn write_kind(kind: FailureKind) -> Result<capnp_types::FailureKind, WireError> {
    Ok(match kind {
        FailureKind::CorruptBlock => capnp_types::FailureKind::CorruptBlock,
        FailureKind::Unreadable => capnp_types::FailureKind::Unreadable,
        FailureKind::Internal => capnp_types::FailureKind::Internal,
        FailureKind::LimitReached => capnp_types::FailureKind::LimitReached,
        FailureKind::Unknown => return Err(WireError::Unsayable { field: "failure.kind" }),
    })
}
