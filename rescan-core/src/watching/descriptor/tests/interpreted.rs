//! Text as a person gives it, and the descriptors that it stands for.

use bitcoin::NetworkKind::Main;

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
