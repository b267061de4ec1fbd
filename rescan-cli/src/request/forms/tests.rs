//! Every form, from the program that writes it where it could be had. `tests/exports/README.md` has their origins.

use super::*;
use crate::request::given::Birthday;
use crate::request::keychains::Keychains;

const LISTED: &str = include_str!("../../../tests/exports/listdescriptors.json");
const IMPORTED: &str = include_str!("../../../tests/exports/importdescriptors.json");
const INFO: &str = include_str!("../../../tests/exports/getdescriptorinfo.json");
const SPARROW: &str = include_str!("../../../tests/exports/sparrow.txt");
const SPECTER: &str = include_str!("../../../tests/exports/specter.json");
const SPARROW_FOR_SPECTER: &str = include_str!("../../../tests/exports/sparrow_for_specter.json");
const LIANA: &str = include_str!("../../../tests/exports/liana.json");

const KEY: &str = "[12f30505/84h/1h/0h]tpubDDNxyNpPLw4aehpNrSTnLhJ2Sm2Hicdk7w4p4muNoBAf3TuCLBRcu8qXbBp19ZnKvaBwqKe9ScFHZtjm369PxwGh3sHvzfNcpW1PHYKEiqR";

/// BIP32's first test vector.
const PRIVATE: &str =
    "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";

/// The descriptors of both paths, as Bitcoin Core prints them.
fn both() -> [String; 2] {
    [format!("wpkh({KEY}/0/*)#qvnrfenx"), format!("wpkh({KEY}/1/*)#3ckz5vr7")]
}

fn read(text: impl AsRef<[u8]>) -> Vec<GivenDescriptor> {
    Source::of(text).and_then(|source| descriptors(&source)).expect("a known form")
}

fn refused(text: impl AsRef<[u8]>) -> String {
    let error = Source::of(text).and_then(|source| descriptors(&source)).expect_err("of no known form");
    format!("{}\n{}", error.message.unwrap_or_default(), error.hint.unwrap_or_default())
}

/// The single-path descriptors that are watched.
fn watched(given: &[GivenDescriptor]) -> Vec<String> {
    let keychains = Keychains::of(given, None).unwrap_or_else(|error| panic!("{:?}", error.message));
    keychains.list.into_iter().map(|keychain| keychain.descriptor).collect()
}

#[test]
fn the_output_of_listdescriptors_is_read_with_its_birthdays_and_indexes() {
    let given = read(LISTED);
    let found: Vec<_> =
        given.iter().map(|it| (it.birthday, it.last_revealed, it.last_watched, it.is_active, it.is_internal)).collect();
    let due = [
        (Birthday::Unknown, None, None, false, None),
        (Birthday::Time(1_600_000_000), Some(6), Some(1_499), true, Some(false)),
        (Birthday::Time(1_796_098_801), None, Some(1_200), true, Some(true)),
    ];
    assert_eq!(found, due);
    assert_eq!(watched(&given[1..]), both());
    assert_eq!(given[2].position, DescriptorPosition::Item { source: "file".into(), number: 2 });
}

