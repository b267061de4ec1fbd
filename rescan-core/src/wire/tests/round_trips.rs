//! Reading restores the written value, and sizes are estimated before writing.

use bitcoin::TxOut;
use capnp::message::Builder;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::any::{
    amounts, block_ids, block_matches, coins, endings, marks, outpoints, reports, scan_requests, scripts, server_infos,
};
use super::through_a_message;
use crate::report::*;
use crate::request::*;
use crate::rescan_capnp as wire;
use crate::wire::*;

proptest! {
    #[test]
    fn a_report_is_read_as_it_was_written(report in reports()) {
        let read = through_a_message::<wire::block_report::Owned, _>(
            |builder| write_report(&report, builder).unwrap(),
            |reader| read_report(reader).unwrap(),
        );
        prop_assert_eq!(read, report);
    }

    #[test]
    fn the_size_of_a_report_is_estimated_within_a_fifth(report in reports()) {
        let mut message = Builder::new_default();
        write_report(&report, message.init_root()).unwrap();
        let real = capnp::serialize::compute_serialized_size_in_words(&message) * 8;
        let told = report_bytes(&report);
        prop_assert!(told * 5 >= real * 4 && told * 4 <= real * 5 + 64, "told {told} of {real}");
    }

    #[test]
    fn batches_are_read_as_they_were_written(reports in vec(reports(), 0..4), coins in vec(coins(), 0..4)) {
        let read = through_a_message::<wire::report_sink::reports_params::Owned, _>(
            |builder| write_reports(&reports, builder.init_batch(reports.len().try_into().unwrap())).unwrap(),
            |reader| read_reports(reader.get_batch().unwrap()).unwrap(),
        );
        prop_assert_eq!(read, reports);
        let read = through_a_message::<wire::report_sink::coins_params::Owned, _>(
            |builder| write_coins(&coins, builder.init_batch(coins.len().try_into().unwrap())).unwrap(),
            |reader| read_coins(reader.get_batch().unwrap()).unwrap(),
        );
        prop_assert_eq!(read, coins);
    }

    #[test]
    fn an_ending_is_read_as_it_was_written(ending in endings()) {
        let read = through_a_message::<wire::scan_result::Owned, _>(
            |builder| write_ending(&ending, builder).unwrap(),
            |reader| read_ending(reader).unwrap(),
        );
        prop_assert_eq!(read, ending);
    }

    #[test]
    fn a_block_match_is_read_as_it_was_written(found in block_matches()) {
        let read = through_a_message::<wire::block_match::Owned, _>(
            |builder| write_block_match(&found, builder).unwrap(),
            |reader| read_block_match(reader).unwrap(),
        );
        prop_assert_eq!(read, found);
    }

    #[test]
    fn a_scan_request_is_read_as_it_was_written(request in scan_requests()) {
        let read = through_a_message::<wire::scan_request::Owned, _>(
            |builder| write_scan_request(&request, builder).unwrap(),
            |reader| read_scan_request(reader).unwrap(),
        );
        prop_assert_eq!(read, request);
    }

    #[test]
    fn a_given_keychain_is_read_as_it_was_written(
        descriptor in ".{0,40}",
        gap_limit in any::<u32>(),
        last_revealed in option::of(any::<u32>()),
    ) {
        let given = GivenKeychain { descriptor, gap_limit, last_revealed };
        let read = through_a_message::<wire::keychain::Owned, _>(
            |builder| write_given_keychain(&given, builder),
            |reader| read_given_keychain(reader).unwrap(),
        );
        prop_assert_eq!(read, given);
    }

    #[test]
    fn a_resume_point_is_read_as_it_was_written(mark in marks()) {
        let read = through_a_message::<wire::mark::Owned, _>(
            |builder| write_resume_point(&mark, builder).unwrap(),
            |reader| read_resume_point(reader).unwrap(),
        );
        prop_assert_eq!(read, mark);
    }

    #[test]
    fn a_coin_is_read_as_it_was_written_and_its_size_estimated_within_a_fifth(coin in coins()) {
        let mut message = Builder::new_default();
        write_coin(&coin, message.init_root()).unwrap();
        let real = capnp::serialize::compute_serialized_size_in_words(&message) * 8;
        let told = coin_bytes(&coin);
        prop_assert!(told * 5 >= real * 4 && told * 4 <= real * 5 + 64, "told {told} of {real}");
        let read = through_a_message::<wire::coin::Owned, _>(
            |builder| write_coin(&coin, builder).unwrap(),
            |reader| read_coin(reader).unwrap(),
        );
        prop_assert_eq!(read, coin);
    }

    #[test]
    fn a_given_outpoint_is_read_as_it_was_written(
        outpoint in outpoints(),
        output in option::of((amounts(), scripts())),
    ) {
        let output = output.map(|(value, script_pubkey)| TxOut { value, script_pubkey });
        let given = GivenOutpoint { outpoint, output };
        let read = through_a_message::<wire::given_outpoint::Owned, _>(
            |builder| write_given_outpoint(&given, builder).unwrap(),
            |reader| read_given_outpoint(reader).unwrap(),
        );
        prop_assert_eq!(read, given);
    }

    #[test]
    fn server_information_is_read_as_it_was_written(info in server_infos()) {
        let read = through_a_message::<wire::server_info::Owned, _>(
            |builder| write_server_info(&info, builder).unwrap(),
            |reader| read_server_info(reader).unwrap(),
        );
        prop_assert_eq!(read, info);
    }

    #[test]
    fn progress_and_sizes_are_read_as_they_were_written(
        numbers in any::<[u64; 7]>(),
        phase in prop::sample::select(vec![Phase::ReadingChain, Phase::Deriving, Phase::Walking, Phase::Done]),
        keychains in any::<u32>(),
    ) {
        let [scripts_derived, scripts_total, blocks_done, blocks_total, bytes_done, bytes_total, elapsed_micros] =
            numbers;
        let progress = Progress {
            phase,
            scripts_derived,
            scripts_total,
            blocks_done,
            blocks_total,
            bytes_done,
            bytes_total,
            elapsed_micros,
        };
        let read = through_a_message::<wire::progress::Owned, _>(
            |builder| write_progress(&progress, builder).unwrap(),
            read_progress,
        );
        prop_assert_eq!(read, progress);
        let size = WatchSetSize { keychains, scripts: blocks_done, outpoints: blocks_total };
        let read = through_a_message::<wire::watch_set_size::Owned, _>(
            |builder| write_watch_set_size(&size, builder),
            read_watch_set_size,
        );
        prop_assert_eq!(read, size);
    }

    #[test]
    fn blocks_and_block_ids_are_read_as_they_were_written(id in block_ids(), data in vec(any::<u8>(), 0..300)) {
        let block = FullBlock { height: id.height, hash: id.hash, data };
        let read = through_a_message::<wire::full_block::Owned, _>(
            |builder| write_full_block(&block, builder).unwrap(),
            |reader| read_full_block(reader).unwrap(),
        );
        prop_assert_eq!(read, block);
        let read = through_a_message::<wire::block_id::Owned, _>(
            |builder| write_block_id(&id, builder),
            |reader| read_block_id(reader).unwrap(),
        );
        prop_assert_eq!(read, Some(id));
    }
}
