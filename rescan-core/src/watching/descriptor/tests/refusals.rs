//! Each reason for refusing a descriptor, by name.

use bitcoin::NetworkKind::{Main, Test};

use super::*;
use crate::report::RefusalReason;

fn refusal(text: &str) -> DescriptorError {
    let parsed = Keychain::parse(text, Test).expect_err(text);
    if !matches!(parsed, DescriptorError::WrongNetwork { .. } | DescriptorError::Multipath { .. }) {
        assert_eq!(expand(text).expect_err(text), parsed, "expanding refuses what parsing refuses");
        assert_eq!(RefusalReason::from(&parsed), RefusalReason::BadDescriptor);
    }
    parsed
}

#[test]
fn no_text_is_refused() {
    assert_eq!(refusal(""), DescriptorError::Empty);
}

#[test]
fn text_beyond_the_limit_is_refused_and_text_at_it_is_read() {
    let found = DESCRIPTOR_BYTES_MAX + 1;
    let max = DESCRIPTOR_BYTES_MAX;
    assert_eq!(refusal(&"x".repeat(found)), DescriptorError::TooLong { found, max });
    assert!(!matches!(refusal(&"x".repeat(max)), DescriptorError::TooLong { .. }));
}

#[test]
fn characters_outside_ascii_are_refused() {
    assert_eq!(refusal("wpkh(\u{e9})"), DescriptorError::Character { position: 5, byte: 0xc3 });
}

#[test]
fn a_wrong_checksum_is_refused_with_the_right_one() {
    let error = refusal(&filled("wpkh(A/0/*)#5zxw7edj"));
    assert_eq!(error, DescriptorError::Checksum { expected: "5zxw7edh".into(), found: "5zxw7edj".into() });
    // Forms unknown to miniscript are no exception.
    for text in ["raw(deadbeef)#89f8spxn", "combo(K)#00000000", "rawtr(X)#00000000", "addr(x)#00000000"] {
        assert!(matches!(refusal(&filled(text)), DescriptorError::Checksum { .. }), "{text}");
    }
}

