//! Messages that no program of this version writes: noise, damage, missing or malformed fields, and
//! messages of a newer version.

use capnp::message::{Builder, ReaderOptions};
use proptest::collection::vec;
use proptest::prelude::*;

use super::any::{endings, reports, server_infos};
use super::through_a_message;
use crate::report::RefusalReason;
use crate::rescan_capnp as wire;
use crate::wire::*;

proptest! {
    /// Words of noise after a valid segment table, so the noise is read as pointers.
    #[test]
    fn noise_is_an_error_or_a_value_and_never_a_panic(words in vec(any::<[u8; 8]>(), 1..64)) {
        let mut flat = [[0, 0, 0, 0], u32::try_from(words.len()).unwrap().to_le_bytes()].concat();
        flat.extend(words.concat());
        read_as_everything(&flat);
    }

    /// A valid message with changed bytes reaches deeper code than noise does.
    #[test]
    fn a_damaged_message_is_an_error_or_a_value_and_never_a_panic(
        report in reports(),
        ending in endings(),
        info in server_infos(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut messages = [Builder::new_default(), Builder::new_default(), Builder::new_default()];
        let [first, second, third] = &mut messages;
        write_report(&report, first.init_root()).unwrap();
        write_ending(&ending, second.init_root()).unwrap();
        write_server_info(&info, third.init_root()).unwrap();
        for message in &messages {
            let mut flat = capnp::serialize::write_message_to_words(message);
            for (at, byte) in &damage {
                let at = at.index(flat.len());
                flat[at] = *byte;
            }
            read_as_everything(&flat);
        }
    }
}

/// Reads the bytes as each kind of message.
fn read_as_everything(flat: &[u8]) {
    let Ok(message) = capnp::serialize::read_message_from_flat_slice(&mut &*flat, ReaderOptions::new()) else { return };
    // The result does not matter: reading must return.
    drop(message.get_root().map(read_report));
    drop(message.get_root().map(read_ending));
    drop(message.get_root().map(read_scan_request));
    drop(message.get_root().map(read_range));
    drop(message.get_root().map(read_given_outpoint));
    drop(message.get_root().map(read_given_keychain));
    drop(message.get_root().map(read_resume_point));
    drop(message.get_root().map(read_coin));
    drop(message.get_root().map(read_server_info));
    drop(message.get_root().map(read_progress).map(|_progress| ()));
    drop(message.get_root().map(read_watch_set_size).map(|_size| ()));
    drop(message.get_root().map(read_full_block));
    drop(message.get_root().map(read_block_id));
    drop(message.get_root().map(read_refusal));
    drop(message.get_root().map(read_failure));
    drop(message.get_root::<wire::rescan::blocks_params::Reader<'_>>().map(|it| it.get_range().map(read_range)));
    drop(
        message.get_root::<wire::report_sink::reports_params::Reader<'_>>().map(|it| it.get_batch().map(read_reports)),
    );
    drop(message.get_root::<wire::block_sink::blocks_params::Reader<'_>>().map(|it| it.get_batch().map(read_blocks)));
}

#[test]
fn a_hash_of_the_wrong_length_is_named() {
    let error = through_a_message::<wire::full_block::Owned, _>(
        |mut builder| builder.set_hash(&[7; 31]),
        |reader| read_full_block(reader).unwrap_err(),
    );
    assert_eq!(error.to_string(), "block.hash is 31 bytes long, expected 32");
}

#[test]
fn a_report_without_transactions_is_refused() {
    let error = through_a_message::<wire::block_report::Owned, _>(
        |mut builder| builder.set_hash(&[7; 32]),
        |reader| read_report(reader).unwrap_err(),
    );
    assert!(matches!(error, WireError::Empty { field: "report.transactions" }), "{error}");
}

#[test]
fn a_match_without_an_origin_is_refused() {
    let error = through_a_message::<wire::block_report::Owned, _>(
        |mut builder| {
            builder.set_hash(&[7; 32]);
            let mut transaction = builder.init_transactions(1).get(0);
            transaction.set_txid(&[8; 32]);
            transaction.init_received(1);
        },
        |reader| read_report(reader).unwrap_err(),
    );
    assert!(matches!(error, WireError::Empty { field: "received.origins" }), "{error}");
}

#[test]
fn a_summary_upside_down_is_refused() {
    let error = through_a_message::<wire::scan_result::Owned, _>(
        |builder| {
            let mut summary = builder.init_summary();
            summary.set_from_height(5);
            summary.set_to_height(4);
        },
        |reader| read_ending(reader).unwrap_err(),
    );
    assert!(matches!(error, WireError::UpsideDown { from: 5, to: 4 }), "{error}");
}

#[test]
fn an_unwritten_block_id_is_a_height_outside_the_chain() {
    let read = through_a_message::<wire::block_id::Owned, _>(|_builder| (), |reader| read_block_id(reader).unwrap());
    assert_eq!(read, None);
}

/// The struct is written by hand, since no enumerant of this version has the number 900: a data
/// section of two words, one pointer; the first 16 bits are the reason.
#[test]
fn a_reason_of_a_newer_server_is_read_as_unknown() {
    #[rustfmt::skip]
    let flat = [
        0, 0, 0, 0,  4, 0, 0, 0,                // one segment of four words
        0, 0, 0, 0,  2, 0, 1, 0,                // root: a struct of two data words and one pointer
        0x84, 3, 0, 0, 0, 0, 0, 0,              // reason 900
        9, 0, 0, 0, 0, 0, 0, 0,                 // position 9
        0, 0, 0, 0, 0, 0, 0, 0,                 // no detail
    ];
    let message = capnp::serialize::read_message_from_flat_slice(&mut flat.as_slice(), ReaderOptions::new()).unwrap();
    let refusal = read_refusal(message.get_root().unwrap()).unwrap();
    assert_eq!((refusal.reason, refusal.position), (RefusalReason::Unknown, 9));
}

/// As above: the first 16 bits of an outcome are its discriminant, and 77 is unknown.
#[test]
fn an_outcome_of_a_newer_server_is_an_error() {
    #[rustfmt::skip]
    let flat = [
        0, 0, 0, 0,  2, 0, 0, 0,
        0, 0, 0, 0,  1, 0, 0, 0,                // root: a struct of one data word
        77, 0, 0, 0, 0, 0, 0, 0,
    ];
    let message = capnp::serialize::read_message_from_flat_slice(&mut flat.as_slice(), ReaderOptions::new()).unwrap();
    let error = crate::wire::ending::read_outcome(message.get_root().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "outcome has the value 77, which is newer than this program: upgrade it");
}
