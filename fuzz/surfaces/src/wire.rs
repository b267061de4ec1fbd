//! Messages: each kind of message is read from any bytes; the result is written and read again.
//!
//! Input: one byte for the way of arrival, then the message.

use std::fmt::Debug;

use capnp::message::{Builder, Reader, ReaderSegments};
use capnp::serialize;
use capnp::traits::Owned;
use rescan_core::rescan_capnp as schema;
use rescan_core::wire::{self as convert, WireError};
use rescan_server::session::guard::limits::SessionLimits;

/// Reads bytes as every kind of message.
///
/// # Panics
/// If a value that was read and written is then read as another.
pub fn wire(data: &[u8]) {
    let Some((choice, mut bytes)) = data.split_first() else { return };
    let options = SessionLimits::default().reader_options();
    // In place as from a shared buffer, or copied as from a socket.
    if choice & 1 == 0 {
        let Ok(message) = serialize::read_message_from_flat_slice(&mut bytes, options) else { return };
        read_as_everything(&message);
    } else {
        let Ok(message) = serialize::read_message(bytes, options) else { return };
        read_as_everything(&message);
    }
}

fn read_as_everything(message: &Reader<impl ReaderSegments>) {
    use convert as c;
    use schema as s;
    again::<s::block_report::Owned, _>(message, c::read_report, c::write_report);
    again::<s::full_block::Owned, _>(message, c::read_full_block, c::write_full_block);
    again::<s::scan_result::Owned, _>(message, c::read_ending, c::write_ending);
    again::<s::refusal::Owned, _>(message, c::read_refusal, c::write_refusal);
    again::<s::failure::Owned, _>(message, c::read_failure, c::write_failure);
    again::<s::server_info::Owned, _>(message, c::read_server_info, c::write_server_info);
    again::<s::progress::Owned, _>(message, |it| Ok(c::read_progress(it)), c::write_progress);
    again::<s::given_outpoint::Owned, _>(message, c::read_given_outpoint, c::write_given_outpoint);
    again::<s::scan_request::Owned, _>(message, c::read_scan_request, c::write_scan_request);
    again::<s::range::Owned, _>(message, c::read_range, c::write_range);
    again::<s::block_match::Owned, _>(message, c::read_block_match, c::write_block_match);
    again::<s::mark::Owned, _>(message, c::read_resume_point, c::write_resume_point);
    again::<s::coin::Owned, _>(message, c::read_coin, c::write_coin);
    again::<s::keychain::Owned, _>(message, c::read_given_keychain, |it, to| {
        c::write_given_keychain(it, to);
        Ok(())
    });
    again::<s::watch_set_size::Owned, _>(
        message,
        |it| Ok(c::read_watch_set_size(it)),
        |it, to| {
            c::write_watch_set_size(it, to);
            Ok(())
        },
    );
    again::<s::block_id::Owned, _>(message, c::read_block_id, |it, to| {
        if let Some(id) = it {
            c::write_block_id(id, to);
        }
        Ok(())
    });
    // Batches are only read: they are written one report at a time.
    if let Ok(batch) = message
        .get_root::<s::report_sink::reports_params::Reader<'_>>()
        .and_then(rescan_core::rescan_capnp::report_sink::reports_params::Reader::get_batch)
    {
        let _ = c::read_reports(batch);
    }
    if let Ok(batch) = message
        .get_root::<s::block_sink::blocks_params::Reader<'_>>()
        .and_then(rescan_core::rescan_capnp::block_sink::blocks_params::Reader::get_batch)
    {
        let _ = c::read_blocks(batch);
    }
}

/// Reads a message as `T`, writes the result, and reads it again.
fn again<T: Owned, V: Debug + PartialEq>(
    message: &Reader<impl ReaderSegments>,
    read: impl Fn(T::Reader<'_>) -> Result<V, WireError>,
    write: impl Fn(&V, T::Builder<'_>) -> Result<(), WireError>,
) {
    let Ok(value) = message.get_root::<T::Reader<'_>>().map_err(WireError::from).and_then(&read) else { return };
    let mut written = Builder::new_default();
    match write(&value, written.init_root::<T::Builder<'_>>()) {
        Ok(()) => {}
        // Values of a newer peer are not written.
        Err(WireError::Unsayable { .. }) => return,
        Err(error) => panic!("{value:?} was read and cannot be written: {error}"),
    }
    let root = written.get_root_as_reader::<T::Reader<'_>>().expect("it was written");
    assert_eq!(read(root).expect("it was written"), value);
}
