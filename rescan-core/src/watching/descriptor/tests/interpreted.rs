//! Text as a person gives it, and the descriptors that it stands for.

use bitcoin::NetworkKind::{Main, Test};
use bitcoin::base58;

use super::*;

/// BIP 393's valid vectors: the descriptor without annotations, the annotations with checksum, and
/// their meaning.
const BIP393: [(&str, &str, Option<u32>, Option<u32>); 4] = [
    (
        "wpkh([deadbeef/84h/0h/0h]xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL/0/*)",
        "?bh=800000&gl=30#v35n46d2",
        Some(800_000),
        Some(30),
    ),
    (
        "wpkh([deadbeef/84h/0h/0h]xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL/0/*)",
        "#kf3v6fpx",
        None,
        None,
    ),
    (
        "wpkh(0260b2003c386519fc9eadf2b5cf124dd8eea4c4e68d5e154050a9346ea98ce600)",
        "?bh=150000#8kehtsrj",
        Some(150_000),
        None,
    ),
    (
        "tr(xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ/0/*)",
        "?bh=709632&gl=20#6la5jcn3",
        Some(709_632),
        Some(20),
    ),
];

#[test]
fn the_vectors_of_bip_393_are_accepted_and_their_checksum_covers_the_annotations() {
    for (plain, suffix, birthday_height, gap_limit) in BIP393 {
        let text = format!("{plain}{suffix}");
        let interpreted = interpret(&text).unwrap();
        assert_eq!(interpreted.annotations, Annotations { birthday_height, gap_limit, max_label: None });
        assert_eq!(interpreted.branches, expand(plain).unwrap());
        assert_eq!(interpreted.branches, expand(&text).unwrap());
        assert_eq!(interpreted.meaning, None);
        assert_eq!(keychain(&text, Main).to_string(), interpreted.branches[0], "a keychain drops annotations");
        let changed = text.replacen("?bh=", "?bh=1", 1).replacen("[deadbeef", "[deadbeee", 1);
        if changed != text {
            assert!(matches!(interpret(&changed), Err(DescriptorError::Checksum { .. })), "{changed}");
        }
    }
}

#[test]
fn branches_of_an_annotated_descriptor_have_checksums_of_their_own() {
    let interpreted = interpret(&filled("wpkh(A/<0;1>/*)?gl=7")).unwrap();
    assert_eq!(interpreted.branches, expand(&filled("wpkh(A/<0;1>/*)")).unwrap());
    assert_eq!(interpreted.branches.len(), 2);
    assert_eq!(interpreted.annotations.gap_limit, Some(7));
}

#[test]
fn a_bad_annotation_is_refused_by_every_reader() {
    for text in ["raw(deadbeef)?Bh=1", "raw(deadbeef)?bh=01", "raw(deadbeef)?", "raw(deadbeef)?bh=1?gl=2"] {
        let error = interpret(text).unwrap_err();
        assert!(matches!(error, DescriptorError::BadAnnotation { position: 14, .. }), "{error}");
        assert_eq!(Keychain::parse(text, Main).unwrap_err(), error);
        assert_eq!(expand(text).unwrap_err(), error);
    }
}

/// BIP 84's account key with each prefix, by its version bytes (SLIP 132).
fn slip132_key(version: u32) -> String {
    let plain = "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V";
    let data = base58::decode_check(plain).unwrap();
    base58::encode_check(&[&version.to_be_bytes(), &data[4..]].concat())
}

/// Name, version bytes, form with KEY, and the version bytes of descriptors.
const SLIP132: [(&str, u32, &str, u32); 8] = [
    ("ypub", 0x049d_7cb2, "sh(wpkh(KEY))", 0x0488_b21e),
    ("zpub", 0x04b2_4746, "wpkh(KEY)", 0x0488_b21e),
    ("Ypub", 0x0295_b43f, "sh(wsh(sortedmulti(1,KEY,K)))", 0x0488_b21e),
    ("Zpub", 0x02aa_7ed3, "wsh(sortedmulti(1,KEY,K))", 0x0488_b21e),
    ("upub", 0x044a_5262, "sh(wpkh(KEY))", 0x0435_87cf),
    ("vpub", 0x045f_1cf6, "wpkh(KEY)", 0x0435_87cf),
    ("Upub", 0x0242_89ef, "sh(wsh(sortedmulti(1,KEY,K)))", 0x0435_87cf),
    ("Vpub", 0x0257_5483, "wsh(sortedmulti(1,KEY,K))", 0x0435_87cf),
];