#[test]
fn unknown_functions_are_refused_by_name() {
    let name = |text: &str| match refusal(text) {
        DescriptorError::UnknownFunction { name, .. } => name,
        other => panic!("{other}"),
    };
    assert_eq!(name(&filled("wpkhh(K)")), "wpkhh");
    assert_eq!(name(&filled("wsh(and_x(pk(K),pk(K)))")), "and_x");
    // A possible piece of a key is not shown.
    assert_eq!(name("Kx7Yp(02)"), "of 5 characters");
    assert_eq!(name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa(02)"), "of 32 characters");
    assert_eq!(name("(02)"), "of 0 characters");
}

#[test]
fn musig_is_refused_with_a_way_out() {
    let error = refusal(&filled("tr(musig(A,B)/0/*)"));
    assert_eq!(error, DescriptorError::Unsupported { function: "musig", position: 3 });
    assert!(error.to_string().contains("raw(..)"), "{error}");
    let error = refusal(&filled("tr(X,sortedmulti_a(1,A,B))"));
    assert!(matches!(error, DescriptorError::Unsupported { function: "sortedmulti_a", .. }), "{error}");
}

#[test]
fn functions_that_make_a_whole_script_are_refused_inside_others() {
    for function in ["combo", "rawtr", "addr", "raw"] {
        let error = refusal(&filled(&format!("sh({function}(K))")));
        assert_eq!(error, DescriptorError::NotOutermost { function, position: 3 });
    }
    for text in ["sh(tr(X))", "wsh(wpkh(K))", "wpkh(pkh(K))", "wsh(sh(pk(K)))", "tr(X,wsh(pk(K)))"] {
        refusal(&filled(text));
    }
}

#[test]
fn hardened_derivation_is_refused_with_a_way_out() {
    for text in ["wpkh(A/*h)", "wpkh(A/*')", "wpkh(A/0h/*)", "combo(A/*h)", "rawtr(A/1')", "tr(X,pk(A/<0;1h>/*))"] {
        let error = refusal(&filled(text));
        assert!(matches!(error, DescriptorError::Hardened { .. }), "{text}: {error}");
        assert!(error.to_string().contains("raw(..)"), "{error}");
    }
}

#[test]
fn the_other_network_is_refused_both_ways() {
    let main = "wpkh(xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V/0/*)";
    let address = "addr(bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr)";
    for (text, what) in [(main, "extended key"), (address, "address")] {
        let refused = DescriptorError::WrongNetwork { what, expected: Test, found: Main };
        assert_eq!(refusal(text), refused);
        assert_eq!(check_network(text, Test), Err(refused));
        assert!(Keychain::parse(text, Main).is_ok());
        assert_eq!(check_network(text, Main), Ok(()));
    }
    for text in ["wpkh(A/0/*)", "combo(A)", "tr(X,pk(A))"] {
        let error = Keychain::parse(&filled(text), Main).unwrap_err();
        assert_eq!(error, DescriptorError::WrongNetwork { what: "extended key", expected: Main, found: Test });
        assert_eq!(check_network(&filled(text), Main), Err(error.clone()));
        assert_eq!(check_network(&filled(text), Test), Ok(()));
        assert_eq!(RefusalReason::from(&error), RefusalReason::WrongNetwork);
        assert_eq!(error.to_string(), "extended key of a test network, expected mainnet");
    }
}

#[test]
fn ranges_in_addr_and_raw_are_refused() {
    for function in ["addr", "raw"] {
        assert_eq!(refusal(&format!("{function}(00/*)")), DescriptorError::Ranged { function });
    }
}

#[test]
fn addresses_and_scripts_that_do_not_decode_are_refused() {
    for text in ["addr()", "addr(bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcs)", "addr(x,y)"] {
        assert_eq!(refusal(text), DescriptorError::BadAddress);
    }
    for text in ["raw()", "raw(0)", "raw(0g)", "raw(00,00)", &format!("raw({})", "00".repeat(10_001))] {
        assert!(matches!(refusal(text), DescriptorError::BadRaw { .. }), "{text}");
    }
    assert!(Keychain::parse(&format!("raw({})", "00".repeat(10_000)), Test).is_ok());
}

#[test]
fn uncompressed_keys_are_refused_in_segwit() {
    let cases =
        [("wpkh(U)", "wpkh"), ("sh(wpkh(U))", "wpkh"), ("wsh(pk(U))", "wsh"), ("tr(U)", "tr"), ("rawtr(U)", "rawtr")];
    for (text, function) in cases {
        let position = text.find('U').unwrap();
        assert_eq!(refusal(&filled(text)), DescriptorError::UncompressedKey { position, function });
    }
    assert!(Keychain::parse(&filled("sh(multi(1,U,K))"), Test).is_ok());
}

#[test]
fn x_only_keys_are_refused_outside_taproot() {
    for text in ["wpkh(X)", "combo(X)", "pk(X)", "wsh(multi(1,X))"] {
        let position = text.find('X').unwrap();
        assert_eq!(refusal(&filled(text)), DescriptorError::XOnlyKey { position });
    }
}

#[test]
fn a_bad_key_is_refused_with_the_reason() {
    let reason = |text: &str| match refusal(&filled(text)) {
        DescriptorError::BadKey { reason, .. } => reason,
        other => panic!("{other}"),
    };
    assert!(reason("wpkh()").contains("found nothing"));
    assert!(reason("tr(,pk(K))").contains("found nothing"));
    assert!(reason("wpkh(Ax/0)").contains("does not decode"));
    assert!(reason("wpkh(A/x)").contains("path does not parse"));
    assert!(reason("wpkh(A/*/0)").contains("last step"));
    assert!(reason("wpkh([0]K)").contains("fingerprint"));
    assert!(reason("wpkh([00000000K)").contains("end with ]"));
    assert!(reason("wpkh(K0)").contains("66, 130"));
    assert!(reason("combo(K/*)").contains("66, 130"));
    assert!(reason("wpkh(A/+1/*)").contains("without a sign"));
    let deep = "/0".repeat(253);
    assert!(reason(&format!("wpkh(A{deep}/*)")).contains("255"), "the account itself is 3 deep");
}

#[test]
fn multipath_keys_that_differ_in_their_paths_are_refused() {
    // `miniscript` would silently drop the third path of the leaf's key.
    let error = refusal(&filled("tr(A/<0;1>/*,pk(B/<0;1;2>/*))"));
    assert!(matches!(error, DescriptorError::PathCountMismatch { expected: 2, found: 3, .. }), "{error}");
    let paths: Vec<String> = (0..=PATHS_MAX).map(|path| path.to_string()).collect();
    let error = refusal(&filled(&format!("wpkh(A/<{}>/*)", paths.join(";"))));
    assert_eq!(error, DescriptorError::TooManyPaths { position: 5, found: PATHS_MAX + 1, max: PATHS_MAX });
}

#[test]
fn angle_brackets_outside_of_keys_are_refused() {
    for text in ["wsh(and_v(v:pk(A/<0;1>/*),older(<1;2>)))", "raw(<00;01>)", "wpkh(A/<0;1>/<0;1>/*)", "wpkh(A/<0>/*)"] {
        refusal(&filled(text));
    }
}

#[test]
fn misplaced_brackets_and_commas_are_refused() {
    for text in [
        "wpkh(K",
        "wpkh K",
        "K",
        "wpkh(K))",
        "wpkh(K)x",
        "wpkh(K)wpkh(K)",
        "wpkh(K),",
        ",",
        "tr(X,{pk(X),pk(X))",
        "{K}",
        "tr(X,{pk(X),pk(X)}pk(X))",
        "tr(X,a{pk(X),pk(X)})",
        "wsh(pk(K)0)",
        ")",
        "combo(K,K)",
        "wpkh(K,K)",
        "combo(K,)",
        "addr(x))",
        "rawtr(X,pk(X))",
        "tr(X,pk(X),pk(X))",
        "tr(X,{pk(X)})",
        "wpkh (K)",
        " wpkh(K)",
        "sortedmulti(1)",
    ] {
        refusal(&filled(text));
    }
}

#[test]
fn scripts_that_break_miniscripts_rules_are_refused_without_being_quoted() {
    for text in [
        "wsh(and_v(pk(K),pk(K)))",
        "wsh(older(0))",
        "wsh(after(4294967295))",
        "multi(1,K,K,K,K)",
        "wsh(multi(3,K,K))",
        "sortedmulti(1,K,K,K,K)",
        "sortedmulti(0,K)",
        "tr(X,multi(1,X))",
        "wsh(multi_a(1,K))",
        "wsh(y:pk(K))",
        "sh(multi(1,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K))",
    ] {
        let error = refusal(&filled(text));
        assert!(matches!(error, DescriptorError::InvalidScript { .. }), "{text}: {error}");
        assert!(!error.to_string().contains(&COMPRESSED[..8]));
    }
}

#[test]
fn leaves_of_a_tree_must_be_sane() {
    let error = refusal(&filled("tr(X,multi_a(1,X,X))"));
    assert_eq!(error, DescriptorError::InvalidScript { reason: "not sane: it has the same key twice" });
    let error = refusal(&filled("tr(X,older(9))"));
    assert_eq!(error, DescriptorError::InvalidScript { reason: "not sane: it can be spent without a signature" });
}
