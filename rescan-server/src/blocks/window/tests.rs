//! Windows, mapped and read, against the written bytes.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs::File;

use proptest::prelude::*;
use rescan_core::blocks::obfuscation::ObfuscationKey;
use rescan_core::position::FileNumber;

use super::*;
use crate::blocks::block_file::Access;

const KEY: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const FILE_BYTES: u32 = 300_000;

/// Two files of known bytes; the first may be mapped if `access` allows it.
fn two_files(access: Access) -> (tempfile::TempDir, BlockFiles) {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..2 {
        let mut bytes = plain(number, 0, FILE_BYTES);
        ObfuscationKey::from_bytes(KEY).apply(&mut bytes);
        std::fs::write(dir.path().join(FileNumber(number).file_name()), bytes).unwrap();
    }
    let files = BlockFiles::new(dir.path().to_owned(), ObfuscationKey::from_bytes(KEY), access);
    files.set_mappable([(FileNumber(0), u64::from(FILE_BYTES))].into());
    (dir, files)
}

fn clear(window: &Window, span: RecordSpan) -> Vec<u8> {
    let mut bytes = Vec::new();
    window.with_block(span, |raw| raw.copy_clear(&mut bytes)).unwrap().unwrap();
    bytes
}

fn plain(file: u32, offset: u32, size: u32) -> Vec<u8> {
    (offset..offset + size).map(|at| (at.wrapping_mul(2_654_435_761) >> (13 + file)).to_le_bytes()[0]).collect()
}

#[test]
fn both_arms_return_the_bytes_of_every_block() {
    let arms = [Access::read(), Access::mapped_in_test()].map(two_files);
    proptest!(|(
        places in prop::collection::vec((0u32..2, 0u32..FILE_BYTES - 5000, 1u32..5000), 1..20)
    )| {
        let spans: Vec<RecordSpan> = places.iter().map(|(file, offset, size)| span(*file, *offset, *size)).collect();
        for (_dir, files) in &arms {
            let window = files.window(&spans).unwrap();
            for span in &spans {
                prop_assert_eq!(clear(&window, *span), plain(span.file.0, span.offset, span.size));
            }
            window.recheck().unwrap();
        }
    });
}

fn span(file: u32, offset: u32, size: u32) -> RecordSpan {
    RecordSpan { file: FileNumber(file), offset, size }
}

#[test]
fn a_block_outside_the_window_is_none() {
    let (_dir, files) = two_files(Access::mapped_in_test());
    let window = files.window(&[span(0, 1000, 500), span(0, 200_000, 500)]).unwrap();
    assert!(window.with_block(span(0, 1000, 501), |_| ()).unwrap().is_none());
    assert!(window.with_block(span(0, 999, 10), |_| ()).unwrap().is_none());
    assert!(window.with_block(span(1, 1000, 500), |_| ()).unwrap().is_none());
    assert!(window.with_block(span(0, 100_000, 1), |_| ()).unwrap().is_none());
}

#[test]
fn a_window_beyond_the_end_of_a_file_names_both_lengths() {
    for access in [Access::read(), Access::mapped_in_test()] {
        let (_dir, files) = two_files(access);
        let error = files.window(&[span(0, FILE_BYTES - 10, 11)]).unwrap_err();
        assert!(matches!(error, BlockFileError::Truncated { expected: 300_001, found: 300_000, .. }), "{error}");
    }
}

#[test]
fn a_truncated_or_rewritten_mapped_file_is_detected() {
    let (dir, files) = two_files(Access::mapped_in_test());
    let window = files.window(&[span(0, 1000, 500)]).unwrap();
    let copied = files.window(&[span(1, 1000, 500)]).unwrap();
    let open = |number: u32| File::options().write(true).open(dir.path().join(FileNumber(number).file_name())).unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    open(0).set_modified(long_ago).unwrap();
    assert!(matches!(window.recheck(), Err(BlockFileError::Rewritten { .. })));
    // No byte of the map may be touched from here on: that would end the process.
    open(0).set_len(1200).unwrap();
    assert!(matches!(window.recheck(), Err(BlockFileError::Truncated { expected: 1500, found: 1200, .. })));
    open(1).set_len(0).unwrap();
    copied.recheck().unwrap();
}

#[test]
fn a_pruned_file_stays_readable_through_its_window_and_gets_no_new_one() {
    for access in [Access::read(), Access::mapped_in_test()] {
        let (dir, files) = two_files(access);
        let window = files.window(&[span(0, 5, 100)]).unwrap();
        std::fs::remove_file(dir.path().join("blk00000.dat")).unwrap();
        assert_eq!(clear(&window, span(0, 5, 100)), plain(0, 5, 100));
        window.recheck().unwrap();
        assert!(matches!(files.window(&[span(0, 5, 100)]), Err(BlockFileError::Vanished { .. })));
    }
}