/// The form with a key expression, and the compressed key of the tests.
fn with_key(form: &str, key: &str) -> String {
    form.replace("KEY", "~").replace('K', COMPRESSED).replace('~', key)
}

#[test]
fn a_key_of_slip_132_in_its_function_is_the_key_that_descriptors_have() {
    for (name, version, form, plain) in SLIP132 {
        for (origin, path) in [("", "/0/*"), ("[deadbeef/84h/0h/0h]", "/<0;1>/*"), ("", "")] {
            let text = with_key(form, &format!("{origin}{}{path}", slip132_key(version)));
            let expected = with_key(form, &format!("{origin}{}{path}", slip132_key(plain)));
            let interpreted = interpret(&format!("{text}?bh=9")).unwrap();
            assert_eq!(interpreted.branches, expand(&expected).unwrap(), "{name}");
            assert_eq!(interpreted.meaning.unwrap().split('#').next(), Some(&*expected));
            assert_eq!(interpreted.annotations.birthday_height, Some(9));
            assert!(matches!(expand(&text), Err(DescriptorError::BadKey { .. })), "the library's form is Core's");
        }
    }
}

#[test]
fn a_key_of_slip_132_in_another_function_is_refused_with_its_own() {
    for (name, version, own, _) in SLIP132 {
        let key = slip132_key(version);
        let others = [
            "pkh(KEY)",
            "tr(KEY)",
            "combo(KEY)",
            "sh(pkh(KEY))",
            "sh(multi(1,KEY))",
            "wsh(pk(KEY))",
            "wsh(multi(1,K,KEY))",
        ];
        let others = others.iter().chain(SLIP132.iter().map(|(_, _, form, _)| form)).filter(|form| **form != own);
        for form in others.filter(|form| !(own.starts_with("wsh") && form.starts_with("wsh"))) {
            let text = with_key(form, &key);
            let error = interpret(&text).unwrap_err();
            let DescriptorError::OtherFunction { position, prefix, .. } = error else {
                panic!("{error}: {form} {name}")
            };
            assert_eq!((Some(position), prefix), (text.find(&key), name));
            let function = own.split("sortedmulti").next().unwrap_or_default().split("KEY").next().unwrap_or_default();
            assert!(error.to_string().contains(function), "{error}");
        }
    }
}

#[test]
fn a_single_key_of_slip_132_alone_is_its_descriptor_with_both_chains() {
    for (name, version, form, plain) in SLIP132.into_iter().filter(|(name, ..)| name.starts_with(['y', 'z', 'u', 'v']))
    {
        for origin in ["", "[deadbeef/84h/0h/0h]"] {
            for (path, ranged) in [
                ("", "/<0;1>/*"),
                ("/0/*", "/0/*"),
                ("/<3;4>", "/<3;4>/*"),
                ("/7", "/7/<0;1>/*"),
                ("/<0;1>/*", "/<0;1>/*"),
            ] {
                let interpreted = interpret(&format!("{origin}{}{path}?gl=5", slip132_key(version))).unwrap();
                let expected = with_key(form, &format!("{origin}{}{ranged}", slip132_key(plain)));
                assert_eq!(interpreted.branches, expand(&expected).unwrap(), "{name}");
                assert_eq!(interpreted.meaning, with_checksum(&expected).ok());
                assert_eq!(interpreted.annotations.gap_limit, Some(5));
            }
        }
    }
    let zpub = interpret(&slip132_key(0x04b2_4746)).unwrap();
    // BIP 84's first receiving address.
    assert_eq!(scripts(&keychain(&zpub.branches[0], Main), 0), ["0014c0cebcd6c3d3ca8c75dc5ec62ebe55330ef910e2"]);
    assert!(Keychain::parse(&zpub.branches[0], Test).is_err(), "a zpub is a key of mainnet");
}

#[test]
fn a_cosigners_key_alone_is_refused_with_the_form_of_the_whole_descriptor() {
    for (name, version, ..) in SLIP132.into_iter().filter(|(name, ..)| name.starts_with(['Y', 'Z', 'U', 'V'])) {
        let error = interpret(&slip132_key(version)).unwrap_err();
        assert!(matches!(error, DescriptorError::CosignersMissing { prefix, .. } if prefix == name), "{error}");
        assert!(error.to_string().contains("wsh(sortedmulti(k,KEY,KEY,..))"), "{error}");
        assert_eq!(spelled_out(&slip132_key(version)), None);
    }
}