#[test]
fn the_array_of_importdescriptors_is_read_and_now_is_no_birthday() {
    let given = read(IMPORTED);
    let birthdays: Vec<_> = given.iter().map(|it| it.birthday).collect();
    assert_eq!(birthdays, [Birthday::Time(1_600_000_000), Birthday::Now, Birthday::Unknown]);
    assert_eq!((given[1].last_watched, given[2].label.as_deref()), (Some(1_200), Some("tips")));
    assert_eq!(watched(&given[..2]), both());
    let single = read(format!(r#"{{"desc": "wpkh({KEY}/0/*)"}}"#));
    assert_eq!((single.len(), single[0].birthday), (1, Birthday::Unknown));
}

#[test]
fn getdescriptorinfo_means_all_of_its_paths() {
    assert_eq!(watched(&read(INFO)), both());
}

#[test]
fn sparrows_export_is_watched_once_although_it_has_each_path_twice() {
    let given = read(SPARROW);
    let lines: Vec<_> = given.iter().map(|it| it.position.to_string()).collect();
    assert_eq!(lines, ["file, line 2", "file, line 6", "file, line 9"]);
    assert_eq!(watched(&given), both());
}

#[test]
fn account_maps_mean_the_change_path_too() {
    for map in [SPECTER, SPARROW_FOR_SPECTER] {
        let given = read(map);
        assert!(given.iter().all(|it| it.birthday == Birthday::Height(120)), "{map}");
        assert_eq!(watched(&given), both(), "{map}");
    }
    // A typing error is found although the text is changed.
    let mistyped = SPARROW_FOR_SPECTER.replace("12f30505", "12f30506");
    assert!(Keychains::of(&read(mistyped), None).is_err());
    let backup = format!(r#"{{"name":"a","recv_descriptor":"{}","change_descriptor":"{}"}}"#, both()[0], both()[1]);
    assert_eq!(watched(&read(backup)), both());
}

#[test]
fn lianas_backup_is_read_with_its_birthday_and_highest_index() {
    let given = read(LIANA);
    assert_eq!((given[0].birthday, given[0].last_revealed), (Birthday::Time(1_600_000_000), Some(12)));
    assert_eq!(watched(&given), both());
}

#[test]
fn json_texts_and_lists_of_texts_are_read() {
    let [receive, change] = both();
    assert_eq!(watched(&read(format!("\"{receive}\""))), both()[..1]);
    assert_eq!(watched(&read(format!("[\"{receive}\",\n \" {change} \"]"))), both());
    assert_eq!(watched(&read(format!("[\"{receive}\", {{\"desc\":\"{change}\",\"timestamp\":0}}]"))), both());
}

#[test]
fn line_ends_marks_and_blank_lines_change_nothing() {
    let [receive, change] = both();
    for text in [
        format!("{receive}\n{change}"),
        format!("\u{feff}{receive}\r\n\r\n  {change}\t\r\n"),
        format!("# mine\n{receive} # in use\n\n\n\t# change\n{change}\n"),
        format!("\u{feff}[\"{receive}\",\r\n\"{change}\"]\r\n"),
    ] {
        assert_eq!(watched(&read(&text)), both(), "{text:?}");
    }
}

#[test]
fn a_line_may_begin_with_the_origin_of_a_key() {
    let given = read(KEY);
    assert_eq!((given.len(), given[0].text.as_str()), (1, KEY));
}

#[test]
fn a_file_of_no_known_form_names_the_forms_and_its_place_and_repeats_nothing() {
    for (text, message) in [
        (String::new(), "file has no descriptors"),
        ("# nothing\n\n".to_owned(), "file has no descriptors"),
        ("[]".to_owned(), "file has no descriptors"),
        (format!("{{\"wallet\":\n\"{PRIVATE}\"}}"), "file, line 2"),
        (format!("[\"{PRIVATE}\", 5]"), "file, line 1, column 117"),
        (format!("{{\"descriptors\": [{{\"desc\": \"{PRIVATE}\", \"timestamp\": \"{PRIVATE}\"}}]}}"), "file, line 1"),
        (format!("{{\"{PRIVATE}\": [\"a\"]}}"), "file, line 1"),
        (format!("[\"{PRIVATE}\"] and more"), "file, line 1"),
    ] {
        let error = refused(&text);
        assert!(error.starts_with(message) && error.contains("listdescriptors"), "{text}: {error}");
        assert!(!error.contains(&PRIVATE[..8]), "{error}");
    }
    assert!(refused([0xff, 0xfe, b'[', 0]).contains("UTF-16"));
    assert!(refused([b'w', 0x80]).contains("byte 1 is not UTF-8"));
}

#[test]
fn private_keys_in_any_form_are_refused_and_not_repeated() {
    for text in [
        format!("wpkh({PRIVATE}/0/*)"),
        format!("[\"wpkh({PRIVATE}/0/*)\"]"),
        LISTED.replace(KEY, PRIVATE),
        SPECTER.replace(&KEY[20..], PRIVATE),
        SPARROW_FOR_SPECTER.replace(KEY, PRIVATE),
    ] {
        let given = read(&text);
        let error = Keychains::of(&given, None).expect_err("a private key");
        let message = error.message.unwrap_or_default();
        assert!(message.contains("private key") && !message.contains(&PRIVATE[..8]), "{message}");
        assert!(!format!("{given:?}").contains(&PRIVATE[..8]));
    }
}

#[test]
fn a_hundred_thousand_descriptors_are_read_in_order() {
    let script = |number: u32| format!("raw(0014{number:040x})");
    let lines: String = (0..100_000).map(|number| script(number) + "\n").collect();
    let list = serde_json::to_string(&(0..100_000).map(script).collect::<Vec<_>>()).expect("texts");
    for text in [lines, list] {
        let given = read(&text);
        assert_eq!((given.len(), given[99_999].text.as_str()), (100_000, script(99_999).as_str()));
        let keychains = Keychains::of(&given, None).expect("scripts");
        assert_eq!((keychains.list.len(), keychains.labels.iter().count()), (100_000, 100_000));
    }
}