#[test]
fn a_bad_path_behind_a_key_alone_is_refused_at_the_keys_position() {
    let zpub = slip132_key(0x04b2_4746);
    assert_eq!(interpret(&format!("{zpub}/0h")).unwrap_err(), DescriptorError::Hardened { position: 0 });
    let mistyped = zpub.replacen("rFR7", "rFR8", 1);
    for text in [format!("{zpub}/x"), format!("{zpub}/*/0"), mistyped.clone(), format!("wpkh({mistyped})")] {
        let error = interpret(&text).unwrap_err();
        assert!(matches!(error, DescriptorError::BadKey { .. }), "{text}: {error}");
    }
}

#[test]
fn an_address_alone_is_watched_on_every_network() {
    let addresses = [
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", Main),
        ("3P14159f73E4gFr7JterCCQh9QjiTjiZrG", Main),
        ("bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr", Main),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", Test),
        ("bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk", Test),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", Test),
    ];
    for (address, network) in addresses {
        let meaning = with_checksum(&format!("addr({address})")).unwrap();
        for text in [address.to_owned(), with_checksum(address).unwrap(), format!("{address}?bh=1")] {
            let interpreted = interpret(&text).unwrap();
            assert_eq!(interpreted.meaning.as_ref(), Some(&meaning));
            assert_eq!(interpreted.branches, std::slice::from_ref(&meaning));
        }
        assert!(Keychain::parse(&meaning, network).is_ok());
        let other = if network == Main { Test } else { Main };
        assert!(matches!(Keychain::parse(&meaning, other), Err(DescriptorError::WrongNetwork { .. })));
        let mistyped = format!("{}{}", &address[..address.len() - 1], if address.ends_with('x') { 'z' } else { 'x' });
        assert_eq!(interpret(&mistyped), Err(DescriptorError::BadAddress), "{mistyped}");
    }
}

#[test]
fn a_public_key_alone_is_refused_and_spelled_out() {
    let xpub = "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V";
    let cases = [
        (xpub.to_owned(), format!("wpkh({xpub}/<0;1>/*)")),
        (format!("{xpub}/0/*?bh=5"), format!("wpkh({xpub}/0/*)")),
        (ALICE.to_owned(), format!("wpkh({ALICE}/<0;1>/*)")),
        (format!("[deadbeef/86h/0h/0h]{xpub}"), format!("tr([deadbeef/86h/0h/0h]{xpub}/<0;1>/*)")),
        (format!("[deadbeef/49h]{xpub}/<2;3>"), format!("sh(wpkh([deadbeef/49h]{xpub}/<2;3>/*))")),
        (format!("[deadbeef/44h]{xpub}"), format!("pkh([deadbeef/44h]{xpub}/<0;1>/*)")),
        (COMPRESSED.to_owned(), format!("wpkh({COMPRESSED})")),
        (UNCOMPRESSED.to_owned(), format!("pkh({UNCOMPRESSED})")),
    ];
    for (text, whole) in cases {
        assert_eq!(interpret(&text), Err(DescriptorError::BareKey), "{text}");
        assert_eq!(spelled_out(&text), Some(whole.clone()));
        assert!(interpret(&whole).is_ok(), "{whole}");
    }
}

#[test]
fn no_secret_is_ever_spelled_out() {
    let hex = "9f".repeat(32);
    let wif = "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1";
    let xprv = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
    for text in [X_ONLY, &hex, wif, xprv, "", "K", "wpkh(K)", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"] {
        assert_eq!(spelled_out(text), None, "{text}");
    }
    assert_eq!(interpret(wif), Err(DescriptorError::PrivateKey { position: 0 }));
    assert_eq!(interpret(X_ONLY), Err(DescriptorError::BareKey));
    assert!(interpret(&hex).is_err());
}

#[test]
fn private_keys_of_slip_132_are_refused_as_such() {
    for version in
        [0x049d_7878, 0x04b2_430c, 0x0295_b005, 0x02aa_7a99, 0x044a_4e28, 0x045f_18bc, 0x0242_85b5, 0x0257_5048]
    {
        let key = slip132_key(version);
        assert_eq!(key.get(1..4), Some("prv"));
        for text in
            [key.clone(), format!("wpkh({key}/0/*)"), format!("[deadbeef/84h]{key}/<0;1>/*"), format!("{key}?bh=1")]
        {
            let error = interpret(&text).unwrap_err();
            assert_eq!(error, DescriptorError::PrivateKey { position: text.find(&key).unwrap() });
            assert_eq!(spelled_out(&text), None);
        }
    }
}
